"""All that the tables keep of a study's past up to one trial, read in pages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tpeak_server.domain.changes import Clock
from tpeak_server.domain.errors import StudyNotFound, TrialNotFound
from tpeak_server.domain.study import Study
from tpeak_server.domain.trial import Interned
from tpeak_server.domain.warm import WarmTrial
from tpeak_server.storage import warm
from tpeak_server.storage.database import Driver
from tpeak_server.storage.history import CLOCK, INTERNED, STUDY
from tpeak_server.storage.rows import (
    LEASE_COLUMNS,
    REPORT_COLUMNS,
    SUGGESTION_COLUMNS,
    TRIAL_COLUMNS,
    clock_from_row,
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
TRIAL = """
SELECT sampled_at_seq, (
    SELECT min(seq) FROM events WHERE events.study_id = trials.study_id AND events.number = trials.number)
FROM trials WHERE study_id = %(study)s AND number = %(number)s AND NOT deleted
"""
PART = " WHERE study_id = %(study)s AND number BETWEEN %(first)s AND %(last)s"
TRIALS = f"SELECT {TRIAL_COLUMNS} FROM trials{PART} ORDER BY number"
LEASES = f"SELECT {LEASE_COLUMNS} FROM leases{PART}"
SUGGESTIONS = f"SELECT {SUGGESTION_COLUMNS} FROM suggestions{PART} ORDER BY seq"
# Of many trials a sampler sees the deepest report alone; what was added has its reports in epoch 0, which has no lease.
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
WHOLE = f"""
SELECT {REPORT_COLUMNS} FROM reports{PART} AND seq <= %(seq)s
    AND (%(whole)s OR number IN (SELECT number FROM leases{PART} AND resume_epoch IS NOT NULL))
"""
# No event tells of a report: of a trial that runs on, only its reports say that its worker was heard of since.
REPORTED_SINCE = f"""
SELECT number FROM leases{PART} AND live AND EXISTS (
    SELECT FROM reports WHERE reports.study_id = leases.study_id AND reports.number = leases.number
        AND reports.epoch = leases.epoch AND seq > %(seq)s)
"""
STATEMENTS = (TRIALS, LEASES, SUGGESTIONS, DEEPEST, WHOLE, REPORTED_SINCE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """Which past is meant: that of the trial `number` as of `seq`, at which its proposal was made; where it was not
    sampled here, just before it came. `created` is the seq of its first event, None where there is no event of it.
    """

    number: int
    seq: int
    created: int | None
    clock: Clock
    study: Study
    interned: Mapping[int, Interned]
    warm: Sequence[WarmTrial]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Rows of some trials as they are now, and of their reports up to the seq that is meant those that a sampler sees;
    `reported_since` are the numbers of those that still run and have reported after it.

    They are as the database gave them: what to make of them is a thread's work.
    """

    trials: Sequence[Row]
    leases: Sequence[Row]
    suggestions: Sequence[Row]
    reports: Sequence[Row]
    reported_since: Sequence[Row]


async def read(connection: Driver, study_id: int, number: int) -> Past:
    """The past of a trial; the caller's transaction sees one snapshot. Raises StudyNotFound and TrialNotFound."""
    keys = {"study": study_id, "number": number}
    async with connection.pipeline():
        clock = await connection.execute(CLOCK, keys)
        study = await connection.execute(STUDY, keys)
        interned = await connection.execute(INTERNED, keys)
        trial = await connection.execute(TRIAL, keys)
        began = await connection.execute(warm.READ, keys, binary=True)
        clock_row, study_row, trial_row = await clock.fetchone(), await study.fetchone(), await trial.fetchone()
        interned_rows, warm_rows = await interned.fetchall(), await began.fetchall()
    if clock_row is None or study_row is None:
        raise StudyNotFound("there is no such study; it may have been made on another database")
    if trial_row is None:
        raise TrialNotFound(f"the study has no trial {number}")
    sampled_at, created = trial_row
    before = clock_row[2] if created is None else created - 1
    return Past(
        number=number,
        # What was sampled elsewhere has a seq of there.
        seq=before if sampled_at is None else min(sampled_at, before),
        created=created,
        clock=clock_from_row(clock_row),
        study=study_from_row(study_row),
        interned={one.id: one for one in map(interned_from_row, interned_rows)},
        warm=warm.warm_from_rows(warm_rows),
    )


async def events(connection: Driver, past: Past) -> AsyncIterator[Sequence[Row]]:
    """The events of the trials up to that one, up to now, in order: seq, kind, number, state and epoch."""
    after = 0
    while True:
        keys = {"study": past.study.id, "number": past.number, "after": after, "limit": PAGE}
        page = await (await connection.execute(EVENTS, keys, binary=True)).fetchall()
        if page:
            yield page
        if len(page) < PAGE:
            return
        after = page[-1][0]


async def parts(connection: Driver, past: Past, *, whole: bool) -> AsyncIterator[Part]:
    """The trials up to that one, in order; `whole`: with every report up to the seq that is meant."""
    for first in range(0, past.number + 1, PAGE):
        last = min(first + PAGE - 1, past.number)
        keys = {"study": past.study.id, "first": first, "last": last, "seq": past.seq, "whole": whole}
        async with connection.pipeline():
            rows = [await connection.execute(statement, keys, binary=True) for statement in STATEMENTS]
            trials, leases, suggestions, deepest, others, since = [await cursor.fetchall() for cursor in rows]
        yield Part(
            trials=trials,
            leases=leases,
            suggestions=suggestions,
            reports=[*deepest, *others],
            reported_since=since,
        )
