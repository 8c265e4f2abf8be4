"""A trial's life, one step at a time."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from tpeak_server.domain.distributions import FloatDistribution
from tpeak_server.domain.trial import (
    FINAL,
    UNFINISHED,
    Interned,
    Lease,
    Trial,
    TrialRecord,
    TrialState,
    deleted,
    exempted,
    expired,
    failed,
    finished,
    issued,
    released,
    retried,
    returned,
)

UNIT = FloatDistribution(low=0.0, high=1.0)
INTERNED = {id: Interned(id=id, name=name, distribution=UNIT, seen_seq=1) for id, name in enumerate("xyz")}


def lease(**settings: Any) -> Lease:
    defaults = {
        "number": 3,
        "epoch": 1,
        "token": "t",
        "worker": "w",
        "request_id": "r",
        "ordinal": 0,
        "request_hash": b"",
    }
    return Lease(**{**defaults, **settings})


def changes(before: Trial, after: Trial) -> dict[str, Any]:
    """The fields that differ, as they are now."""
    return {f.name: getattr(after, f.name) for f in fields(Trial) if getattr(before, f.name) != getattr(after, f.name)}


def test_states_are_finished_or_not_or_lost() -> None:
    assert set(TrialState) == FINAL | UNFINISHED | {TrialState.LOST}
    assert {str(state) for state in FINAL} == {"complete", "pruned", "failed"}
    assert {str(state) for state in UNFINISHED} == {"waiting", "running"}


def test_a_trial_is_issued_under_the_next_epoch() -> None:
    waiting = Trial(number=3, proposed={0: 0.5}, attempt=1, epoch=1)
    assert changes(waiting, issued(waiting)) == {"state": "running", "epoch": 2}


def test_a_trial_whose_worker_fell_silent_waits_again() -> None:
    running = Trial(number=3, state=TrialState.RUNNING, epoch=1, proposed={0: 0.5})
    assert changes(running, expired(running, max_attempts=3)) == {"state": "waiting", "attempt": 1}


@pytest.mark.parametrize(
    ("attempt", "max_attempts", "cause"),
    [
        (2, 3, "its worker fell silent 3 times (max_attempts = 3)"),
        (4, 3, "its worker fell silent 5 times (max_attempts = 3)"),
    ],
)
def test_a_trial_is_lost_with_its_last_attempt(attempt: int, max_attempts: int, cause: str) -> None:
    running = Trial(number=3, state=TrialState.RUNNING, attempt=attempt)
    lost = expired(running, max_attempts=max_attempts)
    assert changes(running, lost) == {"state": "lost", "attempt": attempt + 1, "cause": cause}


def test_a_trial_given_back_has_used_up_no_attempt() -> None:
    running = Trial(number=3, state=TrialState.RUNNING, epoch=2, attempt=1)
    assert changes(running, released(running, checkpointed=False)) == {"state": "waiting"}
    assert changes(running, released(running, checkpointed=True)) == {"state": "waiting", "resume_epoch": 2}


def test_an_earlier_checkpoint_stays_where_the_latest_worker_left_none() -> None:
    running = Trial(number=3, state=TrialState.RUNNING, epoch=5, resume_epoch=2)
    assert released(running, checkpointed=False).resume_epoch == 2


def test_a_result_changes_nothing_of_the_proposal() -> None:
    running = Trial(number=3, state=TrialState.RUNNING, epoch=2, attempt=1, proposed={0: 0.5}, user_attrs={"a": 1})
    told = finished(
        running,
        state=TrialState.COMPLETE,
        values=(1.0,),
        constraints=(-1.0,),
        cause=None,
        told_epoch=1,
        told_hash=b"h",
    )
    assert changes(running, told) == {
        "state": "complete",
        "values": (1.0,),
        "constraints": (-1.0,),
        "told_epoch": 1,
        "told_hash": b"h",
    }


def test_a_late_result_takes_the_cause_of_the_loss_away() -> None:
    lost = Trial(number=3, state=TrialState.LOST, cause="its worker fell silent")
    told = finished(
        lost, state=TrialState.COMPLETE, values=(1.0,), constraints=None, cause=None, told_epoch=1, told_hash=b""
    )
    assert told.cause is None


@pytest.mark.parametrize(("attempt", "state"), [(0, "waiting"), (1, "waiting"), (2, "failed")])
def test_a_failure_that_is_to_be_tried_again_fails_the_trial_with_its_last_attempt(attempt: int, state: str) -> None:
    running = Trial(number=3, state=TrialState.RUNNING, epoch=2, attempt=attempt)
    after = returned(running, max_attempts=3, host="h", cause="no memory")
    assert changes(running, after) == {
        "state": state,
        "attempt": attempt + 1,
        "avoid_host": "h",
        "cause": "no memory",
    }


@pytest.mark.parametrize(("given", "cause"), [(None, "cancelled"), ("a bad region", "a bad region")])
def test_a_cancelled_trial_fails_where_another_would_wait_again(given: str | None, cause: str) -> None:
    running = Trial(number=3, state=TrialState.RUNNING, epoch=1, cause=given)
    for after in (
        expired(running, max_attempts=3, cancelled=True),
        released(running, checkpointed=True, cancelled=True),
    ):
        assert (after.state, after.cause) == (TrialState.FAILED, cause)


def test_a_trial_that_is_tried_again_forgets_its_result_and_has_all_its_attempts() -> None:
    lost = Trial(
        number=3,
        state=TrialState.FAILED,
        epoch=3,
        attempt=3,
        proposed={0: 0.5},
        constraints=(1.0,),
        told_epoch=3,
        told_hash=b"h",
        cause="no memory",
    )
    assert changes(lost, retried(lost, None)) == {
        "state": "waiting",
        "attempt": 0,
        "constraints": None,
        "told_epoch": None,
        "told_hash": None,
    }
    assert retried(lost, "more memory").cause == "more memory"
    assert issued(retried(lost, None)).cause is None


def test_an_exempt_trial_stays_so_in_whatever_comes() -> None:
    waiting = Trial(number=3, attempt=1)
    exempt = exempted(waiting)
    assert changes(waiting, exempt) == {"exempt": True}
    running = issued(exempt)
    after = (
        expired(running, max_attempts=3),
        released(running, checkpointed=True),
        retried(failed(running, "x"), None),
    )
    assert [trial.exempt for trial in (running, *after)] == [True] * 4


def test_a_deleted_trial_keeps_its_result_and_an_unfinished_one_has_failed() -> None:
    done = Trial(number=3, state=TrialState.COMPLETE, values=(1.0,))
    assert changes(done, deleted(done)) == {"deleted": True}
    running = Trial(number=3, state=TrialState.RUNNING)
    assert changes(running, deleted(running)) == {"deleted": True, "state": "failed", "cause": "deleted"}
    assert changes(running, failed(running, "by hand")) == {"state": "failed", "cause": "by hand"}


def test_what_is_known_is_what_was_proposed_and_what_was_suggested_which_wins() -> None:
    record = TrialRecord(trial=Trial(number=3, proposed={0: 0.5, 1: 0.25}), suggested={"z": (2, 0.75), "y": (2, 1.0)})
    assert record.known(INTERNED) == {"x": (0, 0.5), "y": (2, 1.0), "z": (2, 0.75)}


@pytest.mark.parametrize(
    ("held", "names"),
    [
        (None, ["x", "y", "z"]),
        (lease(used=None), ["x", "y", "z"]),
        (lease(used=()), []),
        (lease(used=("y", "unknown", "x")), ["x", "y"]),
    ],
)
def test_parameters_are_those_that_the_worker_used(held: Lease | None, names: list[str]) -> None:
    record = TrialRecord(trial=Trial(number=3, proposed={0: 0.5, 1: 0.5}), lease=held, suggested={"z": (2, 0.5)})
    assert sorted(record.params(INTERNED)) == names
