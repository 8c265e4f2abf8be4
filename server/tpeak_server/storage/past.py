"""All that the tables keep of a study's past up to one trial, read in pages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tpeak_server.domain.changes import Clock
from tpeak_server.domain.errors import StudyNotFound, TrialNotFound
from tpeak_server.domain.study import Study
from tpeak_server.domain.trial import Interned
from tpeak_server.storage.database import Driver
from tpeak_server.storage.history import CLOCK, INTERNED, STUDY
from tpeak_server.storage.rows import (
    LEASE_COLUMNS,
    REPORT_COLUMNS,
    SUGGESTION_COLUMNS,
    TRIAL_COLUMNS,
    interned_from_row,
    study_from_row,
)

Row = tuple[Any, ...]

PAGE = 2_000
"""Trials, or events, a statement: the event loop takes them over in some hundredths of a second."""

EVENTS = """
SELECT seq, kind, number, payload->>'state', (payload->>'epoch')::integer FROM events
WHERE study_id = %(study)s AND seq > %(after)s
    AND (number <= %(number)s OR (kind = 'changed' AND (payload->'fields')::jsonb @> '"sampler"'))
ORDER BY seq LIMIT %(limit)s
"""
SAMPLED_AT = "SELECT sampled_at_seq FROM trials WHERE study_id = %(study)s AND number = %(number)s AND NOT deleted"
PART = " WHERE study_id = %(study)s AND number BETWEEN %(first)s AND %(last)s"
TRIALS = f"SELECT {TRIAL_COLUMNS} FROM trials{PART} ORDER BY number"
LEASES = f"SELECT {LEASE_COLUMNS} FROM leases{PART}"
SUGGESTIONS = f"SELECT {SUGGESTION_COLUMNS} FROM suggestions{PART} ORDER BY seq"
# A sampler sees the deepest report alone; what was added has its reports in epoch 0, which has no lease.
DEEPEST = f"""
SELECT deepest.* FROM (
    SELECT number, epoch FROM leases{PART}
    UNION ALL SELECT number, 0 FROM trials{PART} AND told_epoch = 0) AS epochs
CROSS JOIN LATERAL (
    SELECT {REPORT_COLUMNS} FROM reports
    WHERE study_id = %(study)s AND reports.number = epochs.number AND reports.epoch = epochs.epoch AND seq <= %(seq)s
    ORDER BY step DESC LIMIT 1) AS deepest
"""
# An epoch that resumes another one has its steps too, up to the checkpoint.
RESUMED = f"""
SELECT {REPORT_COLUMNS} FROM reports{PART} AND seq <= %(seq)s
    AND number IN (SELECT number FROM leases{PART} AND resume_epoch IS NOT NULL)
"""


@dataclass(slots=True, kw_only=True)
class Past:
    """Rows of the trials up to `number`, as they are now, with the reports up to `seq`; events are seq, kind, number,
    state and epoch, in order. `seq` is what the proposal of `number` was made at, or just before it was added.
    """

    number: int
    seq: int
    clock: Clock
    study: Study
    interned: dict[int, Interned]
    events: list[Row]
    trials: list[Row] = field(default_factory=list)
    leases: list[Row] = field(default_factory=list)
    suggestions: list[Row] = field(default_factory=list)
    reports: list[Row] = field(default_factory=list)


async def read(connection: Driver, study_id: int, number: int) -> Past:
    """The past of a trial; the caller's transaction sees one snapshot. Raises StudyNotFound and TrialNotFound."""
    keys = {"study": study_id, "number": number}
    async with connection.pipeline():
        clock = await connection.execute(CLOCK, keys)
        study = await connection.execute(STUDY, keys)
        interned = await connection.execute(INTERNED, keys)
        sampled_at = await connection.execute(SAMPLED_AT, keys)
        clock_row, study_row, sampled_row = await clock.fetchone(), await study.fetchone(), await sampled_at.fetchone()
        interned_rows = await interned.fetchall()
    if clock_row is None or study_row is None:
        raise StudyNotFound("there is no such study; it may have been made on another database")
    if sampled_row is None:
        raise TrialNotFound(f"the study has no trial {number}")
    events = await _events(connection, study_id, number)
    created = min((seq for seq, _, of_trial, *_ in events if of_trial == number), default=clock_row[2] + 1)
    past = Past(
        number=number,
        # What came from elsewhere was sampled there: its seq has no meaning here.
        seq=created - 1 if sampled_row[0] is None or sampled_row[0] >= created else sampled_row[0],
        clock=Clock(next_number=clock_row[0], handed=clock_row[1], seq=clock_row[2]),
        study=study_from_row(study_row),
        interned={one.id: one for one in map(interned_from_row, interned_rows)},
        events=events,
    )
    for first in range(0, number + 1, PAGE):
        await _read_part(connection, past, first, min(first + PAGE - 1, number))
    return past


async def _events(connection: Driver, study_id: int, number: int) -> list[Row]:
    events: list[Row] = []
    while True:
        after = events[-1][0] if events else 0
        keys = {"study": study_id, "number": number, "after": after, "limit": PAGE}
        page = await (await connection.execute(EVENTS, keys, binary=True)).fetchall()
        events += page
        if len(page) < PAGE:
            return events


async def _read_part(connection: Driver, past: Past, first: int, last: int) -> None:
    keys = {"study": past.study.id, "first": first, "last": last, "seq": past.seq}
    statements = (TRIALS, LEASES, SUGGESTIONS, DEEPEST, RESUMED)
    async with connection.pipeline():
        trials, leases, suggestions, *reports = [
            await connection.execute(statement, keys, binary=True) for statement in statements
        ]
        past.trials += await trials.fetchall()
        past.leases += await leases.fetchall()
        past.suggestions += await suggestions.fetchall()
        for some in reports:
            past.reports += await some.fetchall()
