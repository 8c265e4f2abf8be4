import math

import numpy as np
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
from tpeak_server.pruners import MedianPruner, NopPruner, PercentilePruner


def test_a_trial_above_the_median_is_pruned_where_small_is_good() -> None:
    peers = at_step(12, 0.5, 0.6, 0.7, 0.8, 0.9)
    assert decide(MedianPruner(), {11: 0.95, 12: 0.81}, peers) == Decision(
        prune=True, reason="step 12: best 0.81 is above the median 0.7 of 5 complete trials"
    )


def test_a_trial_below_the_median_is_pruned_where_large_is_good() -> None:
    peers = at_step(12, 0.5, 0.6, 0.87, 0.88, 0.9, sign=-1)
    assert decide(MedianPruner(), {11: 0.81, 12: 0.4}, peers) == Decision(
        prune=True, reason="step 12: best 0.81 is below the median 0.87 of 5 complete trials"
    )


def test_a_trial_that_was_good_once_or_ties_with_the_median_is_kept() -> None:
    peers = at_step(3, 1.0, 2.0, 3.0, 4.0, 5.0)
    assert decide(MedianPruner(), {1: 2.5, 3: 9.0}, peers) is KEEP
    assert decide(MedianPruner(), {3: 3.0}, peers) is KEEP


def test_the_percentile_is_of_the_best_in_both_directions() -> None:
    pruner = PercentilePruner(percentile=25.0)
    assert decide(pruner, {0: 2.5}, at_step(0, 1, 2, 3, 4, 5)).reason == (
        "step 0: best 2.5 is not among the best 25 % of 5 complete trials (limit 2)"
    )
    assert decide(pruner, {0: 3.5}, at_step(0, 1, 2, 3, 4, 5, sign=-1)).reason == (
        "step 0: best 3.5 is not among the best 25 % of 5 complete trials (limit 4)"
    )
    assert decide(pruner, {0: 4.0}, at_step(0, 1, 2, 3, 4, 5, sign=-1)) is KEEP


def test_numbers_that_would_look_equal_are_written_out() -> None:
    peers = complete({0: 1.0}, {}, {}, {}, {})
    assert decide(MedianPruner(), {0: 1.00000001}, peers).reason == (
        "step 0: best 1.00000001 is above the median 1.0 of 1 complete trial"
    )


def test_nan_is_ignored_but_nothing_else_than_nan_is_pruned() -> None:
    peers = at_step(2, 1.0, 2.0, 3.0, 4.0, 5.0)
    assert decide(MedianPruner(), {0: NAN, 1: 1.0, 2: NAN}, peers) is KEEP
    assert decide(MedianPruner(), {0: NAN, 2: NAN}, peers) == Decision(
        prune=True, reason="step 2: every value so far is NaN"
    )


def test_it_waits_for_complete_trials_warmup_steps_and_values_at_the_step() -> None:
    peers = at_step(4, 1.0, 1.0, 1.0, 1.0)
    assert decide(MedianPruner(), {4: 9.0}, peers) is KEEP
    assert decide(MedianPruner(n_startup_trials=4), {4: 9.0}, peers).prune
    assert decide(MedianPruner(n_startup_trials=4, n_warmup_steps=5), {4: 9.0}, peers) is KEEP
    assert decide(MedianPruner(n_startup_trials=4, n_min_trials=5), {4: 9.0}, peers) is KEEP
    assert decide(MedianPruner(n_startup_trials=4), {5: 9.0}, peers) is KEEP
    assert decide(MedianPruner(n_startup_trials=0), {0: 9.0}, Trials({})) is KEEP
    assert decide(MedianPruner(n_startup_trials=4), {}, peers) is KEEP


def test_it_looks_once_an_interval_at_the_first_report_in_it() -> None:
    pruner = MedianPruner(n_startup_trials=1, n_warmup_steps=2, interval_steps=3)
    peers = complete(dict.fromkeys(range(12), 0.0))
    reported = dict.fromkeys((0, 1, 2, 3, 4, 6, 7, 8), 1.0)
    looked = [step for step in reported if decide(pruner, {s: reported[s] for s in reported if s <= step}, peers).prune]
    # Intervals begin at 2, 5 and 8; 5 was not reported, so 6 stands in for it.
    assert looked == [2, 6, 8]


def test_the_steps_of_one_report_count_as_one_look() -> None:
    pruner = MedianPruner(n_startup_trials=1, interval_steps=4)
    peers = complete(dict.fromkeys(range(12), 0.0))
    curve = dict.fromkeys(range(7), 1.0)
    # The interval began at 4: steps 5 and 6 alone say nothing new, with 4 among them they do.
    assert decide(pruner, curve, peers, new=2) is KEEP
    assert decide(pruner, curve, peers, new=3).prune
    assert decide(pruner, curve, peers, new=7).prune


