import pytest

from tpeak_server.domain.errors import Invalid
from tpeak_server.samplers import RandomSampler, TPESampler, build, resolve


def test_defaults_are_filled_in() -> None:
    assert resolve({"name": "tpe"}) == {"name": "tpe", "n_startup_trials": 10, "n_ei_candidates": 24}
    assert resolve({"name": "random"}) == {"name": "random"}


def test_what_is_given_stands() -> None:
    given = {"n_ei_candidates": 100, "n_startup_trials": 0, "name": "tpe"}
    assert resolve(given) == {"name": "tpe", "n_startup_trials": 0, "n_ei_candidates": 100}


def test_a_resolved_spec_resolves_to_itself() -> None:
    full = resolve({"name": "tpe", "n_startup_trials": 3})
    assert resolve(full) == full


def test_a_sampler_is_built_with_its_settings() -> None:
    sampler = build({"name": "tpe", "n_startup_trials": 3})
    assert isinstance(sampler, TPESampler)
    assert (sampler.n_startup_trials, sampler.n_ei_candidates) == (3, 24)
    assert isinstance(build({"name": "random"}), RandomSampler)


@pytest.mark.parametrize(
    ("spec", "where", "message"),
    [
        ({}, "/sampler/name", "a sampler needs a name: random or tpe"),
        ({"name": "tpa"}, "/sampler/name", "there is no sampler 'tpa'; did you mean 'tpe'?"),
        ({"name": ["cmaes"]}, "/sampler/name", "there is no sampler ['cmaes']; there is random, tpe"),
        (
            {"name": "tpe", "n_startup": 1},
            "/sampler/n_startup",
            "the sampler 'tpe' has no setting 'n_startup'; did you mean 'n_startup_trials'?",
        ),
        ({"name": "random", "x": 1}, "/sampler/x", "the sampler 'random' has no setting 'x'; it has none"),
        (
            {"name": "tpe", "n_startup_trials": 2.5},
            "/sampler/n_startup_trials",
            "n_startup_trials must be an integer, got 2.5",
        ),
        (
            {"name": "tpe", "n_startup_trials": True},
            "/sampler/n_startup_trials",
            "n_startup_trials must be an integer, got True",
        ),
        (
            {"name": "tpe", "n_startup_trials": None},
            "/sampler/n_startup_trials",
            "n_startup_trials must be an integer, got None",
        ),
        (
            {"name": "tpe", "n_startup_trials": -1},
            "/sampler/n_startup_trials",
            "n_startup_trials must lie within 0 .. 9007199254740992, got -1",
        ),
        (
            {"name": "tpe", "n_ei_candidates": 0},
            "/sampler/n_ei_candidates",
            "n_ei_candidates must lie within 1 .. 10000, got 0",
        ),
    ],
)
def test_what_is_wrong_is_said_and_where(spec: dict[str, object], where: str, message: str) -> None:
    for refuse in (resolve, build):
        with pytest.raises(Invalid) as refused:
            refuse(spec)
        assert (refused.value.where, refused.value.message) == (where, message)
