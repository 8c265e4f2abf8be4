"""The curves of a study's trials as one stream: every report that counts, in the order in which they came."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from tpeak_server.domain.trial import Trial, TrialState
from tpeak_server.storage.database import Driver

Row = tuple[Any, ...]

PAGE = 5_000
"""Reports that are fetched at once: the event loop takes them over in some milliseconds."""

# The event that made a trial complete is its only one: it stays so.
ENDED = """
SELECT number, state, values, constraints, coalesce(completed.seq, 0)
FROM trials LEFT JOIN (
    SELECT number, max(seq) AS seq FROM events
    WHERE study_id = %(study)s AND payload->>'state' = 'complete' GROUP BY number) AS completed USING (number)
WHERE study_id = %(study)s AND NOT deleted ORDER BY number
"""
# A curve is the winning, else the newest epoch's; an epoch that resumes another one has the steps up to its checkpoint,
# unless it (or one in between: `newer`) reported them anew. DECLARE takes no parameters; these are numbers.
REPORTS = """
DECLARE reports_by_seq NO SCROLL CURSOR FOR
WITH RECURSIVE counting (number, epoch, last, newer) AS (
    SELECT number, coalesce(nullif(told_epoch, 0), epoch), NULL::bigint, '{{}}'::integer[]
    FROM trials WHERE study_id = {study} AND NOT deleted
    UNION ALL
    SELECT counting.number, resumed.epoch, least(last, resumed.checkpoint_step), newer || counting.epoch
    FROM counting
    JOIN leases AS own
        ON own.study_id = {study} AND own.number = counting.number AND own.epoch = counting.epoch
    JOIN leases AS resumed
        ON resumed.study_id = {study} AND resumed.number = own.number AND resumed.epoch = own.resume_epoch
    WHERE resumed.checkpoint_step IS NOT NULL
)
SELECT seq, number, step, coalesce(values[{place}], 'NaN'), coalesce(cost, 'NaN')
FROM reports JOIN counting USING (number, epoch)
WHERE study_id = {study} AND (last IS NULL OR (step <= last AND NOT EXISTS (
    SELECT FROM reports AS anew
    WHERE anew.study_id = {study} AND anew.number = reports.number AND anew.epoch = ANY(newer)
        AND anew.step = reports.step)))
ORDER BY seq
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What became of a trial, as far as pruning goes; `seq` is that of the event that made it complete, else 0."""

    trial: Trial
    seq: int


async def ended(connection: Driver, study_id: int) -> list[Ended]:
    """All trials that are not deleted, by number; those that go on are as they are now."""
    rows = await (await connection.execute(ENDED, {"study": study_id}, binary=True)).fetchall()
    return [
        Ended(
            trial=Trial(
                number=number,
                state=TrialState(state),
                values=None if values is None else tuple(values),
                constraints=None if constraints is None else tuple(constraints),
            ),
            seq=seq,
        )
        for number, state, values, constraints, seq in rows
    ]


async def reports(connection: Driver, study_id: int, place: int) -> AsyncIterator[Sequence[Row]]:
    """The reports by seq, a page at a time: seq, number, step, the value at that place (from 0), and the cost.

    NaN stands for a value or cost that is not there. The caller's transaction sees one snapshot.
    """
    await connection.execute(REPORTS.format(study=int(study_id), place=int(place) + 1))
    while page := await (await connection.execute(f"FETCH {PAGE} FROM reports_by_seq", binary=True)).fetchall():
        yield page