@pytest.mark.parametrize(
    ("others", "best", "prune"),
    [
        ((1.0, 2.0, INF), 3.0, True),
        ((1.0, 2.0, INF), 2.0, False),
        ((1.0, INF), 1e308, False),
        ((-INF, 1.0), 0.0, True),
        ((-INF, INF), 0.0, False),
        ((INF, INF), INF, False),
        ((-INF, -INF), -INF, False),
        ((-INF, -INF), 0.0, True),
        ((-1.7e308, 1.7e308), 1.0, True),
    ],
)
def test_infinities_and_extremes_have_a_median(others: tuple[float, ...], best: float, prune: bool) -> None:
    pruner = MedianPruner(n_startup_trials=1)
    assert decide(pruner, {0: best}, at_step(0, *others)).prune is prune
    assert decide(pruner, {0: -best}, at_step(0, *(-value for value in others), sign=-1)).prune is prune


def test_nop_keeps_everything() -> None:
    assert decide(NopPruner(), {0: NAN}, at_step(0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)) is KEEP


def by_definition(
    curve: dict[int, float],
    new: int,
    peers: Trials,
    percentile: float,
    n_startup_trials: int,
    n_warmup_steps: int,
    interval_steps: int,
) -> bool:
    """What numpy's percentile of the finite peers decides, in the user's values."""
    steps = sorted(curve)
    # An interval is looked at once: in the first report of those that have a step in it.
    begun = {(step - n_warmup_steps) // interval_steps for step in steps[:-new] if step >= n_warmup_steps}
    if not steps or steps[-1] < n_warmup_steps or (steps[-1] - n_warmup_steps) // interval_steps in begun:
        return False
    if not peers.curves or len(peers.curves) < n_startup_trials:
        return False
    values = [value for value in curve.values() if not math.isnan(value)]
    if not values:
        return True
    others = [other[steps[-1]] for other in peers.curves.values() if steps[-1] in other]
    if not others:
        return False
    if peers.sign > 0:
        return bool(min(values) > np.percentile(others, percentile))
    return bool(max(values) < np.percentile(others, 100.0 - percentile))


@settings(max_examples=200, deadline=None)
@given(
    curve=CURVES,
    others=st.lists(st.dictionaries(st.integers(0, 8), st.integers(-2, 2).map(float), max_size=6), max_size=8),
    direction=DIRECTIONS,
    percentile=st.sampled_from([0.0, 25.0, 50.0, 75.0, 100.0]),
    counts=st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(1, 4)),
    new=st.integers(1, 4),
)
def test_decisions_are_those_of_the_definition(
    curve: dict[int, float],
    others: list[dict[int, float]],
    direction: str,
    percentile: float,
    counts: tuple[int, int, int],
    new: int,
) -> None:
    peers = complete(*others, sign=sign_of(direction))
    startup, warmup, interval = counts
    pruner = PercentilePruner(
        percentile=percentile, n_startup_trials=startup, n_warmup_steps=warmup, interval_steps=interval
    )
    expected = by_definition(curve, new, peers, percentile, *counts)
    assert decide(pruner, curve, peers, new=new).prune == expected


def limit_is_infinite_arithmetic(curve: dict[int, float], others: list[dict[int, float]]) -> bool:
    """Whether an infinity takes part at the step: there numpy may find NaN where this rule finds a limit."""
    return bool(curve) and any(math.isinf(other.get(max(curve), 0.0)) for other in others)


@settings(max_examples=200, deadline=None)
@given(
    curve=CURVES,
    others=st.lists(CURVES, max_size=8),
    direction=DIRECTIONS,
    percentile=st.one_of(st.floats(0, 100), st.sampled_from([0.0, 25.0, 50.0, 75.0, 100.0])),
    n_startup_trials=st.integers(0, 4),
    n_warmup_steps=st.integers(0, 4),
    interval_steps=st.integers(1, 4),
)
def test_decisions_are_optunas(
    curve: dict[int, float],
    others: list[dict[int, float]],
    direction: str,
    percentile: float,
    n_startup_trials: int,
    n_warmup_steps: int,
    interval_steps: int,
) -> None:
    counts = {
        "n_startup_trials": n_startup_trials,
        "n_warmup_steps": n_warmup_steps,
        "interval_steps": interval_steps,
    }
    peers = complete(*others, sign=sign_of(direction))
    theirs = optunas_decision(optuna.pruners.PercentilePruner(percentile, **counts), curve, peers)
    ours = decide(PercentilePruner(percentile=percentile, **counts), curve, peers).prune
    if ours != theirs:
        # Only where numpy's interpolation meets an infinity, and then Optuna's NaN limit kept the trial.
        assert limit_is_infinite_arithmetic(curve, others)
        assert (ours, theirs) == (True, False)
