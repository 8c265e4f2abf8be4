import math

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.server.pruners.curves import CURVES, DIRECTIONS, INF, NAN, Trials, decide, optunas_decision, sign_of
from tpeak_server.domain.observations import KEEP, Decision
from tpeak_server.pruners import ThresholdPruner

SMALL, LARGE = Trials({}, sign=1.0), Trials({}, sign=-1.0)


@pytest.mark.parametrize("peers", [SMALL, LARGE])
def test_the_latest_value_is_compared_with_limits_in_the_users_values(peers: Trials) -> None:
    pruner = ThresholdPruner(lower=-1.0, upper=2.0)
    assert decide(pruner, {3: 0.0, 4: 2.5}, peers) == Decision(
        prune=True, reason="step 4: 2.5 is above the upper limit 2"
    )
    assert decide(pruner, {3: 0.0, 4: -1.5}, peers) == Decision(
        prune=True, reason="step 4: -1.5 is below the lower limit -1"
    )
    assert decide(pruner, {3: 9.0, 4: 1.0}, peers) is KEEP


def test_a_value_on_a_limit_or_without_one_is_kept() -> None:
    assert decide(ThresholdPruner(lower=1.0), {0: 1.0}) is KEEP
    assert decide(ThresholdPruner(upper=1.0), {0: 1.0}) is KEEP
    assert decide(ThresholdPruner(lower=1.0), {0: INF}) is KEEP
    assert decide(ThresholdPruner(upper=1.0), {0: -INF}) is KEEP
    assert decide(ThresholdPruner(upper=1.0), {}) is KEEP


def test_nan_is_pruned_where_it_is_the_latest_value() -> None:
    assert decide(ThresholdPruner(upper=1.0), {0: 0.0, 1: NAN}).reason == "step 1: the value is NaN"
    assert decide(ThresholdPruner(upper=1.0), {0: NAN, 1: 0.0}) is KEEP


def test_it_waits_for_warmup_steps_and_looks_once_an_interval() -> None:
    pruner = ThresholdPruner(upper=0.0, n_warmup_steps=2, interval_steps=3)
    reported = (0, 1, 2, 3, 4, 6, 7, 8)
    looked = [step for step in reported if decide(pruner, {s: 1.0 for s in reported if s <= step}).prune]
    # Intervals begin at 2, 5 and 8; 5 was not reported, so 6 stands in for it.
    assert looked == [2, 6, 8]
    assert decide(pruner, dict.fromkeys(range(8), 1.0), new=2) is KEEP
    assert decide(pruner, dict.fromkeys(range(8), 1.0), new=3).prune


LIMITS = st.one_of(st.none(), st.sampled_from([-1.0, 0.0, 0.5, 1.0]))


def by_definition(
    curve: dict[int, float], new: int, lower: float, upper: float, n_warmup_steps: int, interval_steps: int
) -> bool:
    steps = sorted(curve)
    # An interval is looked at once: in the first report of those that have a step in it.
    begun = {(step - n_warmup_steps) // interval_steps for step in steps[:-new] if step >= n_warmup_steps}
    if not steps or steps[-1] < n_warmup_steps or (steps[-1] - n_warmup_steps) // interval_steps in begun:
        return False
    return not lower <= curve[steps[-1]] <= upper


@settings(max_examples=200, deadline=None)
@given(
    curve=CURVES,
    direction=DIRECTIONS,
    lower=LIMITS,
    upper=LIMITS,
    n_warmup_steps=st.integers(0, 4),
    interval_steps=st.integers(1, 4),
    new=st.integers(1, 4),
)
def test_decisions_are_those_of_the_definition_and_optunas(
    curve: dict[int, float],
    direction: str,
    lower: float | None,
    upper: float | None,
    n_warmup_steps: int,
    interval_steps: int,
    new: int,
) -> None:
    low, high = -math.inf if lower is None else lower, math.inf if upper is None else upper
    if low > high or (lower is None and upper is None):
        return
    peers = Trials({}, sign=sign_of(direction))
    counts = {"n_warmup_steps": n_warmup_steps, "interval_steps": interval_steps}
    pruner = ThresholdPruner(lower=lower, upper=upper, **counts)
    assert decide(pruner, curve, peers, new=new).prune == by_definition(curve, new, low, high, **counts)
    theirs = optunas_decision(optuna.pruners.ThresholdPruner(lower, upper, **counts), curve, peers)
    assert decide(pruner, curve, peers).prune == theirs
