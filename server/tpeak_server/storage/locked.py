"""The first half of the transaction that changes a study: lock its clock and read, in one round trip.

Pipelined statements run one after the other, each under a snapshot of its own that is taken when the one before has
ended; so everything after the lock sees what earlier holders of the lock have committed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tpeak_server.domain.changes import CurveEnd, Locked, Wanted
from tpeak_server.domain.errors import StudyNotFound
from tpeak_server.domain.trial import Lease, Suggested
from tpeak_server.storage.database import Cursor, Driver
from tpeak_server.storage.rows import (
    CLOCK_COLUMNS,
    LEASE_COLUMNS,
    REPORT_COLUMNS,
    SUGGESTION_COLUMNS,
    TRIAL_COLUMNS,
    array_text,
    clock_from_row,
    lease_from_row,
    report_from_row,
    suggested_from_row,
    trial_from_row,
)

# The lock that orders all writes of a study: numbers, seq, budget and every check below it are exact.
LOCK = f"""
SELECT {CLOCK_COLUMNS}, tpeak_now() FROM study_clocks WHERE study_id = %s FOR NO KEY UPDATE
"""
TRIALS = f"SELECT {TRIAL_COLUMNS} FROM trials WHERE study_id = %s AND number = ANY(%s::integer[])"
# What a repeated ask had handed out, which may be finished by now.
ASKED_TRIALS = f"""
SELECT {TRIAL_COLUMNS} FROM trials WHERE study_id = %s AND number IN (
    SELECT number FROM leases WHERE leases.study_id = trials.study_id AND request_id = ANY(%s::text[]))
"""
ASKED_SUGGESTIONS = f"""
SELECT {SUGGESTION_COLUMNS} FROM suggestions WHERE study_id = %s AND number IN (
    SELECT number FROM leases WHERE leases.study_id = suggestions.study_id AND request_id = ANY(%s::text[]))
"""
LEASES = f"SELECT {LEASE_COLUMNS} FROM leases WHERE study_id = %s AND number = ANY(%s::integer[])"
REPORTS = f"""
SELECT {REPORT_COLUMNS} FROM reports
WHERE study_id = %s AND (number, step) IN (SELECT * FROM unnest(%s::integer[], %s::bigint[]))
"""
ENDS = """
SELECT DISTINCT ON (number, epoch) number, epoch, values, bool_or(prune) OVER (PARTITION BY number, epoch)
FROM reports WHERE study_id = %s AND number = ANY(%s::integer[]) ORDER BY number, epoch, step DESC
"""
ASKS = f"SELECT {LEASE_COLUMNS} FROM leases WHERE study_id = %s AND request_id = ANY(%s::text[]) ORDER BY ordinal"
# Of the latest complete trials, the time from the lease that won to its result; added trials have no such lease.
DURATIONS = """
SELECT extract(epoch FROM finished_at - issued_at)::float8 FROM trials JOIN leases USING (study_id, number)
WHERE study_id = %s AND state = 'complete' AND NOT deleted AND leases.epoch = told_epoch
ORDER BY number DESC LIMIT 200
"""
REQUESTS = "SELECT request_id, hash, reply FROM requests WHERE study_id = %s AND request_id = ANY(%s::text[])"


async def load(connection: Driver, study_id: int, wanted: Wanted) -> Locked:
    """Locks the study and reads what is wanted of it. Raises StudyNotFound."""
    numbers = sorted(wanted.numbers)
    steps = sorted(wanted.steps)
    async with connection.pipeline():
        lock = await connection.execute(LOCK, (study_id,))
        trials = await _maybe(connection, TRIALS, study_id, numbers)
        leases = await _maybe(connection, LEASES, study_id, numbers)
        reports = await _maybe(connection, REPORTS, study_id, [n for n, _ in steps], [s for _, s in steps])
        ends = await _maybe(connection, ENDS, study_id, sorted(wanted.ends))
        asks = await _maybe(connection, ASKS, study_id, sorted(wanted.ask_ids))
        requests = await _maybe(connection, REQUESTS, study_id, sorted(wanted.request_ids))
        durations = await connection.execute(DURATIONS, (study_id,), binary=True) if wanted.durations else None
        locked = await lock.fetchone()
        if locked is None:
            raise StudyNotFound("there is no such study; it may have been made on another database")
        found = _by_request(map(lease_from_row, await _rows(asks)))
        repeated = late = None
        if found:
            repeated = await connection.execute(ASKED_TRIALS, (study_id, array_text(found)), binary=True)
            late = await connection.execute(ASKED_SUGGESTIONS, (study_id, array_text(found)), binary=True)
        return Locked(
            clock=clock_from_row(locked),
            now=locked[5],
            trials={t.number: t for t in map(trial_from_row, [*await _rows(trials), *await _rows(repeated)])},
            leases={(lease.number, lease.epoch): lease for lease in map(lease_from_row, await _rows(leases))},
            reports={(r.number, r.epoch, r.step): r for r in map(report_from_row, await _rows(reports))},
            ended_curves={(row[0], row[1]): CurveEnd(values=tuple(row[2]), prune=row[3]) for row in await _rows(ends)},
            asks=found,
            suggested=_by_trial(map(suggested_from_row, await _rows(late))),
            requests={row[0]: (bytes(row[1]), row[2]) for row in await _rows(requests)},
            durations_s=[row[0] for row in await _rows(durations)],
        )


async def _maybe(connection: Driver, statement: str, study_id: int, *keys: list[Any]) -> Cursor | None:
    """Sends the statement, unless there is nothing to look for."""
    if not keys[0]:
        return None
    return await connection.execute(statement, (study_id, *map(array_text, keys)), binary=True)


async def _rows(cursor: Cursor | None) -> list[tuple[Any, ...]]:
    return [] if cursor is None else await cursor.fetchall()


def _by_request(leases: Iterable[Lease]) -> dict[str, list[Lease]]:
    found: dict[str, list[Lease]] = {}
    for lease in leases:
        found.setdefault(lease.request_id, []).append(lease)
    return found


def _by_trial(suggestions: Iterable[Suggested]) -> dict[int, dict[str, tuple[int, float]]]:
    found: dict[int, dict[str, tuple[int, float]]] = {}
    for one in suggestions:
        found.setdefault(one.number, {})[one.name] = (one.distribution_id, one.value)
    return found
