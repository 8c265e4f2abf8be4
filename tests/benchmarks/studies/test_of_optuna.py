"""Optuna's samplers behind the same face."""

from __future__ import annotations

import pytest

from problems import conditional, lattices, objectives
from problems.problem import Problem
from studies.matches import arguments_of
from studies.of_optuna import OptunaStudy
from studies.simulation import run

GRIDS = {problem.name: problem for problem in lattices.problems()}
FRONTS = {problem.name: problem for problem in objectives.problems()}
TREES = {problem.name: problem for problem in conditional.problems()}


def scores(name: str, problem: Problem, trials: int) -> list[float]:
    study = OptunaStudy(name, 1, problem.objectives, arguments_of(name, problem))
    return [score for score, _ in run(study, problem, 1, trials)]


@pytest.mark.parametrize("name", ["optuna5_grid", "optuna5_brute_force"])
def test_an_exhausted_space_ends_a_study(name: str) -> None:
    found = scores(name, GRIDS["cube-125"], 200)
    assert (len(found), min(found), len(set(found)) > 10) == (125, 0.0, True)


@pytest.mark.parametrize(
    "name", ["optuna5", "optuna5_group", "optuna5_random", "optuna5_qmc", "optuna5_cmaes", "optuna5_partial_fixed"]
)
def test_each_runs_a_study(name: str) -> None:
    assert len(scores(name, GRIDS["valley-169"], 20)) == 20


@pytest.mark.parametrize("name", ["optuna5", "optuna5_nsgaii"])
def test_several_objectives_and_constraints_reach_the_sampler(name: str) -> None:
    found = scores(name, FRONTS["c2-dtlz2"], 60)
    assert found == sorted(found, reverse=True)
    assert 0.0 < found[-1] < found[0] == 1.0


def test_a_study_is_the_same_for_the_same_seed() -> None:
    assert scores("optuna5", TREES["models"], 30) == scores("optuna5", TREES["models"], 30)
