"""Which trials a reader means: by state, by change, the best one; never a deleted one."""

from __future__ import annotations

from typing import Any

from tpeak_server.domain.which import Which
from tpeak_server.storage.database import Driver

WHICH = """
FROM trials
WHERE study_id = %(study)s AND NOT deleted AND number > %(after)s
    AND (%(states)s::text[] IS NULL OR state = ANY(%(states)s))
    AND (%(since)s::bigint IS NULL OR number IN (
        SELECT number FROM events WHERE study_id = %(study)s AND seq > %(since)s AND number IS NOT NULL
        UNION SELECT number FROM suggestions WHERE study_id = %(study)s AND seq > %(since)s
        UNION SELECT number FROM reports WHERE study_id = %(study)s AND seq > %(since)s))
ORDER BY number LIMIT %(limit)s
"""
PAGE = "SELECT number" + WHICH
SIZES = "SELECT number, cardinality(proposed_ids)" + WHICH

# PostgreSQL sorts NaN above infinity, so only finite values may be ranked; among equals the earliest wins. A constraint
# that is NaN is no violation, as to the samplers.
BEST = """
SELECT number FROM trials
WHERE study_id = %(study)s AND NOT deleted AND state = 'complete'
    AND values[1] NOT IN ('NaN', 'Infinity', '-Infinity')
    AND NOT EXISTS (SELECT FROM unnest(constraints) AS c WHERE c > 0 AND c <> 'NaN')
ORDER BY %(sign)s::float8 * values[1], number LIMIT 1
"""


async def page(connection: Driver, study_id: int, which: Which, limit: int) -> list[int]:
    """The numbers of those trials, in order, at most so many."""
    keys = _keys(study_id, which, limit)
    return [row[0] for row in await (await connection.execute(PAGE, keys)).fetchall()]


async def sizes(connection: Driver, study_id: int, which: Which, limit: int) -> dict[int, int]:
    """For each trial of the `page` how many parameters were proposed, in order of numbers."""
    cursor = await connection.execute(SIZES, _keys(study_id, which, limit), binary=True)
    return dict(await cursor.fetchall())


async def best(connection: Driver, study_id: int, sign: float) -> int | None:
    """The number of the best finite complete trial that violates no constraint, the lowest among equals."""
    row = await (await connection.execute(BEST, {"study": study_id, "sign": sign})).fetchone()
    return None if row is None else int(row[0])


def _keys(study_id: int, which: Which, limit: int) -> dict[str, Any]:
    return {
        "study": study_id,
        "after": which.after,
        "limit": limit,
        "states": None if which.states is None else list(which.states),
        "since": which.since_seq,
    }
