"""Studies that are run to their end without a server."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest

from problems import conditional, objectives
from problems.problem import Problem, Trial
from studies.of_tpeak import TpeakStudy, TpeakTrial
from studies.simulation import NothingLeft, run
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


def test_several_values_and_constraints_reach_the_sampler() -> None:
    problem = {one.name: one for one in objectives.problems()}["c2-dtlz2"]
    study = TpeakStudy({"name": "tpe"}, 1, problem.objectives)
    scores = [score for score, _ in run(study, problem, 1, 60)]
    view = study.history.view({})
    assert view.loss.shape == (60, 2)
    assert 0 < (view.violation > 0.0).sum() < 60
    assert scores == sorted(scores, reverse=True)
    assert 0.0 < scores[-1] < scores[0] == 1.0


def test_an_infeasible_trial_teaches_how_far_it_is() -> None:
    def objective(trial: Trial) -> float:
        value = trial.suggest_float("x", 0.0, 1.0)
        trial.set_constraint("c", 0.5 - value)
        return value

    problem = Problem(name="p", family="f", objective=objective, constrained=True)
    study = TpeakStudy({"name": "random"}, 1)
    scores = [score for score, _ in run(study, problem, 1, 20)]
    view = study.history.view({"x": X})
    assert view.violation.tolist() == [max(0.0, 0.5 - x) for x in view.columns["x"].tolist()]
    assert [score > 1.0 for score in scores] == (view.violation > 0.0).tolist()


class Short(TpeakStudy):
    """Has five points to try, the last two of which it knows only when the third is told."""

    def __init__(self) -> None:
        super().__init__({"name": "random"}, 1)
        self.asked: list[int] = []
        self.told = 0

    def ask(self) -> TpeakTrial:
        if len(self.asked) >= (5 if self.told >= 3 else 3):
            raise NothingLeft
        trial = super().ask()
        self.asked.append(trial.number)
        return trial

    def tell(self, trial: TpeakTrial, value: float | Sequence[float]) -> None:
        self.told += 1
        super().tell(trial, value)


def test_a_study_ends_where_nothing_is_left_and_nothing_runs() -> None:
    study = Short()
    assert len(list(run(study, PARALLEL, 1, 60))) == 5
    assert (study.asked, study.told) == ([0, 1, 2, 3, 4], 5)
