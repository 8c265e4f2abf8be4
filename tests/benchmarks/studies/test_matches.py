"""Which samplers are compared, and what they are given."""

from __future__ import annotations

import pytest

from problems import lattices
from problems.catalogue import catalogue
from problems.problem import Problem
from studies import matches
from studies.matches import MATCHES, MIXED, arguments_of, grid_of, match_of, settings_of

GRIDS = {problem.name: problem for problem in lattices.problems()}


def test_without_a_name_the_versions_of_tpe_are_compared() -> None:
    match = match_of(None)
    assert match.samplers == ("tpe", "optuna5", "optuna5_group", "optuna4")
    assert (match.families, match.trials, match.headline, match.halved) == (MIXED, 200, 100, False)


def test_the_default_is_compared_with_optunas_with_half_the_trials_too() -> None:
    assert (match_of("auto").samplers, match_of("auto").halved) == (("auto", "optuna5"), True)


def test_the_others_are_compared_with_those_of_the_same_name() -> None:
    assert [match_of(name).samplers for name in ("tpe", "cmaes", "brute_force")] == [
        ("tpe", "optuna5"),
        ("cmaes", "optuna5_cmaes"),
        ("brute_force", "optuna5_brute_force"),
    ]


@pytest.mark.parametrize(
    ("found", "samplers"), [(None, ("gp", "optuna5")), (object(), ("gp", "optuna5_gp"))], ids=["without", "with"]
)
def test_without_pytorch_tpe_takes_the_place_of_optunas_gaussian_process(
    found: object, samplers: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matches, "find_spec", lambda name: found)
    assert match_of("gp").samplers == samplers
    assert bool(match_of("gp").note) is (found is None)


def test_every_family_that_is_named_has_problems() -> None:
    families = {problem.family for problem in catalogue()}
    assert {family for match in MATCHES.values() for family in match.families} == families


def test_a_grid_has_all_values_of_every_parameter() -> None:
    assert grid_of(GRIDS["kinds-144"]) == {
        "kind": ["a", "b", "c", "d"],
        "share": [0.0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0],
        "size": [16, 32, 48, 64],
    }


def test_what_is_continuous_has_no_grid() -> None:
    problem = Problem(name="p", family="f", objective=lambda trial: trial.suggest_float("x", 0.0, 1.0))
    with pytest.raises(ValueError, match="'x' is continuous"):
        grid_of(problem)


def test_both_sides_are_given_the_same() -> None:
    cube = GRIDS["cube-125"]
    assert arguments_of("optuna5_grid", cube) == {"search_space": {f"n{i}": [0, 1, 2, 3, 4] for i in range(3)}}
    assert settings_of("grid", {}, cube) == {"name": "grid", **arguments_of("optuna5_grid", cube)}
    assert settings_of("qmc", {}, cube) == {"name": "qmc", "scramble": True}
    assert settings_of("partial_fixed", {}, cube) == {
        "name": "partial_fixed",
        "fixed_params": {"n0": 3},
        "base_sampler": {"name": "tpe"},
    }


def test_settings_that_are_given_count() -> None:
    assert settings_of("tpe", {"n_startup_trials": 5}, GRIDS["cube-125"]) == {"name": "tpe", "n_startup_trials": 5}
    assert settings_of("qmc", {"scramble": False}, GRIDS["cube-125"]) == {"name": "qmc", "scramble": False}
