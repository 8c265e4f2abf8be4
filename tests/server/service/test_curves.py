"""The curves of a study, and what they are when trials change."""

from __future__ import annotations

import math
import random
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tpeak_server.domain.observations import Curve
from tpeak_server.domain.study import Direction, Study
from tpeak_server.domain.trial import Trial, TrialRecord, TrialState
from tpeak_server.pruners.resource import Resource
from tpeak_server.service.curves import Curves

MINIMIZED = Study(id=1, name="s", directions=(Direction.MINIMIZE,), sampler={}, pruner={"name": "median"}, seed=0)
MAXIMIZED = replace(MINIMIZED, directions=(Direction.MAXIMIZE,))
BOTH = replace(
    MINIMIZED, directions=(Direction.MINIMIZE, Direction.MAXIMIZE), pruner={"name": "median", "objective": 1}
)
NAN, INF = math.nan, math.inf
COMPLETE, RUNNING, PRUNED = TrialState.COMPLETE, TrialState.RUNNING, TrialState.PRUNED


def record(number: int, state: TrialState, curve: Mapping[int, Any], *values: float) -> TrialRecord:
    """A trial with that curve, of one value a report or of a tuple."""
    whole = {step: value if isinstance(value, tuple) else (value,) for step, value in curve.items()}
    return TrialRecord(trial=Trial(number=number, state=state, values=values or None), curve=whole)


def curves_of(*records: TrialRecord, study: Study = MINIMIZED, infeasible: tuple[int, ...] = ()) -> Curves:
    curves = Curves(study)
    for one in records:
        curves.put(one, feasible=one.trial.number not in infeasible)
    return curves


def test_losses_at_a_step_are_those_of_complete_trials_ascending_without_nan() -> None:
    curves = curves_of(
        record(0, COMPLETE, {0: 3.0, 1: NAN}, 3.0),
        record(1, COMPLETE, {0: 1.0, 1: INF}, 1.0),
        record(2, RUNNING, {0: 2.0}),
        record(3, PRUNED, {0: 2.5}),
    )
    assert (curves.complete, [*curves.losses_at(0)], [*curves.losses_at(1)]) == (2, [1.0, 3.0], [INF])
    assert [*curves.losses_at(2)] == []


def test_reports_are_losses_by_step_one_trial_after_the_other() -> None:
    curves = curves_of(
        record(0, COMPLETE, {5: 3.0, 1: 4.0}, 3.0), record(2, PRUNED, {1: NAN}), record(3, COMPLETE, {}, 1.0),
        record(7, PRUNED, {0: INF, 2: 2.0}), study=MAXIMIZED,
    )  # fmt: skip
    reports = curves.reports([0, 2, 3, 7], most=5)
    assert reports is not None
    assert (reports.starts.tolist(), reports.steps.tolist()) == ([0, 2, 3, 3, 5], [1, 5, 1, 0, 2])
    assert [str(loss) for loss in reports.losses] == ["-4.0", "-3.0", "nan", "-inf", "-2.0"]
    assert reports.first(2).losses.shape == (3,)
    assert curves.reports([0, 2, 3, 7], most=4) is None


def test_losses_of_a_study_that_maximizes_have_the_other_sign() -> None:
    curves = curves_of(record(0, COMPLETE, {0: 3.0}, 3.0), record(1, COMPLETE, {0: 1.0}, 1.0), study=MAXIMIZED)
    assert [*curves.losses_at(0)] == [-3.0, -1.0]
    assert curves.best == Curve(number=0, steps=(0,), losses=(-3.0,))


def test_a_rung_has_the_first_loss_at_or_beyond_it_of_every_trial_whatever_its_state() -> None:
    curves = curves_of(
        record(0, COMPLETE, {1: 9.0, 4: 3.0, 5: 0.0}, 3.0),
        record(1, PRUNED, {3: 2.0}),
        record(2, RUNNING, {2: 1.0}),
        record(3, TrialState.FAILED, {7: 5.0}),
        record(4, RUNNING, {3: NAN}),
    )
    assert [*curves.reached(3, without=9)] == [2.0, 3.0, 5.0]
    assert [*curves.reached(3, without=1)] == [3.0, 5.0]
    assert [*curves.reached(3, without=9)] == [2.0, 3.0, 5.0]


def test_a_rung_is_kept_up_while_trials_report_and_are_forgotten() -> None:
    curves = curves_of(record(0, RUNNING, {1: 9.0}))
    assert [*curves.reached(3, without=9)] == []
    curves.put(record(0, RUNNING, {1: 9.0, 5: 4.0}), feasible=True)
    curves.put(record(1, RUNNING, {3: 2.0}), feasible=True)
    assert [*curves.reached(3, without=9)] == [2.0, 4.0]
    curves.put(record(0, RUNNING, {1: 9.0, 4: 1.0, 5: 4.0}), feasible=True)
    assert [*curves.reached(3, without=9)] == [1.0, 2.0]
    curves.put(record(1, TrialState.WAITING, {}), feasible=True)
    assert [*curves.reached(3, without=9)] == [1.0]
    curves.drop(0)
    assert [*curves.reached(3, without=9)] == []


