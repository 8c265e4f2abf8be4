"""What commands need to see, and what makes one the repetition of another."""

from __future__ import annotations

from typing import Any

import pytest

from tpeak_server.domain.changes import Wanted
from tpeak_server.domain.trial import Lease, Trial, TrialRecord, TrialState
from tpeak_server.service.commands import Ask, Command, Delete, Heartbeat, Tell

COMPLETE = {"state": TrialState.COMPLETE, "values": (1.0,)}
FAILED = {"state": TrialState.FAILED}


def running(number: int) -> TrialRecord:
    """Trial 0 runs on a host with a name, trial 1 on one without."""
    lease = Lease(
        number=number,
        epoch=1,
        token="t",
        worker="w",
        request_id="r",
        ordinal=0,
        request_hash=b"",
        host="h" if number == 0 else None,
    )
    return TrialRecord(trial=Trial(number=number, state=TrialState.RUNNING, epoch=1), lease=lease)


@pytest.mark.parametrize(
    ("command", "reads"),
    [
        (Ask(request_id="r", worker="w", host="h"), False),
        (Ask(request_id="r", worker="w", host="h", wall_time_s=1.0), True),
        (Ask(request_id="r", worker="w", host="h", wall_time_s=1.0, resumable=True), False),
        (Tell(number=0, lease="t", **COMPLETE), False),
        (Tell(number=0, lease="t", state=TrialState.PRUNED), False),
        (Tell(number=0, lease="t", **FAILED), True),
        (Tell(number=1, lease="t", **FAILED), False),
        (Tell(number=0, lease="another", **COMPLETE), True),
        (Heartbeat(number=0, lease="t"), False),
        (Delete(number=0), False),
    ],
)
def test_what_the_cache_knows_is_not_read(command: Command, reads: bool) -> None:
    wanted = Wanted()
    command.wants(wanted, running)
    assert wanted.rows is reads


def test_hashes_that_earlier_versions_stored_hold() -> None:
    ask, tell = Ask(request_id="r", worker="w", count=2), Tell(number=3, lease="t", **COMPLETE)
    assert ask.fingerprint().hex() == "b790d0931f5216d7d67daa5e9744ad6e"
    assert tell.fingerprint().hex() == "42fbfc066939b55adacf22e838ac80c2"


@pytest.mark.parametrize("more", [{"host": "h"}, {"wall_time_s": 1.0}, {"resumable": True}, {"request_id": "another"}])
def test_what_a_worker_says_of_itself_makes_no_other_ask(more: dict[str, Any]) -> None:
    plain = {"request_id": "r", "worker": "w"}
    same = "request_id" not in more
    assert (Ask(**plain).fingerprint() == Ask(**{**plain, **more}).fingerprint()) is same


def test_a_failure_to_be_tried_again_is_another_than_one_that_is_not() -> None:
    plain = Tell(number=0, lease="t", **FAILED)
    assert plain.fingerprint() != Tell(number=0, lease="t", retry=True, **FAILED).fingerprint()
