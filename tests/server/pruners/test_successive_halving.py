import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.server.pruners.curves import (
    COSTLY,
    CURVES,
    DIRECTIONS,
    INF,
    NAN,
    OWN,
    VALUES,
    Costly,
    Trials,
    at_step,
    complete,
    costly_trials,
    curve_after,
    decide,
    decisions_by_cost,
    halved_by_cost,
    halved_by_definition,
    sign_of,
    studied,
)
from tpeak_server.domain.observations import KEEP, Decision
from tpeak_server.pruners import Automatic, SuccessiveHalvingPruner
from tpeak_server.pruners.resource import Resource

THIRDS = SuccessiveHalvingPruner(min_resource=1, reduction_factor=3)
"""Its rungs are at the steps 1, 3, 9, 27."""

SECONDS = SuccessiveHalvingPruner(min_resource=0.5, reduction_factor=2, resource=Resource.COST)
"""Its rungs are at the costs 0.5, 1, 2, 4."""


def rising(last: int, value: float) -> dict[int, float]:
    return dict.fromkeys(range(last + 1), value)


def test_a_trial_not_among_the_best_at_a_rung_is_pruned_there() -> None:
    peers = at_step(9, 0.5, 0.6, 0.9)
    assert decide(THIRDS, rising(9, 0.81), peers) == Decision(
        prune=True, reason="step 9: 0.81 is not among the best 1 of 4 trials at rung 2 (step 9), limit 0.5"
    )
    assert decide(THIRDS, rising(8, 0.81), peers) is KEEP
    assert decide(THIRDS, rising(10, 0.81), peers) is KEEP
    assert decide(THIRDS, rising(9, 0.49), peers) is KEEP


def test_larger_is_better_where_the_study_maximizes() -> None:
    peers = at_step(9, 0.5, 0.6, 0.9, sign=-1.0)
    assert decide(THIRDS, rising(9, 0.81), peers).reason == (
        "step 9: 0.81 is not among the best 1 of 4 trials at rung 2 (step 9), limit 0.9"
    )
    assert decide(THIRDS, rising(9, 0.91), peers) is KEEP


def test_one_in_the_reduction_factor_passes_and_always_the_best_one() -> None:
    assert decide(THIRDS, rising(1, 9.0)) is KEEP
    assert decide(THIRDS, rising(1, 2.0), at_step(1, 1.0)).prune
    assert decide(THIRDS, rising(1, 2.0), at_step(1, 1.0, 3.0, 4.0, 5.0)).prune
    assert decide(THIRDS, rising(1, 2.0), at_step(1, 1.0, 3.0, 4.0, 5.0, 6.0)) is KEEP
    # A tie with the last that passes, passes.
    assert decide(THIRDS, rising(1, 1.0), at_step(1, 1.0)) is KEEP
    assert decide(THIRDS, rising(1, INF), at_step(1, INF)) is KEEP


def test_rungs_begin_later_at_a_higher_rate() -> None:
    pruner = SuccessiveHalvingPruner(min_resource=2, reduction_factor=3, min_early_stopping_rate=1)
    peers = complete(rising(100, 0.0))
    pruned = [step for step in range(60) if decide(pruner, rising(step, 1.0), peers).prune]
    assert pruned == [6, 18, 54]


def test_trials_compete_with_what_they_had_at_the_first_step_at_or_beyond_the_rung() -> None:
    peers = Trials({0: {2: 1.0, 4: 5.0, 9: 0.0}, 1: {2: 0.0}, 2: {3: NAN, 4: 0.0}, OWN: {}})
    assert decide(THIRDS, {2: 0.0, 4: 6.0}, peers).reason == (
        "step 4: 6 is not among the best 1 of 2 trials at rung 1 (step 3), limit 5"
    )
    assert decide(THIRDS, {2: 0.0, 4: 4.0}, peers) is KEEP


