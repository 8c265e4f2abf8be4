"""What is drawn together, what a thread draws, and which history a suggestion sees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from tpeak_server.domain.changes import Clock, Delta
from tpeak_server.domain.distributions import FloatDistribution
from tpeak_server.domain.study import Direction, Study, StudyState
from tpeak_server.domain.trial import Interned, Lease, Trial, TrialRecord, TrialState
from tpeak_server.service.commands import Ask
from tpeak_server.service.history import History
from tpeak_server.service.plan import PORTION, Plan
from tpeak_server.service.prepared import Prepared
from tpeak_server.service.proposing import Sampling

X, Y = FloatDistribution(low=0.0, high=1.0), FloatDistribution(low=0.0, high=9.0)
TPE, MANY = {"name": "tpe"}, 50_001
"""So many trials of one parameter are more than a thread need not take."""


def study(sampler: Mapping[str, Any] = TPE) -> Study:
    return Study(id=1, name="s", directions=(Direction.MINIMIZE,), sampler=sampler, pruner={}, seed=7, space={"x": X})


def records(first: int, end: int) -> list[TrialRecord]:
    return [record(number) for number in range(first, end)]


def record(number: int) -> TrialRecord:
    place = (number * 0.618034) % 1.0
    lease = Lease(number=number, epoch=1, token="t", worker="w", request_id="r", ordinal=0, request_hash=b"")
    trial = Trial(
        number=number,
        state=TrialState.COMPLETE,
        proposed={0: place},
        values=((place - 0.3) ** 2,),
        sampled_at_seq=number,
    )
    return TrialRecord(trial=trial, lease=lease)


def history(trials: int, sampler: Mapping[str, Any] = TPE) -> History:
    interned = [Interned(id=0, name="x", distribution=X, seen_seq=0)]
    return History(Delta(clock=clock(trials), study=study(sampler), interned=interned, records=records(0, trials)))


def clock(trials: int) -> Clock:
    return Clock(next_number=trials, handed=trials, seq=trials)


def grow(history: History, end: int) -> None:
    """Finishes trials up to that many."""
    new = records(history.clock.next_number, end)
    history.apply(Delta(clock=clock(end), study=history.study, interned=[], records=new))


def asks(*counts: int, **more: Any) -> list[Ask]:
    return [Ask(request_id=f"r{place}", worker="w", count=count, **more) for place, count in enumerate(counts)]


def planned(sampling: Sampling, history: History, *counts: int) -> Plan:
    return sampling.plan(history, asks(*counts), [], [])


def test_asks_of_one_group_are_drawn_together() -> None:
    plan = planned(Sampling(), history(30), 1, 2, 1)
    assert [count for _, count in plan.scenes] == [4]
    assert len(plan.draw().points) == 4


def test_asks_for_other_spaces_are_drawn_by_themselves_in_order() -> None:
    wide = asks(1, distributions={"y": Y})
    plan = Sampling().plan(history(30), [*asks(1), *wide, *asks(1, 1)], [], [])
    assert [(sorted(scene.space), count) for scene, count in plan.scenes] == [(["x"], 1), (["x", "y"], 1), (["x"], 2)]
    assert [sorted(point.values) for point in plan.draw().points] == [["x"], ["x", "y"], ["x"], ["x"]]


@pytest.mark.parametrize("sampler", [TPE, {"name": "random"}, {"name": "auto"}])
def test_a_group_draws_what_its_asks_draw_by_themselves(sampler: Mapping[str, Any]) -> None:
    at_once = planned(Sampling(), history(30, sampler), 11).draw()
    sampling, ahead = Sampling(), []
    for _ in range(11):
        ahead.append(sampling.plan(history(30, sampler), asks(1), [], ahead).draw())
    assert [dict(point.values) for point in at_once.points] == [dict(one.points[0].values) for one in ahead]


def test_others_get_a_turn_after_each_portion() -> None:
    drawn = [len(prepared.points) for prepared in planned(Sampling(), history(30), 2 * PORTION + 1).portions()]
    assert drawn == [8, 16, 17, 17]


def test_what_fills_a_portion_is_drawn_beyond_what_a_group_wants_and_is_what_the_next_would_draw() -> None:
    sampling, knows = fitted(1_000)
    first = handed_out(sampling, planned(sampling, knows, 3))
    second = sampling.plan(knows, asks(4), [], [first])
    third = sampling.plan(knows, asks(2), [], [first, handed_out(sampling, second)])
    assert [(len(plan.stocked), plan.beyond) for plan in (second, third)] == [(5, 0), (1, 7)]
    assert values([first, second.draw(), third.draw()]) == values([planned(Sampling(), knows, 9).draw()])


def test_what_was_drawn_beyond_is_of_no_use_once_the_scene_is_outdated() -> None:
    sampling, knows = fitted(1_000)
    handed_out(sampling, planned(sampling, knows, 1))
    grow(knows, 1_001)
    assert planned(sampling, knows, 1).stocked != ()
    grow(knows, 1_021)
    assert planned(sampling, knows, 1).stocked == ()


@pytest.mark.parametrize(("trials", "ended", "beyond"), [(1_000, 0, 7), (1_000, 17, 3), (1_000, 20, 0), (99, 0, 1)])
def test_no_more_is_drawn_beyond_than_trials_may_end_until_the_scene_is_outdated(
    trials: int, ended: int, beyond: int
) -> None:
    sampling, knows = fitted(trials)
    grow(knows, trials + ended)
    assert planned(sampling, knows, 1).beyond == beyond


def test_nothing_is_drawn_beyond_by_who_has_the_model_yet_to_fit() -> None:
    assert planned(Sampling(), history(1_000), 1).beyond == 0


def test_nothing_is_drawn_beyond_where_another_server_takes_numbers_or_under_the_lock() -> None:
    sampling, knows = fitted(1_000)
    plans = [sampling.plan(knows, asks(1), [], [], alone=False), sampling.plan(knows, asks(1), [], [], first=1_000)]
    assert [plan.beyond for plan in plans] == [0, 0]


@pytest.mark.parametrize(
    "sampler",
    [
        {"name": "nsgaii"},
        {"name": "gp"},
        {"name": "random"},
        {"name": "tpe", "reference": "optuna5"},
        {"name": "tpe", "constant_liar": False},
        {"name": "tpe", "n_ei_candidates": 1_000},
    ],
    ids=str,
)
def test_nothing_is_drawn_beyond_where_that_makes_a_point_no_cheaper(sampler: Mapping[str, Any]) -> None:
    sampling, knows = fitted(1_000, sampler)
    assert planned(sampling, knows, 1).beyond == 0


def test_the_first_model_of_a_large_history_is_work_for_a_thread_and_what_it_is_asked_then_is_not() -> None:
    sampling, large = Sampling(), history(MANY)
    assert planned(sampling, large, 1).heavy
    assert not planned(sampling, large, 8).heavy


def test_a_small_history_is_none() -> None:
    assert not planned(Sampling(), history(1_000), 1).heavy


def test_a_gaussian_process_always_is() -> None:
    sampling, small = Sampling(), history(30, {"name": "gp"})
    assert planned(sampling, small, 1).heavy
    assert planned(sampling, small, 1).heavy


@pytest.mark.parametrize(
    ("counts", "drawn", "share"),
    [((1000,), 64, 64), ((1000, 3), 64, 61), ((1000, 30, 1000), 63, 21), ((1,) * 8, 8, 64), ((2,) * 40, 40, 1)],
)
def test_a_group_draws_64_at_most_of_what_takes_its_time(counts: tuple[int, ...], drawn: int, share: int) -> None:
    plan = planned(Sampling(), history(30, {"name": "gp"}), *counts)
    assert ([count for _, count in plan.scenes], plan.share) == ([drawn], share)


def test_of_what_takes_no_time_an_ask_draws_all_that_it_wants() -> None:
    plan = planned(Sampling(), history(30), 1000, 3)
    assert ([count for _, count in plan.scenes], plan.share) == ([1003], None)


def test_nothing_is_drawn_for_what_waiting_trials_and_the_budget_leave_nothing_of() -> None:
    growing = history(30)
    waiting = [replace(record(n), trial=Trial(number=n, state=TrialState.WAITING)) for n in (30, 31, 32)]
    budget = replace(study(), max_trials=30 + 8)
    growing.apply(Delta(clock=Clock(next_number=33, handed=30, seq=33), study=budget, interned=[], records=waiting))
    plans = [planned(Sampling(), growing, *counts) for counts in ((2, 1), (2, 4), (2, 90))]
    assert [[count for _, count in plan.scenes] for plan in plans] == [[], [3], [8]]


@pytest.mark.parametrize("state", [StudyState.PAUSED, StudyState.STOPPED])
def test_nothing_is_drawn_ahead_of_a_study_that_hands_nothing_out(state: StudyState) -> None:
    resting = history(30)
    resting.apply(Delta(clock=clock(30), study=replace(study(), state=state), interned=[], records=[]))
    assert planned(Sampling(), resting, 4).scenes == []


def test_under_the_lock_it_is_drawn_for_who_resumes_the_study_in_the_same_batch() -> None:
    resting = history(30)
    resting.apply(Delta(clock=clock(30), study=replace(study(), state=StudyState.PAUSED), interned=[], records=[]))
    plan = Sampling().plan(resting, asks(4), [], [], first=30)
    assert [count for _, count in plan.scenes] == [4]


def test_the_next_model_of_a_large_history_is_fitted_ahead() -> None:
    sampling, large = Sampling(), history(MANY)
    planned(sampling, large, 1)
    grow(large, MANY + 250)
    assert sampling.draft(large) is None
    grow(large, MANY + 251)
    draft = sampling.draft(large)
    assert draft is not None
    assert [(len(scene.view.numbers), count) for scene, count in draft.scenes] == [(MANY + 251, 1)]
    assert sampling.draft(large) is None


def test_meanwhile_the_last_model_may_lag_behind_for_twice_as_long() -> None:
    sampling, large = Sampling(), history(MANY)
    planned(sampling, large, 1)
    grow(large, MANY + 251)
    sampling.draft(large)
    grow(large, MANY + 500)
    assert seen(planned(sampling, large, 1)) == MANY
    grow(large, MANY + 501)
    assert seen(planned(sampling, large, 1)) == MANY + 501


def test_what_was_fitted_ahead_is_drawn_from_without_a_thread() -> None:
    sampling, large = Sampling(), history(MANY)
    planned(sampling, large, 1)
    grow(large, MANY + 251)
    sampling.draft(large)
    grow(large, MANY + 400)
    sampling.take_up(drawn=True)
    plan = planned(sampling, large, 1)
    assert (seen(plan), plan.heavy) == (MANY + 251, False)


def test_a_draft_that_failed_changes_nothing() -> None:
    sampling, large = Sampling(), history(MANY)
    planned(sampling, large, 1)
    grow(large, MANY + 251)
    sampling.draft(large)
    sampling.take_up(drawn=False)
    assert sampling.draft(large) is not None
    assert seen(planned(sampling, large, 1)) == MANY


def test_a_sampler_that_counts_generations_has_nothing_fitted_ahead() -> None:
    sampling, large = Sampling(), history(MANY, {"name": "nsgaii"})
    planned(sampling, large, 1)
    grow(large, MANY + 251)
    assert sampling.draft(large) is None


def test_nothing_is_fitted_ahead_of_what_is_to_be_forgotten() -> None:
    sampling, large = Sampling(), history(MANY)
    planned(sampling, large, 1)
    gone = record(0)
    gone = replace(gone, trial=replace(gone.trial, deleted=True))
    grow(large, MANY + 251)
    large.apply(Delta(clock=clock(MANY + 251), study=large.study, interned=[], records=[gone]))
    assert sampling.draft(large) is None


def fitted(trials: int, sampler: Mapping[str, Any] = TPE) -> tuple[Sampling, History]:
    """A history, and who has drawn from it before."""
    sampling, knows = Sampling(), history(trials, sampler)
    planned(sampling, knows, 1).draw()
    return sampling, knows


def handed_out(sampling: Sampling, plan: Plan) -> Prepared:
    """What was drawn, once it has all been taken."""
    prepared = plan.draw()
    sampling.keep(plan, prepared)
    for place, point in enumerate(prepared.points):
        assert prepared.take(prepared.first + place, point.space) is point
    return prepared


def values(drawn: list[Prepared]) -> list[dict[str, float]]:
    return [dict(point.values) for prepared in drawn for point in prepared.points]


def seen(plan: Plan) -> int:
    """How many finished trials the plan's one scene shows."""
    ((scene, _),) = plan.scenes
    return len(scene.view.numbers)
