"""Trials of other studies that a study began with, in rows of its own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tpeak_server.domain.warm import WarmTrial
from tpeak_server.storage.database import Driver
from tpeak_server.storage.rows import array_text

COMPLETE = """
SELECT number, values, constraints FROM trials WHERE study_id = %s AND state = 'complete' AND NOT deleted
ORDER BY number
"""
NAMES = "SELECT DISTINCT name FROM distributions WHERE study_id = %s"
WRITE = """
INSERT INTO warm_trials (study_id, source, number, rank, params)
SELECT %s, source, number, rank, params::json
FROM unnest(%s::smallint[], %s::integer[], %s::integer[], %s::text[]) AS t (source, number, rank, params)
"""
READ = "SELECT source, number, rank, params FROM warm_trials WHERE study_id = %(study)s ORDER BY source, number"


async def complete(connection: Driver, study_id: int) -> list[tuple[int, list[float], list[float] | None]]:
    """Number, values and constraints of a study's complete trials."""
    return await (await connection.execute(COMPLETE, (study_id,), binary=True)).fetchall()


async def names(connection: Driver, study_id: int) -> set[str]:
    """The parameters that a study's trials have had."""
    return {name for (name,) in await (await connection.execute(NAMES, (study_id,))).fetchall()}


async def write(connection: Driver, study_id: int, trials: Sequence[WarmTrial]) -> None:
    """Writes the trials of a study that is being made."""
    if trials:
        rows = [(one.source, one.number, one.rank, json.dumps(one.params)) for one in trials]
        columns = [array_text(column) for column in zip(*rows, strict=True)]
        await connection.execute(WRITE, (study_id, *columns))


def warm_from_rows(rows: Sequence[tuple[Any, ...]]) -> tuple[WarmTrial, ...]:
    """The trials that READ selects."""
    return tuple(WarmTrial(source=row[0], number=row[1], rank=row[2], params=row[3]) for row in rows)
