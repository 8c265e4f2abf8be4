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
    expired,
    finished,
    issued,
    released,
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
