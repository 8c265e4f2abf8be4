"""Studies as a whole: making them, finding them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tpeak_server.domain.study import Study
from tpeak_server.domain.warm import WarmTrial
from tpeak_server.storage import warm
from tpeak_server.storage.database import Driver
from tpeak_server.storage.rows import STUDY_COLUMNS, study_from_row

# Two creators of one name meet here: the second waits for the first one's commit and then finds its study.
CLAIM = "INSERT INTO study_names (name, study_id) VALUES (%s, %s) ON CONFLICT DO NOTHING RETURNING study_id"
CREATE = """
INSERT INTO studies (id, name, directions, sampler, pruner, space, seed, state, max_trials, timeout_s, lease_seconds,
    max_attempts, max_host_failures, late_results, stop_when, warm_start, user_attrs, tags,
    note)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
START_CLOCK = "INSERT INTO study_clocks (study_id, seq) VALUES (%s, 1)"
CREATED = "INSERT INTO events (study_id, seq, kind) VALUES (%s, 1, 'created')"
KEEP_REQUEST = "INSERT INTO requests (study_id, request_id, hash, reply) VALUES (%s, %s, %s, 'null')"
BY_NAME = f"SELECT {STUDY_COLUMNS} FROM studies JOIN study_names USING (name) WHERE name = %s AND study_id = id"
CREATED_BY = "SELECT hash FROM requests WHERE study_id = %s AND request_id = %s"
BY_ID = f"SELECT {STUDY_COLUMNS} FROM studies WHERE id = %s"
PAGE = f"""
SELECT {STUDY_COLUMNS} FROM studies WHERE state <> 'archived' AND (%s::text IS NULL OR name > %s) ORDER BY name LIMIT %s
"""
COUNTS = """
SELECT study_id, state, count(*) FROM trials WHERE study_id = ANY(%s) AND NOT deleted GROUP BY study_id, state
"""
SEQS = "SELECT study_id, seq FROM study_clocks WHERE study_id = ANY(%s)"


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyCounts:
    """How many trials are in each state, and the study's seq."""

    by_state: dict[str, int]
    seq: int


async def create(
    connection: Driver, study: Study, trials: Sequence[WarmTrial], request_id: str, request_hash: bytes
) -> bool:
    """Makes the study, which begins with these trials of others; False where its name is taken."""
    claimed = await connection.execute(CLAIM, (study.name, study.id))
    if await claimed.fetchone() is None:
        return False
    async with connection.pipeline():
        await connection.execute(CREATE, _row(study))
        await warm.write(connection, study.id, trials)
        await connection.execute(START_CLOCK, (study.id,))
        await connection.execute(CREATED, (study.id,))
        await connection.execute(KEEP_REQUEST, (study.id, request_id, request_hash))
    return True


async def by_name(connection: Driver, name: str) -> Study | None:
    """The unarchived study of this name."""
    return _one(await (await connection.execute(BY_NAME, (name,))).fetchone())


async def by_id(connection: Driver, study_id: int) -> Study | None:
    """The study, archived or not."""
    return _one(await (await connection.execute(BY_ID, (study_id,))).fetchone())


async def created_with(connection: Driver, study_id: int, request_id: str) -> bytes | None:
    """The hash of the request that made the study, if it came under this id."""
    row = await (await connection.execute(CREATED_BY, (study_id, request_id))).fetchone()
    return None if row is None else bytes(row[0])


async def page(connection: Driver, after: str | None, limit: int) -> list[Study]:
    """Unarchived studies by name."""
    cursor = await connection.execute(PAGE, (after, after, limit))
    return [study_from_row(row) for row in await cursor.fetchall()]


async def counts(connection: Driver, study_ids: Sequence[int]) -> dict[int, StudyCounts]:
    """The trials of each study by state."""
    by_state: dict[int, dict[str, int]] = {study_id: {} for study_id in study_ids}
    for study_id, state, count in await (await connection.execute(COUNTS, (list(study_ids),))).fetchall():
        by_state[study_id][state] = count
    seqs = await (await connection.execute(SEQS, (list(study_ids),))).fetchall()
    return {study_id: StudyCounts(by_state=by_state[study_id], seq=seq) for study_id, seq in seqs}


def _one(row: tuple[Any, ...] | None) -> Study | None:
    return None if row is None else study_from_row(row)


def _row(study: Study) -> tuple[Any, ...]:
    space = None if study.space is None else {name: d.spec() for name, d in study.space.items()}
    return (
        study.id,
        study.name,
        [str(direction) for direction in study.directions],
        json.dumps(study.sampler),
        json.dumps(study.pruner),
        None if space is None else json.dumps(space),
        study.seed,
        str(study.state),
        study.max_trials,
        study.timeout_s,
        study.lease_seconds,
        study.max_attempts,
        study.max_host_failures,
        str(study.late_results),
        None if study.stop_when is None else json.dumps(study.stop_when.spec()),
        json.dumps([source.spec() for source in study.warm_start]),
        json.dumps(study.user_attrs),
        list(study.tags),
        study.note,
    )