def test_brackets_are_rungs_of_their_own_members() -> None:
    curves = curves_of(*(record(number, RUNNING, {3: float(number)}) for number in range(4)))
    assert [*curves.reached(3, without=9, bracket=0, members=lambda number: number % 2 == 0)] == [0.0, 2.0]
    assert [*curves.reached(3, without=9, bracket=1, members=lambda number: number % 2 == 1)] == [1.0, 3.0]
    curves.put(record(6, RUNNING, {3: 9.0}), feasible=True)
    assert [*curves.reached(3, without=9, bracket=0)] == [0.0, 2.0, 9.0]
    assert [*curves.reached(3, without=9, bracket=1)] == [1.0, 3.0]


def test_the_best_is_the_earliest_feasible_one_with_the_least_final_loss() -> None:
    trials = [
        record(0, COMPLETE, {0: 5.0}, 0.5),
        record(1, COMPLETE, {0: 4.0, 2: NAN}, 0.25),
        record(2, COMPLETE, {0: 3.0}, 0.25),
        record(3, COMPLETE, {0: 2.0}, 0.0),
        record(4, COMPLETE, {0: 1.0}, NAN),
        record(5, PRUNED, {0: 0.0}),
    ]
    curves = curves_of(*trials, infeasible=(3,))
    best = curves.best
    assert best is not None
    assert (best.number, best.steps, best.losses[0], math.isnan(best.losses[1])) == (1, (0, 2), 4.0, True)
    curves.drop(1)
    assert curves.best == Curve(number=2, steps=(0,), losses=(3.0,))
    curves.put(record(6, COMPLETE, {}, -1.0), feasible=True)
    assert curves.best == Curve(number=6, steps=(), losses=())
    assert curves_of().best is None


def test_the_deepest_step_is_that_of_complete_trials() -> None:
    curves = curves_of(record(0, RUNNING, {9: 1.0}), record(1, COMPLETE, {}, 0.0))
    assert curves.deepest is None
    curves.put(record(2, COMPLETE, {0: 1.0, 7: 1.0}, 0.0), feasible=True)
    assert curves.deepest == 7


def test_of_several_objectives_it_follows_the_one_that_the_rule_names() -> None:
    curves = curves_of(
        record(0, COMPLETE, {0: (1.0, 5.0)}, 1.0, 5.0),
        record(1, COMPLETE, {0: (2.0, 6.0)}, 2.0, 6.0),
        record(2, RUNNING, {0: (3.0,)}),
        study=BOTH,
    )
    assert ([*curves.losses_at(0)], [*curves.reached(0, without=9)]) == ([-6.0, -5.0], [-6.0, -5.0])
    assert curves.best == Curve(number=1, steps=(0,), losses=(-6.0,))
    curves.follow(replace(BOTH, pruner={"name": "median", "objective": 0}))
    assert ([*curves.losses_at(0)], [*curves.reached(0, without=9)]) == ([1.0, 2.0], [1.0, 2.0, 3.0])
    assert curves.best == Curve(number=0, steps=(0,), losses=(1.0,))


def test_what_a_report_lacks_beside_wider_ones_is_nan() -> None:
    curves = curves_of(record(0, COMPLETE, {0: (1.0,), 1: (1.0, 5.0)}, 1.0, 5.0), study=BOTH)
    assert ([*curves.losses_at(0)], [*curves.losses_at(1)]) == ([], [-5.0])


def costing(number: int, state: TrialState, curve: Mapping[int, tuple[float, float]]) -> TrialRecord:
    """A trial whose reports have a value and a cost, complete ones with the final value 0."""
    whole = record(number, state, {step: value for step, (value, _) in curve.items()}, *[0.0] * (state is COMPLETE))
    return replace(whole, costs={step: cost for step, (_, cost) in curve.items()})


def test_a_rung_in_cost_has_the_first_loss_whose_costs_sum_up_to_it() -> None:
    curves = curves_of(
        costing(0, RUNNING, {1: (9.0, 0.5), 4: (3.0, 0.5), 5: (0.0, 0.5)}),
        costing(1, PRUNED, {0: (2.0, 7.0)}),
        costing(2, RUNNING, {0: (1.0, 0.25), 9: (1.0, 0.25)}),
        record(3, COMPLETE, {9: 5.0}, 5.0),
    )
    assert [*curves.reached(1.0, without=9, resource=Resource.COST)] == [2.0, 3.0]
    assert [*curves.reached(1, without=9)] == [1.0, 5.0, 9.0]
    curves.put(costing(2, RUNNING, {0: (1.0, 0.25), 4: (6.0, 0.5), 9: (4.0, 0.25)}), feasible=True)
    assert [*curves.reached(1.0, without=9, resource=Resource.COST)] == [2.0, 3.0, 4.0]
    curves.add(4, 3, (7.0,), (1.5,))
    assert [*curves.reached(1.0, without=0, resource=Resource.COST)] == [2.0, 4.0, 7.0]


