"""Which batches need no rows read, and which write nothing rare."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from tpeak_server.domain.changes import Changes, Clock, Event, LateResult, Request, Wanted, unread
from tpeak_server.domain.hosts import Host
from tpeak_server.domain.trial import Report, Suggested, Trial

CLOCK = Clock(next_number=3, handed=2, seq=7)


@pytest.mark.parametrize(
    ("wanted", "rows"),
    [
        (Wanted(), False),
        (Wanted(ask_ids={"a"}), False),
        (Wanted(numbers={1}), True),
        (Wanted(steps={(1, 0)}), True),
        (Wanted(ends={1}), True),
        (Wanted(whole={1}), True),
        (Wanted(request_ids={"r"}), True),
        (Wanted(durations=True), True),
    ],
)
def test_rows_are_read_for_all_but_asks(wanted: Wanted, rows: bool) -> None:
    assert wanted.rows is rows


def test_a_study_of_which_nothing_was_read_has_nothing_but_its_clock() -> None:
    locked = unread(CLOCK)
    assert locked.clock == CLOCK
    assert locked.now.tzinfo is not None
    assert not any(getattr(locked, f.name) for f in fields(locked) if f.name not in {"clock", "now"})


REPORT = Report(number=1, epoch=1, step=0, values=(1.0,), cost=None, seq=1, prune=False, reason=None)


@pytest.mark.parametrize(
    ("changes", "hot"),
    [
        ({}, True),
        ({"clock": CLOCK, "created": {1: Trial(number=1)}, "updated": {2: Trial(number=2)}}, True),
        ({"reports": {(1, 1, 0): REPORT}, "events": [Event(seq=1, kind="told")], "renewed": {(1, 1)}}, True),
        ({"attrs": {(1, "a"): None}}, False),
        ({"suggested": [Suggested(number=1, name="x", distribution_id=0, value=0.5, seq=1)]}, False),
        ({"late": [LateResult(number=1, hash=b"", code="lease_lost", body={})]}, False),
        ({"requests": [Request(request_id="r", hash=b"", reply={})]}, False),
        ({"hosts": {"h": Host(name="h")}}, False),
        ({"first_ask": True}, False),
        ({"name": "another"}, False),
        ({"name": ""}, False),
    ],
)
def test_trials_leases_reports_and_events_are_what_every_batch_writes(changes: dict[str, Any], hot: bool) -> None:
    assert Changes(**changes).hot is hot
