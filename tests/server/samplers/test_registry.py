import pytest

from tpeak_server.domain.errors import Invalid
from tpeak_server.samplers import RandomSampler, TPESampler, build, resolve
from tpeak_server.samplers.agreement import check_objectives

TPE = {
    "name": "tpe",
    "n_startup_trials": 10,
    "n_ei_candidates": None,
    "multivariate": None,
    "group": False,
    "constant_liar": True,
    "prior_weight": None,
    "consider_magic_clip": True,
    "consider_endpoints": False,
    "reference": None,
    "categorical_distance": None,
    "deduplicate": None,
}


def test_defaults_are_filled_in() -> None:
    assert resolve({"name": "tpe"}) == TPE
    assert resolve({"name": "auto"}) == {"name": "auto", "n_startup_trials": 10, "deduplicate": True}
    assert resolve({"name": "gp"}) == {
        "name": "gp",
        "n_startup_trials": 10,
        "deterministic_objective": False,
        "deduplicate": True,
    }
    assert resolve({"name": "random"}) == {"name": "random", "deduplicate": True}
    assert resolve({"name": "brute_force"}) == {"name": "brute_force", "avoid_premature_stop": False}
    assert resolve({"name": "qmc"}) == {
        "name": "qmc",
        "qmc_type": "sobol",
        "scramble": False,
        "independent_sampler": None,
    }


def test_what_is_given_stands() -> None:
    given = {"n_ei_candidates": 100, "n_startup_trials": 0, "name": "tpe"}
    assert resolve(given) == {**TPE, "n_startup_trials": 0, "n_ei_candidates": 100}
    other = {
        "name": "tpe",
        "n_startup_trials": 5,
        "n_ei_candidates": 24,
        "multivariate": True,
        "group": True,
        "constant_liar": False,
        "prior_weight": 0.5,
        "consider_magic_clip": False,
        "consider_endpoints": True,
        "reference": None,
        "categorical_distance": {"size": "ordered", "solver": [[0.0, 2.0], [2.0, 0.0]]},
        "deduplicate": False,
    }
    assert resolve(other) == other


def test_the_evolutionary_samplers_have_optunas_defaults() -> None:
    cmaes = {
        "name": "cmaes",
        "x0": None,
        "sigma0": None,
        "n_startup_trials": 1,
        "independent_sampler": None,
        "consider_pruned_trials": False,
        "restart_strategy": None,
        "popsize": None,
        "inc_popsize": -1,
        "use_separable_cma": False,
        "with_margin": False,
        "lr_adapt": False,
        "source_trials": None,
    }
    assert resolve({"name": "cmaes"}) == cmaes
    beside = {"name": "tpe", "n_startup_trials": 3}
    assert resolve({"name": "cmaes", "independent_sampler": beside})["independent_sampler"] == {**TPE, **beside}
    assert resolve({"name": "nsgaii"}) == {
        "name": "nsgaii",
        "population_size": 50,
        "mutation": None,
        "mutation_prob": None,
        "crossover": "uniform",
        "crossover_prob": 0.9,
        "swapping_prob": 0.5,
    }


def test_cma_es_has_one_objective() -> None:
    check_objectives({"name": "cmaes"}, 1)
    check_objectives({"name": "nsgaii"}, 3)
    with pytest.raises(Invalid) as refused:
        check_objectives({"name": "cmaes"}, 2)
    assert refused.value.where == "/sampler/name"


def test_a_spec_from_before_there_were_more_settings_still_builds() -> None:
    old = {"name": "tpe", "n_startup_trials": 2, "n_ei_candidates": 24}
    assert resolve(old) == {**TPE, **old}
    assert isinstance(build(old), TPESampler)


def test_a_resolved_spec_resolves_to_itself() -> None:
    full = resolve({"name": "tpe", "n_startup_trials": 3})
    assert resolve(full) == full


def test_a_sampler_is_built_with_its_settings() -> None:
    sampler = build({"name": "tpe", "n_startup_trials": 3, "n_ei_candidates": 50, "multivariate": False})
    assert isinstance(sampler, TPESampler)
    assert (sampler.n_startup_trials, sampler.n_ei_candidates, sampler.multivariate) == (3, 50, False)
    assert isinstance(build({"name": "random"}), RandomSampler)


