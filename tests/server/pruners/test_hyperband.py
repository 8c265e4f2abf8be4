import hashlib
import itertools
import math
from collections import Counter
from collections.abc import Callable

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.server.pruners.curves import (
    COSTLY,
    CURVES,
    DIRECTIONS,
    VALUES,
    Costly,
    Trials,
    complete,
    costly_trials,
    decide,
    decisions_by_cost,
    halved_by_cost,
    halved_by_definition,
    sign_of,
    studied,
)
from tpeak_server.domain.observations import KEEP
from tpeak_server.pruners import Automatic, HyperbandPruner
from tpeak_server.pruners.resource import Resource


def numbers_in(pruner: HyperbandPruner, bracket: int, count: int) -> list[int]:
    """The first trials of a bracket."""
    return [number for number in range(1000) if pruner.bracket_of(number) == bracket][:count]


@pytest.mark.parametrize(
    ("max_resource", "shares"),
    [
        # Table 1 of the paper: n = 81, 34, 15, 8, 5.
        (81, [81, 34, 15, 8, 5]),
        (80, [27, 12, 6, 4]),
        (2, [1]),
        # log(243) / log(3) is below 5 in floating-point numbers.
        (243, [243, 98, 41, 18, 9, 6]),
    ],
)
def test_brackets_get_the_papers_shares_of_the_trials(max_resource: int, shares: list[int]) -> None:
    pruner = HyperbandPruner(max_resource=max_resource)
    counts = Counter(pruner.bracket_of(number) for number in range(10_000))
    assert sorted(counts) == list(range(len(shares)))
    for bracket, share in enumerate(shares):
        expected = share / sum(shares)
        # Five standard deviations of a binomial count.
        deviation = math.sqrt(10_000 * expected * (1.0 - expected))
        assert abs(counts[bracket] - 10_000 * expected) <= 5.0 * deviation


@pytest.mark.parametrize(("least", "most", "factor"), [(1, 100, 3), (2, 81, 3), (3, 50, 2), (1, 1, 4)])
def test_the_shares_are_optunas(least: int, most: int, factor: int) -> None:
    theirs = optuna.pruners.HyperbandPruner(least, most, factor)
    theirs._try_initialization(optuna.create_study())
    ends = list(itertools.accumulate(theirs._trial_allocation_budgets))
    ours = HyperbandPruner(min_resource=least, max_resource=most, reduction_factor=factor, seed=5)
    for number in range(500):
        drawn = hashlib.blake2b(f"5 {number}".encode(), digest_size=8).digest()
        at = int.from_bytes(drawn, "big") % ends[-1]
        assert ours.bracket_of(number) == next(bracket for bracket, end in enumerate(ends) if at < end)


def test_a_trials_bracket_follows_from_the_seed_and_its_number() -> None:
    brackets = [[HyperbandPruner(max_resource=9, seed=seed).bracket_of(n) for n in range(12)] for seed in (0, 1)]
    assert brackets == [[0, 0, 0, 2, 0, 2, 1, 1, 2, 0, 0, 2], [0, 0, 0, 0, 1, 2, 0, 0, 2, 0, 0, 0]]


def test_a_trial_is_pruned_at_a_rung_of_its_bracket() -> None:
    pruner = HyperbandPruner(max_resource=27)
    for bracket, rungs in enumerate([[1, 3, 9, 27], [3, 9, 27], [9, 27], [27]]):
        good, own = numbers_in(pruner, bracket, 2)
        peers = Trials({good: dict.fromkeys(range(40), 0.0)})
        curves = {last: dict.fromkeys(range(last + 1), 1.0) for last in range(40)}
        assert [last for last in curves if decide(pruner, curves[last], peers, number=own).prune] == rungs
        assert decide(pruner, curves[27], peers, number=own).reason == (
            f"step 27: 1 is not among the best 1 of 2 trials of bracket {bracket} at rung {3 - bracket} (step 27),"
            " limit 0"
        )


def test_trials_of_other_brackets_do_not_compete() -> None:
    pruner = HyperbandPruner(max_resource=27)
    own, *_ = numbers_in(pruner, 1, 1)
    others = {number: dict.fromkeys(range(9), 0.0) for number in numbers_in(pruner, 0, 5)}
    assert decide(pruner, dict.fromkeys(range(4), 1.0), Trials(others), number=own) is KEEP


