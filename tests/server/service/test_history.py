"""The cache of a study: what a sampler and a pruner see of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from tpeak_server.domain.changes import Clock, Delta
from tpeak_server.domain.distributions import CategoricalDistribution, Distribution, FloatDistribution, IntDistribution
from tpeak_server.domain.observations import Outcome
from tpeak_server.domain.study import Direction, Study
from tpeak_server.domain.trial import Interned, Lease, Trial, TrialRecord, TrialState
from tpeak_server.service.history import History

X, Y = FloatDistribution(low=0.0, high=1.0), FloatDistribution(low=0.0, high=9.0)
AB, CBA = CategoricalDistribution(choices=("a", "b")), CategoricalDistribution(choices=("c", "b"))
NAMES: Mapping[int, tuple[str, Distribution]] = {0: ("x", X), 1: ("y", Y), 2: ("k", AB), 3: ("x", AB)}
INTERNED = [Interned(id=i, name=name, distribution=d, seen_seq=i) for i, (name, d) in NAMES.items()]
STUDY = Study(id=1, name="s", directions=(Direction.MAXIMIZE,), sampler={}, pruner={}, seed=0)


def record(
    number: int,
    state: TrialState = TrialState.COMPLETE,
    *,
    used: tuple[str, ...] | None = None,
    curve: Mapping[int, tuple[float, ...]] | None = None,
    **of_trial: Any,
) -> TrialRecord:
    lease = Lease(number=number, epoch=1, token="t", worker="w", request_id="r", ordinal=0, request_hash=b"", used=used)
    trial = Trial(number=number, state=state, **{"proposed": {0: 0.5}, "values": (1.0,), **of_trial})
    return TrialRecord(trial=trial, lease=lease, curve=curve or {})


def delta(*records: TrialRecord, seq: int = 1) -> Delta:
    clock = Clock(next_number=1 + max((r.trial.number for r in records), default=-1), handed=0, seq=seq)
    return Delta(clock=clock, study=STUDY, interned=INTERNED, records=list(records))


def column(history: History, name: str, distribution: Distribution) -> list[float | None]:
    """The name's internal values, None where a trial has none."""
    values = history.view({name: distribution}).columns[name]
    return [None if math.isnan(value) else float(value) for value in values]


def test_trials_that_teach_are_rows_in_order_whatever_order_they_finished_in() -> None:
    history = History(delta(record(3), record(1, TrialState.PRUNED, values=None), record(0, TrialState.FAILED)))
    history.apply(delta(record(2, TrialState.LOST, values=None), record(4, TrialState.RUNNING), seq=2))
    view = history.view({"x": X})
    assert view.numbers.tolist() == [1, 2, 3]
    assert view.outcome.tolist() == [Outcome.PRUNED, Outcome.LOST, Outcome.COMPLETE]
    assert history.teaching() == 3


def test_losses_are_signed_so_that_less_is_better() -> None:
    history = History(delta(record(0, values=(2.0,), curve={0: (5.0,), 7: (3.0,)}), record(1, values=(-math.inf,))))
    view = history.view({"x": X})
    assert view.loss.tolist() == [[-2.0], [math.inf]]
    assert (view.last_step.tolist(), view.last_loss[0]) == ([7, -1], -3.0)


def test_a_lost_trial_that_comes_back_has_the_parameters_of_its_result_alone() -> None:
    history = History(delta(record(0, TrialState.LOST, proposed={0: 0.5, 1: 4.0}, values=None)))
    assert (column(history, "x", X), column(history, "y", Y)) == ([0.5], [4.0])
    history.apply(delta(record(0, proposed={0: 0.5, 1: 4.0}, used=("x",)), seq=2))
    assert (column(history, "x", X), column(history, "y", Y)) == ([0.5], [None])
    assert history.view({"x": X}).violation.tolist() == [0.0]


def test_a_lost_trial_that_comes_back_without_reports_has_no_last_step_of_another_epoch() -> None:
    history = History(delta(record(0, TrialState.LOST, values=None, curve={3: (0.75,)})))
    history.apply(delta(record(0), seq=2))
    view = history.view({"x": X})
    assert (view.last_step.tolist(), math.isnan(view.last_loss[0])) == ([-1], True)


def test_a_trial_is_counted_once_however_often_its_record_changes() -> None:
    history = History(delta(record(0, curve={0: (1.0,)})))
    history.apply(delta(record(0, curve={0: (1.0,)}, user_attrs={"a": 1}), seq=2))
    assert (history.curves.complete, [*history.curves.losses_at(0)], history.counts[TrialState.COMPLETE]) == (
        1,
        [-1.0],
        1,
    )


