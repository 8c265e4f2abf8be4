"""Studies that are run to their end without a server."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from problems import conditional
from problems.problem import Problem
from studies.of_tpeak import TpeakStudy, TpeakTrial
from studies.simulation import run
from tpeak_server.domain.distributions import FloatDistribution

X = FloatDistribution(low=0.0, high=1.0)
PROBLEMS = {problem.name: problem for problem in conditional.problems()}
PARALLEL = replace(PROBLEMS["jenatton"], workers=16)


class Watched(TpeakStudy):
    """Knows which trials run, and how many ran at each ask."""

    def __init__(self, seed: int) -> None:
        super().__init__({"name": "random"}, seed)
        self.running: set[int] = set()
        self.ran: list[int] = []
        self.told: list[int] = []

    def ask(self) -> TpeakTrial:
        trial = super().ask()
        self.running.add(trial.number)
        self.ran.append(len(self.running))
        return trial

    def tell(self, trial: TpeakTrial, value: float) -> None:
        self.running.remove(trial.number)
        self.told.append(trial.number)
        super().tell(trial, value)


def test_sixteen_workers_never_have_more_than_sixteen_trials_and_soon_have_as_many() -> None:
    study = Watched(seed=1)
    list(run(study, PARALLEL, 1, 60))
    assert study.ran == [*range(1, 17), *[16] * 44]
    assert sorted(study.told) == list(range(60)) != study.told


def test_one_worker_has_one_trial_at_a_time() -> None:
    study = Watched(seed=1)
    list(run(study, PROBLEMS["jenatton"], 1, 20))
    assert (study.ran, study.told) == ([1] * 20, list(range(20)))


@pytest.mark.parametrize("problem", [PROBLEMS["models"], PARALLEL], ids=["alone", "parallel"])
def test_a_study_is_the_same_for_the_same_seed(problem: Problem) -> None:
    def values(seed: int) -> list[tuple[float, float]]:
        return list(run(TpeakStudy({"name": "tpe"}, seed), problem, seed, 30))

    assert values(1) == values(1) != values(2)


def test_noise_is_told_and_the_value_without_it_is_kept() -> None:
    noisy = replace(PROBLEMS["jenatton"], noise=0.1)
    pairs = list(run(TpeakStudy({"name": "random"}, 1), noisy, 1, 50))
    quiet = list(run(TpeakStudy({"name": "random"}, 1), PROBLEMS["jenatton"], 1, 50))
    assert [noiseless for _, noiseless in pairs] == [value for value, _ in quiet]
    assert all(0.0 < abs(told - noiseless) < 1.0 for told, noiseless in pairs)


def test_a_parameter_is_drawn_late_once_and_proposed_from_then_on() -> None:
    study = TpeakStudy({"name": "random"}, 1)
    first = study.ask()
    value = first.suggest_float("x", 0.0, 1.0)
    assert first.suggest_float("x", 0.0, 1.0) == value
    study.tell(first, 0.5)
    second = study.ask()
    (proposed,) = study.history.unfinished[second.number].trial.proposed.values()
    assert second.suggest_float("x", 0.0, 1.0) == proposed
    assert second.suggest_float("x", 2.0, 3.0) == proposed


def test_a_proposal_that_is_out_of_range_is_drawn_again() -> None:
    study = TpeakStudy({"name": "random"}, 1)
    first = study.ask()
    first.suggest_float("x", 0.0, 1.0)
    study.tell(first, 0.5)
    assert 2.0 <= study.ask().suggest_float("x", 2.0, 3.0) <= 3.0


def test_only_what_the_objective_used_teaches() -> None:
    study = TpeakStudy({"name": "random"}, 1)
    for name in ("x", "y", "y"):
        trial = study.ask()
        trial.suggest_float(name, 0.0, 1.0)
        study.tell(trial, 1.0)
    columns = study.history.view({"x": X, "y": X}).columns
    assert [math.isnan(value) for value in columns["x"]] == [False, True, True]
    assert [math.isnan(value) for value in columns["y"]] == [True, False, False]