def test_peers_are_asked_with_one_function_for_each_bracket() -> None:
    class Asked(Trials):
        def reached(
            self,
            amount: float,
            without: int,
            *,
            resource: Resource = Resource.STEP,
            bracket: int = 0,
            members: Callable[[int], bool] | None = None,
        ) -> list[float]:
            asked.add((bracket, members))
            return super().reached(amount, without, resource=resource, bracket=bracket, members=members)

    asked: set[tuple[int, Callable[[int], bool] | None]] = set()
    pruner = HyperbandPruner(max_resource=9)
    for number in range(100):
        decide(pruner, dict.fromkeys(range(10), 1.0), Asked({}), number=number)
    assert sorted(bracket for bracket, _ in asked) == [0, 1, 2]
    for bracket, members in asked:
        assert members is not None
        assert [members(n) for n in range(50)] == [pruner.bracket_of(n) == bracket for n in range(50)]


def test_every_trial_is_kept_until_the_most_resource_is_told_or_where_it_is_too_little() -> None:
    peers = complete(dict.fromkeys(range(10), 0.0))
    worse = dict.fromkeys(range(10), 1.0)
    assert decide(HyperbandPruner(), worse, peers) is KEEP
    assert decide(HyperbandPruner(min_resource=5, max_resource=4), worse, peers) is KEEP
    assert isinstance(HyperbandPruner(), Automatic)
    assert HyperbandPruner().told(26) == {"max_resource": 27}
    assert [HyperbandPruner().told(deepest)["max_resource"] for deepest in (-5, 0, 2**53)] == [1, 1, 2**53]
    assert HyperbandPruner(max_resource=81).told(26) == {}


def shares_by_definition(least: int, most: int, factor: int) -> list[int]:
    """n of Algorithm 1 for s from s_max to 0, with B / R = s_max + 1."""
    largest = -1
    while least * factor ** (largest + 1) <= most:
        largest += 1
    return [math.ceil((largest + 1) * factor**s / (s + 1)) for s in range(largest, -1, -1)]


@settings(max_examples=200, deadline=None)
@given(
    curve=CURVES,
    others=st.lists(CURVES, max_size=12),
    direction=DIRECTIONS,
    least=st.integers(1, 2),
    most=st.integers(1, 9),
    factor=st.integers(2, 3),
    bootstrap=st.integers(0, 2),
    seed=st.integers(0, 9),
    new=st.integers(1, 4),
)
def test_decisions_are_those_of_the_definition(
    curve: dict[int, float],
    others: list[dict[int, float]],
    direction: str,
    least: int,
    most: int,
    factor: int,
    bootstrap: int,
    seed: int,
    new: int,
) -> None:
    pruner = HyperbandPruner(
        min_resource=least, max_resource=most, reduction_factor=factor, bootstrap_count=bootstrap, seed=seed
    )
    peers = Trials(dict(enumerate(others)), {}, sign_of(direction))
    ours = decide(pruner, curve, peers, number=len(others), new=new).prune
    if not shares_by_definition(least, most, factor):
        assert not ours
        return
    bracket = pruner.bracket_of(len(others))
    same = [other for number, other in enumerate(others) if pruner.bracket_of(number) == bracket]
    rungs = [least * factor**power for power in range(bracket, 5)]
    assert ours == halved_by_definition(curve, new, same, peers.sign, rungs, factor, bootstrap)


def like_ours(ours: HyperbandPruner, *arguments: int) -> optuna.pruners.HyperbandPruner:
    """Optuna's rule, with our brackets of trials."""
    theirs = optuna.pruners.HyperbandPruner(*arguments)
    theirs._get_bracket_id = lambda study, trial: ours.bracket_of(trial.number)  # type: ignore[method-assign]
    return theirs


@settings(max_examples=150, deadline=None)
@given(
    events=st.lists(st.tuples(st.integers(0, 7), VALUES, st.integers(1, 2)), max_size=50),
    direction=DIRECTIONS,
    least=st.integers(2, 3),
    most=st.integers(4, 20),
    factor=st.integers(2, 3),
    bootstrap=st.integers(0, 2),
    seed=st.integers(0, 9),
)
def test_a_study_goes_as_with_optuna(
    events: list[tuple[int, float, int]],
    direction: str,
    least: int,
    most: int,
    factor: int,
    bootstrap: int,
    seed: int,
) -> None:
    # With rungs from step 2 and gaps of at most 2 no report reaches two rungs at once.
    ours = HyperbandPruner(
        min_resource=least, max_resource=most, reduction_factor=factor, bootstrap_count=bootstrap, seed=seed
    )
    for number, step, first, second in studied(
        ours, like_ours(ours, least, most, factor, bootstrap), events, direction
    ):
        assert first == second, f"trial {number} at step {step}"