def test_peers_are_sorted_losses_without_nan_of_complete_trials() -> None:
    curves = [{0: (1.0,)}, {0: (3.0,), 1: (math.nan,)}, {0: (2.0,)}]
    finished = [record(number, curve=curve) for number, curve in enumerate(curves)]
    history = History(delta(*finished, record(3, TrialState.PRUNED, curve={0: (9.0,)})))
    assert ([*history.curves.losses_at(0)], [*history.curves.losses_at(1)]) == ([-3.0, -2.0, -1.0], [])
    assert history.curves.complete == 3


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [(AB, [0.0, 1.0]), (CBA, [None, 1.0]), (X, [None, None]), (IntDistribution(low=0, high=1), [None, None])],
)
def test_choices_keep_their_meaning_under_another_distribution(
    wanted: Distribution, expected: list[float | None]
) -> None:
    history = History(delta(record(0, proposed={2: 0.0}), record(1, proposed={2: 1.0})))
    assert column(history, "k", wanted) == expected


def test_numbers_keep_their_value_in_another_range_and_choices_are_no_numbers() -> None:
    history = History(delta(record(0, proposed={0: 0.5}), record(1, proposed={3: 1.0}), record(2, proposed={1: 4.0})))
    assert column(history, "x", FloatDistribution(low=2.0, high=3.0)) == [0.5, None, None]
    assert column(history, "x", AB) == [None, 1.0, None]


@pytest.mark.parametrize(
    ("constraints", "violation"), [(None, 0.0), ((-1.0, 0.0), 0.0), ((2.0, -9.0, 0.5), 2.5), ((math.nan, 1.0), 1.0)]
)
def test_what_violates_is_the_sum_of_positive_constraints(
    constraints: tuple[float, ...] | None, violation: float
) -> None:
    history = History(delta(record(0, constraints=constraints), record(1, TrialState.LOST, constraints=constraints)))
    assert history.view({"x": X}).violation.tolist() == [violation, math.inf]


def test_running_trials_are_pending_with_what_they_are_known_to_use() -> None:
    both = {0: 0.5, 1: 4.0}
    silent, using = (
        record(2, TrialState.RUNNING, proposed=both),
        record(0, TrialState.RUNNING, proposed=both, used=("y",)),
    )
    history = History(delta(silent, using, record(1, TrialState.WAITING, proposed=both)))
    pending = history.pending({"x": X, "y": Y})
    assert str(pending["x"].tolist()) == "[nan, 0.5]"
    assert pending["y"].tolist() == [4.0, 4.0]
    assert history.waiting() == [1]


def test_trials_wait_in_the_order_of_their_numbers_until_they_wait_no_more() -> None:
    history = History(delta(*(record(number, TrialState.WAITING) for number in (7, 3, 5, 9))))
    history.apply(delta(record(4, TrialState.RUNNING), record(3, TrialState.WAITING, user_attrs={"a": 1}), seq=2))
    assert [*history.waiting()] == [3, 5, 7, 9]
    history.apply(delta(record(5, TrialState.RUNNING), record(9, TrialState.FAILED, deleted=True), seq=3))
    assert [*history.waiting()] == [3, 7]
    history.apply(delta(record(4, TrialState.WAITING), seq=4))
    assert [*history.waiting()] == [3, 4, 7]


def test_a_view_is_the_same_object_until_a_result_comes_in() -> None:
    history = History(delta(record(0)))
    view = history.view({"x": X})
    history.apply(delta(record(1, TrialState.RUNNING), seq=2))
    assert history.view({"x": X}) is view
    history.apply(delta(record(1), seq=3))
    assert history.view({"x": X}).numbers.tolist() == [0, 1]
    assert view.numbers.tolist() == [0]


def test_a_study_grows_past_its_first_rows() -> None:
    history = History(delta(record(0)))
    history.apply(delta(record(5000, proposed={0: 0.25}), seq=2))
    assert history.view({"x": X}).numbers.tolist() == [0, 5000]
    assert column(history, "x", X) == [0.5, 0.25]


def test_a_view_has_the_reports_of_its_trials_where_some_were_pruned_while_they_are_few() -> None:
    def reports(*records: TrialRecord) -> list[float] | None:
        found = History(delta(*records)).view({"x": X}).reports
        return None if found is None else found.losses.tolist()

    complete, running = record(0, curve={0: (1.0,), 1: (2.0,)}), record(1, TrialState.RUNNING, curve={0: (3.0,)})
    assert reports(complete, running) is None
    assert reports(complete, running, record(2, TrialState.PRUNED, curve={0: (4.0,)})) == [-1.0, -2.0, -4.0]
    assert reports(complete, record(999, TrialState.PRUNED, curve={0: (4.0,)})) == [-1.0, -2.0, -4.0]
    assert reports(complete, record(1000, TrialState.PRUNED, curve={0: (4.0,)})) is None
    assert reports(complete, record(1, TrialState.PRUNED, curve=dict.fromkeys(range(99999), (4.0,)))) is None


def test_the_distribution_given_last_is_a_name_s_current_one() -> None:
    history = History(delta())
    assert {name: one.id for name, one in history.current().items()} == {"x": 3, "y": 1, "k": 2}
    history.intern(Interned(id=0, name="x", distribution=X, seen_seq=9))
    assert history.current()["x"].distribution == X


