"""Histories that are continued with few kernels and with all."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace

import numpy as np

import thinning
from problems import categorical
from problems.problem import Problem, scale_of
from thinning import UNLIMITED, Thinned, compare, continued, history, measured, refined
from tpeak_server.samplers import TPESampler
from tpeak_server.samplers.layout import Points
from tpeak_server.samplers.tpe.rules import OWN

PROBLEM = next(problem for problem in categorical.problems() if problem.name == "mixed-30")


def bowl(trial: thinning.Asking) -> float:
    x = trial.suggest_float("x", 1e-4, 1.0, log=True)
    return abs(np.log10(x) + 2.0) + trial.suggest_int("n", 0, 20) + (trial.suggest_categorical("c", "ab") == "b")


BOWL = Problem(name="bowl", family="test", objective=bowl)


def sampler(most: int) -> TPESampler:
    return TPESampler(rules=replace(OWN, most_kernels=most))


def test_a_trial_is_evaluated_at_its_internal_values() -> None:
    trials = history(BOWL, 0, 1, 1, "refinement")
    assert trials.add({"x": 0.01, "n": 3.0, "c": 1.0}) == 4.0
    assert trials.view().columns["n"][1] == 3.0


def test_a_history_depends_on_the_seed_alone() -> None:
    def losses(seed: int) -> list[float]:
        return history(PROBLEM, seed, 200, 0, "refinement").losses.tolist()

    assert losses(0) == losses(0) != losses(1)


def test_a_refinement_is_near_its_origin_with_one_in_ten_choices_drawn_anew() -> None:
    origin = Points(np.full((2, 1000), 0.5), np.zeros((2, 1000), dtype=np.int64))
    anew = Points(np.zeros((2, 1000)), np.ones((2, 1000), dtype=np.int64))
    near = refined(origin, anew, np.random.default_rng(0))
    assert 0.01 < near.unit.std() < 0.1
    assert 0.08 < near.choice.mean() < 0.12


def test_a_history_may_be_the_samplers_own() -> None:
    trials = history(PROBLEM, 0, 40, 5, "sampler")
    assert len(trials) == 40
    assert np.median(trials.losses[30:]) < np.median(trials.losses[:10])


def test_scores_that_differ_by_a_constant_do_not_differ() -> None:
    found = Thinned()
    compare(np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0]), found)
    compare(np.array([1.0, 2.0, 3.0]), np.array([5.0, 2.0, 2.0]), found)
    assert [each.tolist() for each in found.differences] == [[0.0, 0.0, 0.0], [3.0, 1.0, 2.0]]
    assert found.others == [False, True]


def test_kernels_that_are_not_thinned_give_the_same_suggestions_and_scores() -> None:
    trials = history(PROBLEM, 0, 60, 10, "refinement")
    found = Thinned()
    losses = continued(trials, sampler(UNLIMITED), {sampler(1000): found}, 0, 5)
    again = continued(history(PROBLEM, 0, 60, 10, "refinement"), sampler(1000), {}, 0, 5)
    assert losses.tolist() == again.tolist() == trials.losses[60:].tolist()
    assert (found.differences[0].max(), found.others) == (0.0, [False])


def test_every_limit_continues_the_same_histories() -> None:
    given = Namespace(most=[1000, 20], seeds=2, history=60, suggestions=5, made_by="refinement")
    before, found = measured(BOWL, given)
    assert before[0] == history(BOWL, 0, 60, 0, "refinement").losses.min() / scale_of(BOWL).typical
    assert found[UNLIMITED].best == found[1000].best != found[20].best
    assert [len(found[most].others) for most in (UNLIMITED, 1000, 20)] == [0, 2, 2]