def test_a_long_study_goes_as_with_optuna_and_prunes_at_every_rung() -> None:
    ours = HyperbandPruner(max_resource=27)
    values = [((trial * 7919) % 101) / 101.0 for trial in range(90)]
    events = [
        (trial, values[trial], 1) for first in (0, 30, 60) for _ in range(28) for trial in range(first, first + 30)
    ]
    decisions = studied(ours, like_ours(ours, 1, 27, 3), events, "minimize")
    assert [first for _, _, first, _ in decisions] == [second for _, _, _, second in decisions]
    pruned = {(ours.bracket_of(number), step) for number, step, first, _ in decisions if first}
    assert {bracket for bracket, _ in pruned} == {0, 1, 2, 3}
    assert {step for _, step in pruned} == {1, 3, 9, 27}


def test_brackets_in_cost_go_up_to_the_greatest_cost_itself() -> None:
    automatic = HyperbandPruner(min_resource=0.25, resource=Resource.COST)
    assert automatic.told(2.25) == {"max_resource": 2.25}
    pruner = HyperbandPruner(min_resource=0.25, max_resource=2.25, resource=Resource.COST)
    costs = dict.fromkeys(range(9), 0.25)
    for bracket, steps in enumerate([[0, 2, 8], [2, 8], [8]]):
        good, own = numbers_in(pruner, bracket, 2)
        peers = Trials({good: dict.fromkeys(range(9), 0.0)}, costs={good: costs})
        curves = {last: dict.fromkeys(range(last + 1), 1.0) for last in range(9)}
        pruned = [last for last in curves if decide(pruner, curves[last], peers, number=own, costs=costs).prune]
        assert pruned == steps
        assert decide(pruner, curves[8], peers, number=own, costs=costs).reason == (
            f"step 8: 1 is not among the best 1 of 2 trials of bracket {bracket} at rung {2 - bracket} (cost 2.25),"
            " limit 0"
        )
    for number in (good, own):
        too_little = HyperbandPruner(min_resource=3.0, max_resource=2.25, resource=Resource.COST)
        assert decide(too_little, curves[8], peers, number=number, costs=costs) is KEEP


def test_brackets_in_cost_get_their_shares_however_far_apart_the_rungs_are() -> None:
    pruner = HyperbandPruner(min_resource=1e-300, max_resource=1e300, reduction_factor=3, resource=Resource.COST)
    counts = Counter(pruner.bracket_of(number) for number in range(10_000))
    # Each share is a little more than a third of the one before.
    assert [round(counts[bracket] / 1000) for bracket in range(3)] == [7, 2, 1]


def test_there_are_no_more_brackets_in_cost_than_there_can_be_in_steps() -> None:
    pruner = HyperbandPruner(min_resource=1e-300, max_resource=1e300, reduction_factor=2, resource=Resource.COST)
    assert {pruner.bracket_of(number) for number in range(200)} <= set(range(54))


@settings(max_examples=300, deadline=None)
@given(
    batches=st.lists(COSTLY, max_size=5),
    others=st.lists(COSTLY, max_size=12),
    direction=DIRECTIONS,
    least=st.sampled_from([0.25, 0.3]),
    most=st.sampled_from([0.25, 1.0, 2.7, 9.0]),
    factor=st.integers(2, 3),
    bootstrap=st.integers(0, 2),
    seed=st.integers(0, 9),
)
def test_decisions_in_cost_are_those_of_the_definition(
    batches: list[Costly],
    others: list[Costly],
    direction: str,
    least: float,
    most: float,
    factor: int,
    bootstrap: int,
    seed: int,
) -> None:
    pruner = HyperbandPruner(
        min_resource=least,
        max_resource=most,
        reduction_factor=factor,
        bootstrap_count=bootstrap,
        resource=Resource.COST,
        seed=seed,
    )
    number, sign = len(others), sign_of(direction)
    found = decisions_by_cost(pruner, batches, costly_trials(others, sign), number)
    if least > most:
        assert not any(found)
        return
    bracket = pruner.bracket_of(number)
    same = [other for at, other in enumerate(others) if pruner.bracket_of(at) == bracket]
    rungs = [least * factor**power for power in range(bracket, bracket + 12)]
    assert found == halved_by_cost(batches, same, sign, rungs, factor, bootstrap)