@pytest.mark.parametrize("state", [TrialState.COMPLETE, TrialState.PRUNED, TrialState.LOST, TrialState.FAILED])
def test_nothing_is_left_of_a_deleted_trial(state: TrialState) -> None:
    curve = {0: (2.0,), 1: (math.nan,)}
    kept = record(0, curve={0: (5.0,)}, sampled_at_seq=1)
    history = History(delta(kept, record(1, state, curve=curve, sampled_at_seq=1)))
    history.apply(delta(record(1, state, curve=curve, sampled_at_seq=1, deleted=True), seq=2))
    fresh = History(delta(kept, record(1, state, curve=curve, sampled_at_seq=1, deleted=True), seq=2))
    for one in (history, fresh):
        assert one.view({"x": X}).numbers.tolist() == [0]
        assert (one.curves.complete, [*one.curves.losses_at(0)], [*one.curves.losses_at(1)]) == (1, [-5.0], [])
        assert one.teaching() == sum(one.counts.values()) == 1
        assert one.proposed_since(0, {"x": X})["x"].tolist() == [0.5]


def test_a_running_trial_that_is_deleted_is_not_pending() -> None:
    history = History(delta(record(0, TrialState.RUNNING), record(1, TrialState.RUNNING)))
    history.apply(delta(record(0, TrialState.FAILED, deleted=True), seq=2))
    assert history.pending({"x": X})["x"].tolist() == [0.5]
    assert list(history.unfinished) == [1]


def test_a_trial_that_was_deleted_before_it_was_ever_seen_is_nothing() -> None:
    history = History(delta(record(0)))
    history.apply(delta(record(1, deleted=True, curve={0: (1.0,)}), seq=2))
    assert (history.curves.complete, history.teaching(), history.forgotten) == (1, 1, 0)


def test_a_lost_trial_that_is_tried_again_teaches_no_more_until_it_ends() -> None:
    history = History(delta(record(0, TrialState.LOST, values=None)))
    history.apply(delta(record(0, TrialState.WAITING, values=None), seq=2))
    assert (history.view({"x": X}).numbers.tolist(), history.waiting(), history.forgotten) == ([], [0], 1)
    history.apply(delta(record(0), seq=3))
    assert history.view({"x": X}).outcome.tolist() == [Outcome.COMPLETE]


def test_a_lost_trial_s_curve_is_not_that_of_the_result_that_comes_after_it() -> None:
    history = History(delta(record(0, TrialState.LOST, values=None, curve={7: (3.0,)})))
    history.apply(delta(record(0, TrialState.PRUNED, values=None), seq=2))
    view = history.view({"x": X})
    assert (view.last_step.tolist(), str(view.last_loss[0]), view.violation.tolist()) == ([-1], "nan", [0.0])


def test_a_trial_s_generation_is_read_from_its_origin() -> None:
    origins = ["cmaes 3", "enqueued", "nsgaii 0", "cmaes 04", "cmaes x"]
    history = History(delta(*(record(number, origin=origin) for number, origin in enumerate(origins))))
    view = history.view({"x": X})
    assert {kind: generation.tolist() for kind, generation in view.generations.items()} == {
        "cmaes": [3, -1, -1, 4, -1],
        "nsgaii": [-1, -1, 0, -1, -1],
    }
    history.apply(delta(record(300, origin="cmaes 7"), record(0, deleted=True), seq=2))
    assert history.view({"x": X}).generations["cmaes"].tolist() == [-1, -1, 4, -1, 7]
    assert view.signs == (-1.0,)


def test_what_a_batch_makes_of_trials_is_foreseen_in_the_curves_and_forgotten_where_it_is_not_committed() -> None:
    running, new = record(0, TrialState.RUNNING, curve={0: (1.0,)}), record(3, curve={0: (4.0,)})
    history = History(delta(running, record(1, curve={0: (3.0,)}), record(2, TrialState.RUNNING, curve={0: (2.0,)})))
    before = [*history.curves.reached(0, without=9)]
    for one in (record(0, curve={0: (1.0,)}), record(1), record(2, TrialState.FAILED, deleted=True), new):
        history.foresee(one)
    assert ([*history.curves.losses_at(0)], [*history.curves.reached(0, without=9)]) == ([-4.0, -3.0, -1.0],) * 2
    assert (history.teaching(), history.curves.complete) == (1, 3)
    history.take_back()
    assert ([*history.curves.losses_at(0)], [*history.curves.reached(0, without=9)]) == ([-3.0], before)
    history.foresee(record(0, curve={0: (1.0,)}))
    history.apply(delta(replace(running, curve={0: (9.0,)}), seq=2))
    assert ([*history.curves.losses_at(0)], [*history.curves.reached(0, without=9)]) == ([-3.0], [-9.0, -3.0, -2.0])