@pytest.mark.parametrize(
    ("spec", "where", "message"),
    [
        (
            {},
            "/sampler/name",
            "a sampler needs a name: auto or brute_force or cmaes or gp or grid or nsgaii or partial_fixed or qmc"
            " or random or tpe",
        ),
        ({"name": "tpa"}, "/sampler/name", "there is no sampler 'tpa'; did you mean 'tpe'?"),
        (
            {"name": ["bayes"]},
            "/sampler/name",
            "there is no sampler ['bayes']; there is auto, brute_force, cmaes, gp, grid, nsgaii, partial_fixed, qmc,"
            " random, tpe",
        ),
        (
            {"name": "tpe", "n_startup": 1},
            "/sampler/n_startup",
            "the sampler 'tpe' has no setting 'n_startup'; did you mean 'n_startup_trials'?",
        ),
        ({"name": "random", "x": 1}, "/sampler/x", "the sampler 'random' has no setting 'x'; there is deduplicate"),
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
            "n_ei_candidates must lie within 1 .. 10000, or null, got 0",
        ),
        (
            {"name": "tpe", "multivariate": "yes"},
            "/sampler/multivariate",
            "multivariate must be true or false, or null, got 'yes'",
        ),
        ({"name": "tpe", "constant_liar": 1}, "/sampler/constant_liar", "constant_liar must be true or false, got 1"),
        (
            {"name": "tpe", "prior_weight": 0},
            "/sampler/prior_weight",
            "prior_weight must lie within 1e-06 .. 1000000.0, or null, got 0",
        ),
        (
            {"name": "tpe", "categorical_distance": {"a": "ordered"}, "reference": "optuna5"},
            "/sampler/categorical_distance",
            "Optuna 5.0's densities know no distances: reference must be null",
        ),
        (
            {"name": "tpe", "categorical_distance": {"a": [[1]]}},
            "/sampler/categorical_distance/a/0/0",
            "a choice must be 0 from itself, got 1.0",
        ),
        (
            {"name": "tpe", "reference": "optuna4"},
            "/sampler/reference",
            "reference must be 'optuna5', or null, got 'optuna4'",
        ),
        (
            {"name": "tpe", "group": True, "multivariate": False},
            "/sampler/group",
            "group draws parameters jointly: it needs multivariate to be true or null",
        ),
        (
            {"name": "cmaes", "independent_sampler": {"name": "cmaes"}},
            "/sampler/independent_sampler/name",
            "independent_sampler must be 'random' or 'tpe', got 'cmaes'",
        ),
        (
            {"name": "cmaes", "independent_sampler": {"name": "tpe", "n_startup_trials": -1}},
            "/sampler/independent_sampler/n_startup_trials",
            "n_startup_trials must lie within 0 .. 9007199254740992, got -1",
        ),
        (
            {"name": "cmaes", "x0": {"x": "a"}},
            "/sampler/x0/x",
            "x must be a finite number, got 'a'",
        ),
        (
            {"name": "cmaes", "source_trials": [{"params": {"x": 1}, "value": 1}, {"params": {}}]},
            "/sampler/source_trials/1",
            "a trial must have params and value, got {'params': {}}",
        ),
        (
            {"name": "cmaes", "source_trials": [{"params": {"x": 1}, "value": 1}], "sigma0": 0.1},
            "/sampler/source_trials",
            "they say where to start: x0 and sigma0 must be null",
        ),
        (
            {"name": "nsgaii", "population_size": 2, "crossover": "undx"},
            "/sampler/population_size",
            "the crossover 'undx' needs 3 parents",
        ),
        (
            {"name": "tpe", "gamma": 0.1},
            "/sampler/gamma",
            "the sampler 'tpe' has no setting 'gamma'; there is n_startup_trials, n_ei_candidates, multivariate, "
            "group, constant_liar, prior_weight, consider_magic_clip, consider_endpoints, reference, "
            "categorical_distance, deduplicate",
        ),
        (
            {"name": "tpe", "reference": "optuna5", "deduplicate": True},
            "/sampler/deduplicate",
            "Optuna 5.0 proposes points again: reference must be null, or deduplicate false or null",
        ),
        ({"name": "grid"}, "/sampler/search_space", "the sampler 'grid' needs search_space"),
        (
            {"name": "grid", "search_space": {"x": []}},
            "/sampler/search_space/x",
            "the values of 'x' must be a list of at least one, got []",
        ),
        (
            {"name": "grid", "search_space": {"x": [1, True, 1.0]}},
            "/sampler/search_space/x/2",
            "the value 1.0 is there twice",
        ),
        (
            {"name": "grid", "search_space": {"x": list(range(1001)), "y": list(range(1000))}},
            "/sampler/search_space",
            "search_space has 1001000 points, more than 1000000; take fewer values, or another sampler",
        ),
        (
            {"name": "qmc", "qmc_type": "lattice"},
            "/sampler/qmc_type",
            "qmc_type must be 'sobol' or 'halton', got 'lattice'",
        ),
        (
            {"name": "qmc", "independent_sampler": {"name": "brute_force"}},
            "/sampler/independent_sampler/name",
            "independent_sampler must be 'random' or 'tpe', got 'brute_force'",
        ),
        (
            {"name": "partial_fixed", "fixed_params": {"x": [1]}, "base_sampler": {"name": "tpe"}},
            "/sampler/fixed_params/x",
            "a value must be null, true, false, a finite number or a string, got [1]",
        ),
        (
            {"name": "partial_fixed", "fixed_params": {}, "base_sampler": {"name": "tpe", "n_ei_candidates": 0}},
            "/sampler/base_sampler/n_ei_candidates",
            "n_ei_candidates must lie within 1 .. 10000, or null, got 0",
        ),
    ],
)
def test_what_is_wrong_is_said_and_where(spec: dict[str, object], where: str, message: str) -> None:
    for refuse in (resolve, build):
        with pytest.raises(Invalid) as refused:
            refuse(spec)
        assert (refused.value.where, refused.value.message) == (where, message)