def test_one_report_that_reaches_several_rungs_is_judged_at_each_from_the_lowest() -> None:
    peers = complete(rising(9, 1.0))
    curve = {0: 0.0, 1: 0.0, 2: 0.0, 5: 2.0, 9: 3.0}
    assert decide(THIRDS, curve, peers, new=5).reason == (
        "step 5: 2 is not among the best 1 of 2 trials at rung 1 (step 3), limit 1"
    )
    assert decide(THIRDS, curve, peers, new=2).reason == decide(THIRDS, curve, peers, new=5).reason
    assert decide(THIRDS, curve, peers, new=1).reason == (
        "step 9: 3 is not among the best 1 of 2 trials at rung 2 (step 9), limit 1"
    )
    assert decide(THIRDS, {9: 0.0}, peers) is KEEP


def test_nan_at_a_rung_is_pruned_and_elsewhere_it_is_not() -> None:
    assert decide(THIRDS, {0: 1.0, 3: NAN}) == Decision(
        prune=True, reason="step 3: the value at rung 0 (step 1) is NaN"
    )
    assert decide(THIRDS, {0: 1.0, 3: 1.0, 4: NAN}) is KEEP


def test_the_first_trials_at_a_rung_are_pruned_while_it_is_bootstrapped() -> None:
    pruner = SuccessiveHalvingPruner(min_resource=1, reduction_factor=3, bootstrap_count=2)
    assert decide(pruner, rising(1, 0.0), at_step(1, 1.0)).reason == (
        "step 1: all of the first 2 trials at rung 0 (step 1) stop there, this is 2"
    )
    assert decide(pruner, rising(1, 0.0), at_step(1, 1.0, 1.0)) is KEEP


def test_every_trial_is_kept_until_automatic_settings_are_told() -> None:
    peers = complete(rising(10, 0.0))
    assert decide(SuccessiveHalvingPruner(), rising(1, 1.0), peers) is KEEP
    assert decide(SuccessiveHalvingPruner(), {}, peers) is KEEP
    assert isinstance(SuccessiveHalvingPruner(), Automatic)
    told = [SuccessiveHalvingPruner().told(deepest)["min_resource"] for deepest in (-200, 0, 99, 199, 200, 1234)]
    assert told == [1, 1, 1, 1, 2, 12]
    assert THIRDS.told(1234) == {}


def test_steps_below_the_first_rung_and_negative_ones_are_kept() -> None:
    assert decide(THIRDS, {-9: 1.0, 0: 1.0}, complete(rising(9, 0.0))) is KEEP
    assert decide(THIRDS, {}) is KEEP


@settings(max_examples=200, deadline=None)
@given(
    curve=CURVES,
    others=st.lists(CURVES, max_size=9),
    direction=DIRECTIONS,
    least=st.integers(1, 3),
    factor=st.integers(2, 4),
    rate=st.integers(0, 1),
    bootstrap=st.integers(0, 3),
    new=st.integers(1, 4),
)
def test_decisions_are_those_of_the_definition(
    curve: dict[int, float],
    others: list[dict[int, float]],
    direction: str,
    least: int,
    factor: int,
    rate: int,
    bootstrap: int,
    new: int,
) -> None:
    peers = Trials(dict(enumerate(others)), {}, sign_of(direction))
    pruner = SuccessiveHalvingPruner(
        min_resource=least, reduction_factor=factor, min_early_stopping_rate=rate, bootstrap_count=bootstrap
    )
    rungs = [least * factor**power for power in range(rate, rate + 5)]
    expected = halved_by_definition(curve, new, others, peers.sign, rungs, factor, bootstrap)
    assert decide(pruner, curve, peers, new=new).prune == expected


@settings(max_examples=150, deadline=None)
@given(
    events=st.lists(st.tuples(st.integers(0, 4), VALUES, st.integers(1, 2)), max_size=40),
    direction=DIRECTIONS,
    least=st.integers(2, 3),
    factor=st.integers(2, 3),
    rate=st.integers(0, 1),
    bootstrap=st.integers(0, 2),
)
def test_a_study_goes_as_with_optuna(
    events: list[tuple[int, float, int]], direction: str, least: int, factor: int, rate: int, bootstrap: int
) -> None:
    # With rungs from step 2 and gaps of at most 2 no report reaches two rungs at once.
    theirs = optuna.pruners.SuccessiveHalvingPruner(least, factor, rate, bootstrap)
    ours = SuccessiveHalvingPruner(
        min_resource=least, reduction_factor=factor, min_early_stopping_rate=rate, bootstrap_count=bootstrap
    )
    for number, step, first, second in studied(ours, theirs, events, direction):
        assert first == second, f"trial {number} at step {step}"


