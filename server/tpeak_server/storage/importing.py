"""Rows of another server's study, with the times that they have there."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from tpeak_server.domain.changes import Imported
from tpeak_server.domain.transfer import Epoch, EpochReport, LateLine, TrialLine
from tpeak_server.storage import warm
from tpeak_server.storage.database import Driver
from tpeak_server.storage.rows import array_text

TRIALS = """
INSERT INTO trials (study_id, number, state, deleted, proposed_ids, proposed, fixed, values, constraints, cause, origin,
    epoch, attempt, told_epoch, resume_epoch, sampled_at_seq, sampler_version, avoid_host, created_at, started_at,
    finished_at, constraint_names, exempt)
SELECT %s, number, state, deleted, ids::smallint[], proposed::float8[], fixed::json, vals::float8[], cons::float8[],
    cause, origin, epoch, attempt, told, resume, sampled, version, host, coalesce(created, tpeak_now()), started,
    CASE WHEN state NOT IN ('waiting', 'running') THEN coalesce(finished, tpeak_now()) END, cons_names::text[],
    exempt
FROM unnest(%s::integer[], %s::text[], %s::boolean[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],
    %s::text[], %s::text[], %s::integer[], %s::integer[], %s::integer[], %s::integer[], %s::bigint[], %s::text[],
    %s::text[], %s::timestamptz[], %s::timestamptz[], %s::timestamptz[], %s::text[],
    %s::boolean[])
    AS t (number, state, deleted, ids, proposed, fixed, vals, cons, cause, origin, epoch, attempt, told, resume,
    sampled, version, host, created, started, finished, cons_names, exempt)
"""
# Nobody has the token, and nobody asked: such a lease says who had the trial, and opens nothing.
EPOCHS = """
INSERT INTO leases (study_id, number, epoch, worker, host, used, live, ended, cancelled, issued_at, resume_epoch,
    checkpoint, checkpoint_step, token, request_id, ordinal, request_hash, expires_at)
SELECT %s, number, epoch, worker, host, used::text[], false, ended, cancelled, coalesce(issued, tpeak_now()), resume,
    checkpoint, step, token, 'imported-' || token, 0, '', tpeak_now()
FROM unnest(%s::integer[], %s::integer[], %s::text[], %s::text[], %s::text[], %s::text[], %s::boolean[],
    %s::timestamptz[], %s::integer[], %s::text[], %s::bigint[], %s::text[])
    AS t (number, epoch, worker, host, used, ended, cancelled, issued, resume, checkpoint, step, token)
"""
REPORTS = """
INSERT INTO reports (study_id, number, epoch, step, values, cost, reported_at, prune, reason, seq)
SELECT %s, number, epoch, step, vals::float8[], cost, coalesce(at, tpeak_now()), prune, reason, seq
FROM unnest(%s::integer[], %s::integer[], %s::bigint[], %s::text[], %s::float8[], %s::timestamptz[], %s::boolean[],
    %s::text[], %s::bigint[]) AS t (number, epoch, step, vals, cost, at, prune, reason, seq)
"""
LATE = """
INSERT INTO late_results (study_id, number, hash, code, body, received_at)
SELECT %s, number, hash, code, body::json, coalesce(received, tpeak_now())
FROM unnest(%s::integer[], %s::bytea[], %s::text[], %s::text[], %s::timestamptz[])
    AS t (number, hash, code, body, received) ON CONFLICT DO NOTHING
"""


async def write(connection: Driver, study: int, imported: Imported) -> None:
    """Writes the rows; the caller holds the study's lock and commits."""
    for statement, rows in (
        (TRIALS, [_trial(line, proposed) for line, proposed in imported.trials]),
        (EPOCHS, [_epoch(number, one) for number, one in imported.epochs]),
        (REPORTS, [_report(*one) for one in imported.reports]),
        (LATE, [_late(one) for one in imported.late]),
    ):
        if rows:
            await connection.execute(statement, (study, *_columns(rows)))
    await warm.write(connection, study, imported.warm)


def _trial(line: TrialLine, proposed: dict[int, float]) -> tuple[Any, ...]:
    return (
        line.number,
        str(line.state),
        line.deleted,
        array_text(proposed),
        array_text(proposed.values()),
        json.dumps(line.fixed) if line.fixed else None,
        array_text(line.values),
        array_text(line.constraints),
        line.cause,
        line.origin,
        line.epoch,
        line.attempt,
        line.told_epoch,
        line.resume_epoch,
        line.sampled_at_seq,
        line.sampler_version,
        line.avoid_host,
        *map(_moment, (line.created_at, line.started_at, line.finished_at)),
        array_text(line.constraint_names),
        line.exempt,
    )


def _epoch(number: int, one: Epoch) -> tuple[Any, ...]:
    return (
        number,
        one.epoch,
        one.worker,
        one.host,
        array_text(one.used),
        one.ended,
        one.cancelled,
        _moment(one.issued_at),
        one.resume_epoch,
        one.checkpoint,
        one.checkpoint_step,
        secrets.token_urlsafe(18),
    )


def _report(number: int, one: EpochReport, seq: int) -> tuple[Any, ...]:
    values = array_text(one.values)
    return (number, one.epoch, one.step, values, one.cost, _moment(one.at), one.prune, one.reason, seq)


def _late(one: LateLine) -> tuple[Any, ...]:
    return (one.number, one.hash, one.code, json.dumps(one.body), _moment(one.received_at))


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _columns(rows: Iterable[Sequence[Any]]) -> list[str | None]:
    return [array_text(column) for column in zip(*rows, strict=True)]
