"""What belongs to the service and to no study: workers, the reaper's tick, readiness."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tpeak_server.storage.database import Driver
from tpeak_server.storage.schema import SchemaMismatch, explain, head

REGISTER = """
INSERT INTO workers (id, host, pid, client_version, python, job, git_commit, git_dirty)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (id) DO UPDATE SET host = excluded.host, pid = excluded.pid, client_version = excluded.client_version,
    python = excluded.python, job = excluded.job, git_commit = excluded.git_commit, git_dirty = excluded.git_dirty,
    last_seen = tpeak_now()
"""
SEEN = "UPDATE workers SET last_seen = tpeak_now() WHERE id = ANY(%s)"
# Of a worker's host, the study in which it is paused for longest.
WORKERS = """
SELECT id, workers.host, pid, client_version, python, job, git_commit, git_dirty, registered_at, last_seen,
    coalesce(failures, 0), CASE WHEN paused_s > 0 THEN paused_s END, cause
FROM workers LEFT JOIN (
    SELECT DISTINCT ON (host) host, failures, extract(epoch FROM paused_until - tpeak_now())::float8 AS paused_s, cause
    FROM hosts WHERE failures > 0 ORDER BY host, paused_until DESC NULLS LAST, failures DESC
) AS failing ON failing.host = workers.host
ORDER BY last_seen DESC, id LIMIT 10000
"""
# greatest(): two replicas may tick out of order, and the tick must not move back.
TICK = """
WITH former AS (SELECT reaper_tick FROM meta FOR NO KEY UPDATE),
ticked AS (
    UPDATE meta SET reaper_tick = greatest(meta.reaper_tick, tpeak_now()) FROM former
    RETURNING former.reaper_tick AS began, meta.reaper_tick AS ended
),
forgotten AS (
    DELETE FROM outages WHERE ended < tpeak_now() - interval '1 second' * (SELECT max(lease_seconds) FROM studies)
)
INSERT INTO outages (began, ended)
SELECT began, ended FROM ticked WHERE extract(epoch FROM ended - began) > %s
ON CONFLICT DO NOTHING
"""
# Not what could not be renewed in an outage that ended after its last renewal, until a whole period has passed since.
OVERDUE = """
SELECT l.study_id, l.number, l.epoch FROM leases l JOIN studies s ON s.id = l.study_id
WHERE l.live AND l.expires_at < tpeak_now() AND NOT EXISTS (
    SELECT FROM outages o
    WHERE o.ended > greatest(l.expires_at, tpeak_now()) - s.lease_seconds * interval '1 second'
    AND extract(epoch FROM o.ended - o.began) > %(share)s * s.lease_seconds
)
LIMIT 1000
"""
LAST_TICK = "SELECT reaper_tick FROM meta"
SCHEMA = "SELECT version_num FROM alembic_version"
HAS_SCHEMA = "SELECT to_regclass('alembic_version') IS NOT NULL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """A process that asks for trials.

    `fast_failures` in a row of its host, how many seconds that is still paused for them, and the last one's cause.
    """

    id: str
    host: str
    pid: int
    client_version: str
    python: str | None = None
    job: Mapping[str, Any] | None = None
    git_commit: str | None = None
    git_dirty: bool | None = None
    registered_at: datetime | None = None
    last_seen: datetime | None = None
    fast_failures: int = 0
    paused_s: float | None = None
    cause: str | None = None


async def register(connection: Driver, worker: Worker) -> None:
    """Knows the worker from here on, or anew."""
    job = None if worker.job is None else json.dumps(worker.job)
    row = (worker.id, worker.host, worker.pid, worker.client_version, worker.python, job)
    await connection.execute(REGISTER, (*row, worker.git_commit, worker.git_dirty))


async def seen(connection: Driver, ids: list[str]) -> None:
    """Notes that these workers asked for something just now."""
    await connection.execute(SEEN, (ids,))


async def workers(connection: Driver) -> list[Worker]:
    """All workers, the last seen first."""
    fields = Worker.__dataclass_fields__
    cursor = await connection.execute(WORKERS)
    return [Worker(**dict(zip(fields, row, strict=True))) for row in await cursor.fetchall()]


async def tick(connection: Driver, outage_s: float) -> None:
    """Says that a reaper is at work; if none was for more than this many seconds, it was an outage."""
    await connection.execute(TICK, (outage_s,))


async def overdue(connection: Driver, share: float) -> list[tuple[int, int, int]]:
    """(study, number, epoch) of live leases past their expiry, which no outage of that share of a lease excuses."""
    cursor = await connection.execute(OVERDUE, {"share": share})
    return [(row[0], row[1], row[2]) for row in await cursor.fetchall()]


async def last_tick(connection: Driver) -> datetime:
    """When a reaper last said that it is at work."""
    found: datetime = await _value(connection, LAST_TICK)
    return found


async def check_schema(connection: Driver) -> None:
    """Raises SchemaMismatch unless the database has this server's schema."""
    found = await _value(connection, SCHEMA) if await _value(connection, HAS_SCHEMA) else None
    if found != head():
        raise SchemaMismatch(explain(found))


async def _value(connection: Driver, statement: str) -> Any:
    row = await (await connection.execute(statement)).fetchone()
    assert row is not None, "a statement that always gives one row"
    return row[0]