def test_a_long_study_goes_as_with_optuna_and_prunes_at_every_rung() -> None:
    values = [((trial * 7919) % 101) / 101.0 for trial in range(60)]
    events = [(trial, values[trial], 1) for first in (0, 30) for _ in range(20) for trial in range(first, first + 30)]
    decisions = studied(THIRDS, optuna.pruners.SuccessiveHalvingPruner(1, 3), events, "maximize")
    assert [first for _, _, first, _ in decisions] == [second for _, _, _, second in decisions]
    assert {step for _, step, first, _ in decisions if first} == {1, 3, 9}


@pytest.mark.parametrize("rate", [0, 53])
def test_the_deepest_rungs_are_found_at_the_greatest_step(rate: int) -> None:
    pruner = SuccessiveHalvingPruner(min_resource=1, reduction_factor=2, min_early_stopping_rate=rate)
    peers = at_step(2**53, 0.0)
    assert decide(pruner, {2**53 - 1: 0.0, 2**53: 1.0}, peers).reason == (
        f"step {2**53}: 1 is not among the best 1 of 2 trials at rung {53 - rate} (step {2**53}), limit 0"
    )


def test_rungs_in_cost_are_reached_where_the_sum_of_the_costs_is_at_or_beyond_them() -> None:
    costs = dict.fromkeys(range(9), 0.25)
    peers = Trials({0: rising(9, 0.5), 1: {0: 0.75}}, costs={0: dict.fromkeys(range(10), 0.25), 1: {0: 9.0}})
    reasons = [decide(SECONDS, rising(step, 0.81), peers, costs=costs).reason for step in range(9)]
    assert reasons[3] == "step 3: 0.81 is not among the best 1 of 3 trials at rung 1 (cost 1), limit 0.5"
    assert [step for step, reason in enumerate(reasons) if reason] == [1, 3, 7]
    assert [decide(SECONDS, rising(step, 0.4), peers, costs=costs) for step in range(9)] == [KEEP] * 9


def test_what_a_trial_has_at_a_cost_is_its_value_at_the_first_step_whose_sum_is_that_much() -> None:
    # At the cost 1 trial 0 had 5 (0.25 + 0.75), trial 1 had 7 in its first step, and trial 2 has not got there.
    curves = {0: {0: 9.0, 3: 5.0, 4: 0.0}, 1: {2: 7.0, 3: 0.0}, 2: {0: 0.0, 9: 0.0}}
    peers = Trials(curves, costs={0: {0: 0.25, 3: 0.75, 4: 1.0}, 1: {2: 4.0}, 2: {0: 0.5, 9: 0.25}})
    own = {0: 0.0, 1: 6.0}
    assert decide(SECONDS, own, peers, costs={0: 0.5, 1: 0.5}).reason == (
        "step 1: 6 is not among the best 1 of 3 trials at rung 1 (cost 1), limit 5"
    )
    assert decide(SECONDS, {0: 0.0, 1: 4.0}, peers, costs={0: 0.5, 1: 0.5}) is KEEP


def test_a_late_report_decides_at_the_rungs_that_its_cost_makes_the_trial_reach_and_at_no_other() -> None:
    peers = Trials({0: {0: 0.0}}, costs={0: {0: 9.0}})
    # Steps 0 and 4 came first, with 0.5 each, and decided at 0.5 and 1; then comes step 2.
    values = {0: 1.0, 2: 3.0, 4: 2.0}
    for cost, reason in (
        (None, None),
        (0.0, None),
        (0.75, None),
        (1.0, "step 4: 2 is not among the best 1 of 2 trials at rung 2 (cost 2), limit 0"),
        (1.5, "step 2: 3 is not among the best 1 of 2 trials at rung 2 (cost 2), limit 0"),
    ):
        batches = [[(0, 1.0, 0.5), (4, 2.0, 0.5)], [(2, 3.0, cost)]]
        assert decisions_by_cost(SECONDS, batches, peers, OWN) == [True, reason is not None]
        costs = {0: 0.5, 4: 0.5} | ({} if cost is None else {2: cost})
        curve = curve_after(values, [2], number=OWN, sign=1.0, costs=costs)
        assert SECONDS.decide(curve, peers, sign=1.0).reason == reason


