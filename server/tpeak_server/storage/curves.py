"""The curves of a study's trials: every report in the order in which they came, and which of them count."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from tpeak_server.domain.trial import Trial, TrialState
from tpeak_server.storage.database import Driver
from tpeak_server.storage.history import CLOCK
from tpeak_server.storage.rows import clock_from_row

Row = tuple[Any, ...]

PAGE = 2_000
"""Seqs, and so at most reports, a statement: the event loop takes them over in some hundredths of a second."""

# The event that made a trial complete is its only one: it stays so.
ENDED = """
SELECT number, state, values, constraints, exempt, coalesce(completed.seq, 0)
FROM trials LEFT JOIN (
    SELECT number, max(seq) AS seq FROM events
    WHERE study_id = %(study)s AND payload->>'state' = 'complete' GROUP BY number) AS completed USING (number)
WHERE study_id = %(study)s AND NOT deleted ORDER BY number
"""
# A curve is the winning, else the newest epoch's; one that resumes another has the steps up to that one's checkpoint.
COUNTING = """
WITH RECURSIVE counting (number, epoch, last, newer) AS (
    SELECT number, coalesce(nullif(told_epoch, 0), epoch), NULL::bigint, '{}'::integer[]
    FROM trials WHERE study_id = %(study)s AND NOT deleted
    UNION ALL
    SELECT counting.number, resumed.epoch, least(last, resumed.checkpoint_step), newer || counting.epoch
    FROM counting
    JOIN leases AS own
        ON own.study_id = %(study)s AND own.number = counting.number AND own.epoch = counting.epoch
    JOIN leases AS resumed
        ON resumed.study_id = %(study)s AND resumed.number = own.number AND resumed.epoch = own.resume_epoch
    WHERE resumed.checkpoint_step IS NOT NULL
)
"""
EPOCHS = f"{COUNTING} SELECT number, epoch, last FROM counting"
ANEW = f"""
{COUNTING}
SELECT number, epoch, step FROM reports JOIN counting USING (number, epoch)
WHERE study_id = %(study)s AND step <= last AND EXISTS (
    SELECT FROM reports AS anew
    WHERE anew.study_id = %(study)s AND anew.number = reports.number AND anew.epoch = ANY(newer)
        AND anew.step = reports.step)
"""
# A report never changes: what was there at a seq can be read later, too, one short statement after the other. No plan
# reads more than lies between two seqs; with LIMIT it would read all of the rest where nobody has analyzed the table.
REPORTS = """
SELECT seq, number, epoch, step, coalesce(values[%(place)s], 'NaN'), coalesce(cost, 'NaN') FROM reports
WHERE study_id = %(study)s AND seq > %(after)s AND seq <= %(last)s ORDER BY seq
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What became of a trial, as far as pruning goes; `seq` is that of the event that made it complete, else 0."""

    trial: Trial
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Counting:
    """Which reports up to `seq` make up the curves: those of the `epochs` (number, epoch), up to a last step if it is
    not None, but for those (number, epoch, step) that were made `anew` in an epoch that resumed theirs.
    """

    seq: int
    epochs: Mapping[tuple[int, int], int | None]
    anew: Set[tuple[int, int, int]]

    def counts(self, number: int, epoch: int, step: int) -> bool:
        """Whether this report is part of its trial's curve."""
        last = self.epochs.get((number, epoch), -math.inf)
        return last is None or (step <= last and (number, epoch, step) not in self.anew)


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
                exempt=exempt,
            ),
            seq=seq,
        )
        for number, state, values, constraints, exempt, seq in rows
    ]


async def counting(connection: Driver, study_id: int) -> Counting:
    """Which reports make up the curves of the trials that are not deleted, as of now. The study must be there."""
    keys = {"study": study_id}
    clock = await (await connection.execute(CLOCK, keys)).fetchall()
    epochs = await (await connection.execute(EPOCHS, keys, binary=True)).fetchall()
    anew = await (await connection.execute(ANEW, keys, binary=True)).fetchall()
    return Counting(
        seq=clock_from_row(clock[0]).seq,
        epochs={(number, epoch): last for number, epoch, last in epochs},
        anew=set(anew),
    )


async def page(connection: Driver, study_id: int, counting: Counting, *, after: int, place: int) -> Sequence[Row]:
    """The reports of the next PAGE seqs above `after`, in order, whether they count or not.

    Of each: seq, number, epoch, step, the value at that place (from 0), and the cost; NaN for what is not there.
    """
    keys = {"study": study_id, "after": after, "last": min(after + PAGE, counting.seq), "place": place + 1}
    return await (await connection.execute(REPORTS, keys, binary=True)).fetchall()
