import math

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.server.pruners.curves import (
    CURVES,
    DIRECTIONS,
    INF,
    NAN,
    Trials,
    at_step,
    complete,
    decide,
    optunas_decision,
    sign_of,
)
from tpeak_server.domain.observations import KEEP, Decision
from tpeak_server.pruners import MedianPruner, PatientPruner, SuccessiveHalvingPruner

ALONE = PatientPruner(wrapped_pruner=None, patience=1)


def test_a_trial_that_stopped_improving_is_pruned_where_no_rule_is_wrapped() -> None:
    assert decide(ALONE, {0: 0.9, 1: 0.5, 2: 0.7, 3: 0.6}) == Decision(
        prune=True, reason="step 3: the best of the last 2 steps, 0.6, is worse than 0.5 before"
    )
    assert decide(ALONE, {0: 0.9, 1: 0.5, 2: 0.7, 3: 0.5}) is KEEP
    assert decide(ALONE, {0: 0.9, 1: 0.5, 2: 0.4, 3: 0.6}) is KEEP


def test_larger_is_better_where_the_study_maximizes() -> None:
    peers = Trials({}, sign=-1.0)
    assert decide(ALONE, {0: 0.9, 1: 0.5, 2: 0.7, 3: 0.6}, peers).reason == (
        "step 3: the best of the last 2 steps, 0.7, is worse than 0.9 before"
    )
    assert decide(ALONE, {0: 0.1, 1: 0.5, 2: 0.7, 3: 0.6}, peers) is KEEP


def test_patience_counts_reported_steps_and_delta_is_in_the_users_units() -> None:
    assert decide(PatientPruner(wrapped_pruner=None, patience=0), {0: 1.0}) is KEEP
    assert decide(PatientPruner(wrapped_pruner=None, patience=0), {0: 1.0, 9: 2.0}).reason == (
        "step 9: the best of the last 1 step, 2, is worse than 1 before"
    )
    assert decide(ALONE, {0: 1.0, 100: 2.0}) is KEEP
    within = PatientPruner(wrapped_pruner=None, patience=0, min_delta=0.5)
    assert decide(within, {0: 1.0, 1: 1.5}) is KEEP
    assert decide(within, {0: 1.0, 1: 1.75}).reason == (
        "step 1: the best of the last 1 step, 1.75, is worse than 1 before by more than 0.5"
    )


def test_nan_is_ignored_and_nothing_else_than_nan_is_kept() -> None:
    assert decide(ALONE, {0: NAN, 1: 0.5, 2: NAN, 3: 0.6}).prune
    assert decide(ALONE, {0: 0.5, 1: 0.5, 2: NAN, 3: NAN}) is KEEP
    assert decide(ALONE, {0: NAN, 1: NAN, 2: 0.5, 3: 0.6}) is KEEP
    assert decide(ALONE, {0: INF, 1: INF, 2: INF, 3: INF}) is KEEP


def test_the_wrapped_rule_decides_once_patience_has_ended_and_both_say_why() -> None:
    pruner = PatientPruner(wrapped_pruner=MedianPruner(), patience=0)
    peers = at_step(2, 0.1, 0.2, 0.3, 0.4, 0.5)
    assert decide(pruner, {1: 0.9, 2: 0.8}, peers) is KEEP
    assert decide(pruner, {1: 0.2, 2: 0.8}, peers) is KEEP
    assert decide(pruner, {1: 0.6, 2: 0.8}, peers) == Decision(
        prune=True,
        reason="step 2: the best of the last 1 step, 0.8, is worse than 0.6 before;"
        " best 0.6 is above the median 0.3 of 5 complete trials",
    )


def test_what_is_told_is_told_of_the_wrapped_rule() -> None:
    assert PatientPruner(wrapped_pruner=SuccessiveHalvingPruner(), patience=0).told(350) == {"min_resource": 3}
    assert PatientPruner(wrapped_pruner=SuccessiveHalvingPruner(min_resource=3), patience=0).told(350) == {}
    assert PatientPruner(wrapped_pruner=MedianPruner(), patience=0).told(350) == {}
    assert ALONE.told(350) == {}


def by_definition(curve: dict[int, float], patience: int, min_delta: float, sign: float) -> bool:
    """Whether some value before the last patience + 1 steps beats all of them by more than the delta."""
    values = [sign * curve[step] for step in sorted(curve)]
    before = [value for value in values[: -patience - 1] if not math.isnan(value)]
    since = [value for value in values[-patience - 1 :] if not math.isnan(value)]
    return bool(since) and any(all(old + min_delta < new for new in since) for old in before)


@settings(max_examples=200, deadline=None)
@given(
    curve=CURVES,
    others=st.lists(CURVES, max_size=4),
    direction=DIRECTIONS,
    patience=st.integers(0, 4),
    min_delta=st.sampled_from([0.0, 0.5, 1.0]),
    wraps=st.booleans(),
)
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_decisions_are_those_of_the_definition_and_optunas(
    curve: dict[int, float],
    others: list[dict[int, float]],
    direction: str,
    patience: int,
    min_delta: float,
    wraps: bool,
) -> None:
    # Finite peers: on infinite ones the median rule has limits that Optuna's has not.
    finite = [{step: value for step, value in other.items() if math.isfinite(value)} for other in others]
    peers = complete(*finite, sign=sign_of(direction))
    median = MedianPruner(n_startup_trials=1) if wraps else None
    ours = decide(PatientPruner(wrapped_pruner=median, patience=patience, min_delta=min_delta), curve, peers).prune
    stalled = by_definition(curve, patience, min_delta, peers.sign)
    assert ours == (stalled and (median is None or decide(median, curve, peers).prune))
    wrapped = optuna.pruners.MedianPruner(n_startup_trials=1) if wraps else None
    assert ours == optunas_decision(optuna.pruners.PatientPruner(wrapped, patience, min_delta), curve, peers)