def test_a_late_report_decides_at_no_step_again() -> None:
    peers = complete(rising(9, 0.0))
    curve = curve_after({0: 1.0, 2: 1.0, 4: 1.0}, [2], number=OWN, sign=1.0, costs={})
    assert THIRDS.decide(curve, peers, sign=1.0) is KEEP


def test_reports_without_a_cost_add_nothing_and_a_trial_without_any_is_kept() -> None:
    peers = Trials({0: rising(9, 0.0)}, costs={0: {0: 9.0}})
    assert decide(SECONDS, rising(9, 1.0), peers, new=10) is KEEP
    assert decide(SECONDS, rising(9, 1.0), peers, new=10, costs={3: 0.0, 4: 0.25}) is KEEP
    assert decide(SECONDS, rising(9, 1.0), peers, new=10, costs={3: 0.25, 7: 0.25}).reason == (
        "step 7: 1 is not among the best 1 of 2 trials at rung 0 (cost 0.5), limit 0"
    )


def test_the_least_cost_is_a_hundredth_of_the_greatest_and_not_at_least_one() -> None:
    automatic = SuccessiveHalvingPruner(resource=Resource.COST)
    told = [automatic.told(deepest)["min_resource"] for deepest in (50.0, 0.25, 1e6, 5e-324, INF)]
    assert told == [0.5, 0.0025, 10_000.0, 5e-324, 1.7976931348623157e306]
    assert SECONDS.told(50.0) == {}


@pytest.mark.parametrize(
    ("pruner", "cost", "place"),
    [
        (SuccessiveHalvingPruner(min_resource=1_000_000, resource=Resource.COST), 2e6, "rung 0 (cost 1000000)"),
        (
            SuccessiveHalvingPruner(min_resource=0.1, reduction_factor=3, resource=Resource.COST),
            0.1,
            "rung 0 (cost 0.1)",
        ),
        (SuccessiveHalvingPruner(min_resource=1e308, resource=Resource.COST), INF, "rung 0 (cost 1e+308)"),
        (
            SuccessiveHalvingPruner(min_resource=5e-324, min_early_stopping_rate=53, resource=Resource.COST),
            INF,
            "rung 0 (cost 4.00",
        ),
        (
            SuccessiveHalvingPruner(
                min_resource=1.0, reduction_factor=2**53, min_early_stopping_rate=53, resource=Resource.COST
            ),
            INF,
            None,
        ),
    ],
)
def test_costs_of_every_size_have_their_rungs(pruner: SuccessiveHalvingPruner, cost: float, place: str | None) -> None:
    peers = Trials({0: {0: 0.0}}, costs={0: {0: cost}})
    reason = decide(pruner, {0: 1.0}, peers, costs={0: cost}).reason
    assert (reason is None) if place is None else (place in str(reason))


@settings(max_examples=300, deadline=None)
@given(
    batches=st.lists(COSTLY, max_size=5),
    others=st.lists(COSTLY, max_size=9),
    direction=DIRECTIONS,
    least=st.sampled_from([0.25, 0.3, 1.0]),
    factor=st.integers(2, 4),
    rate=st.integers(0, 1),
    bootstrap=st.integers(0, 3),
)
def test_decisions_in_cost_are_those_of_the_definition(
    batches: list[Costly],
    others: list[Costly],
    direction: str,
    least: float,
    factor: int,
    rate: int,
    bootstrap: int,
) -> None:
    sign = sign_of(direction)
    pruner = SuccessiveHalvingPruner(
        min_resource=least,
        reduction_factor=factor,
        min_early_stopping_rate=rate,
        bootstrap_count=bootstrap,
        resource=Resource.COST,
    )
    rungs = [least * factor**power for power in range(rate, rate + 12)]
    expected = halved_by_cost(batches, others, sign, rungs, factor, bootstrap)
    assert decisions_by_cost(pruner, batches, costly_trials(others, sign), OWN) == expected