def test_the_greatest_cost_is_that_of_complete_trials() -> None:
    curves = curves_of(
        record(0, COMPLETE, {0: 1.0}, 0.0), costing(1, RUNNING, {0: (1.0, 9.0)}), costing(2, COMPLETE, {0: (1.0, 0.0)})
    )
    assert curves.deepest_cost is None
    curves.put(costing(3, COMPLETE, {0: (1.0, 0.25), 1: (1.0, 0.5)}), feasible=True)
    curves.put(costing(4, COMPLETE, {0: (1.0, 0.5)}), feasible=False)
    assert curves.deepest_cost == 0.75
    curves.drop(3)
    assert curves.deepest_cost == 0.5


VALUES = st.sampled_from([NAN, INF, -INF, 0.0, -0.0, 0.5, 1.0])
COSTS = [None, 0.0, 0.1, 0.5, 9.0]
SHAPES = st.dictionaries(st.integers(0, 6), VALUES, max_size=5)


@settings(max_examples=200, deadline=None)
@given(
    changes=st.lists(
        st.tuples(
            st.integers(0, 4),
            st.sampled_from([COMPLETE, RUNNING, PRUNED, None]),
            SHAPES,
            VALUES,
            st.sampled_from(COSTS),
        ),
        max_size=20,
    ),
    maximizes=st.booleans(),
)
def test_whatever_changes_the_curves_are_what_the_trials_that_are_left_make_of_them(
    changes: list[tuple[int, TrialState | None, dict[int, float], float, float | None]], maximizes: bool
) -> None:
    study = MAXIMIZED if maximizes else MINIMIZED
    curves, left = Curves(study), dict[int, TrialRecord]()
    for step in (0, 3):
        curves.reached(step, without=9)
    for cost in (0.3, 1.0):
        curves.reached(cost, without=9, resource=Resource.COST)
    for number, state, curve, value, cost in changes:
        if state is None:
            curves.drop(number)
            left.pop(number, None)
        elif number not in left or left[number].trial.state is not COMPLETE:
            made = record(number, state, curve, *([value] if state is COMPLETE else []))
            left[number] = replace(made, costs={} if cost is None else dict.fromkeys(sorted(curve)[1:], cost))
            curves.put(left[number], feasible=True)
    fresh = curves_of(*left.values(), study=study)
    assert (curves.complete, curves.deepest) == (fresh.complete, fresh.deepest)
    assert curves.length == sum(len(one.curve) for one in left.values())
    assert curves.deepest_cost == fresh.deepest_cost
    assert [[*curves.reached(cost, without=2, resource=Resource.COST)] for cost in (0.3, 1.0)] == [
        slowly_by_cost(left, study, cost, 2) for cost in (0.3, 1.0)
    ]
    assert [[*curves.losses_at(step)] for step in range(7)] == [[*fresh.losses_at(step)] for step in range(7)]
    assert [[*curves.reached(step, without=2)] for step in (0, 3)] == [slowly(left, study, step, 2) for step in (0, 3)]
    assert repr(curves.best) == repr(fresh.best)


def slowly_by_cost(records: Mapping[int, TrialRecord], study: Study, amount: float, without: int) -> list[float]:
    found = []
    for number, one in records.items():
        total, reached = 0.0, NAN
        for step in sorted(one.curve, reverse=True):
            total = slow_sum(one.costs, step)
            reached = study.signs[0] * one.curve[step][0] if total >= amount else reached
        if number != without and not math.isnan(reached):
            found.append(reached)
    return sorted(found)


def slow_sum(costs: Mapping[int, float], last: int) -> float:
    total = 0.0
    for step in sorted(costs):
        total += costs[step] if step <= last else 0.0
    return total


def slowly(records: Mapping[int, TrialRecord], study: Study, step: int, without: int) -> list[float]:
    found = []
    for number, one in records.items():
        steps = sorted(one.curve)
        at = bisect_left(steps, step)
        if number != without and at < len(steps):
            found.append(study.signs[0] * one.curve[steps[at]][0])
    return sorted(loss for loss in found if not math.isnan(loss))


@pytest.mark.parametrize("seed", range(3))
def test_the_order_in_which_trials_come_is_no_matter(seed: int) -> None:
    trials = [record(number, COMPLETE, {0: number / 7 % 1, 5: NAN}, float(number % 3)) for number in range(20)]
    shuffled = random.Random(seed).sample(trials, len(trials))
    one, other = curves_of(*trials), curves_of(*shuffled)
    assert one.losses_at(0) == other.losses_at(0)
    assert repr(one.best) == repr(other.best)


def test_numbers_that_are_told_anew_make_new_rungs() -> None:
    curves = curves_of(*(record(number, RUNNING, {3: float(number)}) for number in range(4)))
    assert [*curves.reached(3, without=9, members=lambda number: number < 1)] == [0.0]
    curves.follow(replace(MINIMIZED, pruner_auto={"max_resource": 9}))
    assert [*curves.reached(3, without=9, members=lambda number: number < 2)] == [0.0, 1.0]
