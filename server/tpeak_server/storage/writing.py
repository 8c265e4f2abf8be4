"""The second half of the transaction that changes a study: write and commit, in one round trip."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from functools import cache
from typing import Any

from psycopg import AsyncRawCursor
from psycopg.errors import UniqueViolation

from tpeak_server.domain.changes import Changes
from tpeak_server.domain.distributions import canonical
from tpeak_server.domain.errors import StudyExists
from tpeak_server.domain.trial import Lease, Report, Trial
from tpeak_server.storage import importing
from tpeak_server.storage.database import Driver
from tpeak_server.storage.rows import array_text

INTERN = "INSERT INTO distributions (study_id, id, name, spec, seen_seq) VALUES (%s, %s, %s, %s, %s) " + (
    "ON CONFLICT (study_id, id) DO UPDATE SET seen_seq = excluded.seen_seq"
)
# What every batch writes, as one statement of the clock and of the parts that have rows: to await each by itself would
# cost more than its rows do, and so would a part without rows.
# The clock comes first: its row is the lock, and where its seq is not the expected one nothing else has rows to write.
# "= ANY" beside the join keeps to the index: without statistics, as in a young table, the join alone reads every row.
# No row is named by two of its parts (what a batch both makes and changes comes as made), so their order is no matter.
# greatest(): a renewal never moves an expiry back, also when lease_seconds was made shorter; without a renewal the
# period is NULL, which it ignores. Each lease has its own: a batch may change lease_seconds between two of them.
CLOCK = """clock AS (
    UPDATE study_clocks SET next_number = %(next_number)s, handed = %(handed)s, seq = %(seq)s,
        best = %(best)s, unimproved = %(unimproved)s
    WHERE study_id = %(study)s AND seq = %(expected)s RETURNING study_id
)"""
PARTS = {
    "n": """new_trials AS (
    INSERT INTO trials (study_id, number, state, proposed_ids, proposed, fixed, values, constraints, origin, epoch,
        attempt, told_epoch, told_hash, cause, sampled_at_seq, sampler_version, resume_epoch, avoid_host, deleted,
        constraint_names, exempt, started_at, finished_at)
    SELECT study_id, number, state, ids::smallint[], proposed::float8[], fixed::json, vals::float8[], cons::float8[],
        origin, epoch, attempt, told_epoch, told_hash, cause, sampled, version, resume, avoid, deleted,
        cons_names::text[], exempt, CASE WHEN epoch > 0 OR state <> 'waiting' THEN tpeak_now() END,
        CASE WHEN state NOT IN ('waiting', 'running') THEN tpeak_now() END
    FROM clock, unnest(%(n0)s::integer[], %(n1)s::text[], %(n2)s::text[], %(n3)s::text[], %(n4)s::text[],
        %(n5)s::text[], %(n6)s::text[], %(n7)s::text[], %(n8)s::integer[], %(n9)s::integer[], %(n10)s::integer[],
        %(n11)s::bytea[], %(n12)s::text[], %(n13)s::bigint[], %(n14)s::text[], %(n15)s::integer[],
        %(n16)s::text[], %(n17)s::boolean[], %(n18)s::text[], %(n19)s::boolean[])
        AS t (number, state, ids, proposed, fixed, vals, cons, origin, epoch, attempt, told_epoch, told_hash, cause,
        sampled, version, resume, avoid, deleted, cons_names, exempt)
)""",
    "t": """old_trials AS (
    UPDATE trials SET state = t.state, values = t.vals::float8[], constraints = t.cons::float8[], epoch = t.epoch,
        attempt = t.attempt, told_epoch = t.told_epoch, told_hash = t.told_hash, cause = t.cause,
        resume_epoch = t.resume, avoid_host = t.avoid, deleted = t.deleted, constraint_names = t.cons_names::text[],
        exempt = t.exempt,
        started_at = CASE WHEN t.state = 'running' THEN coalesce(started_at, tpeak_now()) ELSE started_at END,
        finished_at = CASE WHEN t.state IN ('waiting', 'running') THEN NULL ELSE coalesce(finished_at, tpeak_now()) END
    FROM clock, unnest(%(t0)s::integer[], %(t1)s::text[], %(t2)s::text[], %(t3)s::text[], %(t4)s::integer[],
        %(t5)s::integer[], %(t6)s::integer[], %(t7)s::bytea[], %(t8)s::text[], %(t9)s::integer[],
        %(t10)s::text[], %(t11)s::boolean[], %(t12)s::text[], %(t13)s::boolean[])
        AS t (number, state, vals, cons, epoch, attempt, told_epoch, told_hash, cause, resume, avoid, deleted,
        cons_names, exempt)
    WHERE trials.study_id = %(study)s AND trials.number = ANY(%(t0)s::integer[]) AND trials.number = t.number
)""",
    "i": """new_leases AS (
    INSERT INTO leases (study_id, number, epoch, token, worker, request_id, ordinal, request_hash, resume_epoch, host,
        used, live, ended, checkpoint, checkpoint_step, cancelled, told_hash, expires_at)
    SELECT study_id, number, epoch, token, worker, request_id, ordinal, hash, resume, host, used::text[], live, ended,
        checkpoint, step, cancelled, told, tpeak_now() + make_interval(secs => period)
    FROM clock, unnest(%(i0)s::integer[], %(i1)s::integer[], %(i2)s::text[], %(i3)s::text[], %(i4)s::text[],
        %(i5)s::smallint[], %(i6)s::bytea[], %(i7)s::integer[], %(i8)s::text[], %(i9)s::text[], %(i10)s::boolean[],
        %(i11)s::text[], %(i12)s::text[], %(i13)s::bigint[], %(i14)s::boolean[], %(i15)s::bytea[],
        %(i16)s::float8[])
        AS t (number, epoch, token, worker, request_id, ordinal, hash, resume, host, used, live, ended, checkpoint,
        step, cancelled, told, period)
)""",
    "l": """old_leases AS (
    UPDATE leases SET used = t.used::text[], live = t.live, ended = t.ended, checkpoint = t.checkpoint,
        checkpoint_step = t.step, cancelled = t.cancelled, told_hash = t.told,
        expires_at = greatest(expires_at, tpeak_now() + make_interval(secs => t.period))
    FROM clock, unnest(%(l0)s::integer[], %(l1)s::integer[], %(l2)s::text[], %(l3)s::boolean[], %(l4)s::text[],
        %(l5)s::text[], %(l6)s::bigint[], %(l7)s::boolean[], %(l8)s::bytea[],
        %(l9)s::float8[])
        AS t (number, epoch, used, live, ended, checkpoint, step, cancelled, told, period)
    WHERE leases.study_id = %(study)s AND leases.number = ANY(%(l0)s::integer[]) AND leases.number = t.number
        AND leases.epoch = t.epoch
)""",
    "r": """new_reports AS (
    INSERT INTO reports (study_id, number, epoch, step, values, cost, seq, prune, reason)
    SELECT study_id, number, epoch, step, vals::float8[], cost, seq, prune, reason
    FROM clock, unnest(%(r0)s::integer[], %(r1)s::integer[], %(r2)s::bigint[], %(r3)s::text[], %(r4)s::float8[],
        %(r5)s::bigint[], %(r6)s::boolean[], %(r7)s::text[])
        AS t (number, epoch, step, vals, cost, seq, prune, reason)
)""",
    "e": """new_events AS (
    INSERT INTO events (study_id, seq, kind, number, payload)
    SELECT study_id, t.seq, kind, number, payload::json
    FROM clock, unnest(%(e0)s::bigint[], %(e1)s::text[], %(e2)s::integer[], %(e3)s::text[])
        AS t (seq, kind, number, payload)
)""",
}
"""By letter, with which the names of its parameters begin."""

ASKED_BEFORE = "leases_study_id_request_id_ordinal_key"
"""The constraint that a repeated ask runs into where nobody looked for the first one."""

SUGGEST = """
INSERT INTO suggestions (study_id, number, name, distribution_id, value, seq)
SELECT %s, t.* FROM unnest(%s::integer[], %s::text[], %s::smallint[], %s::float8[], %s::bigint[]) AS t
"""
ATTRS = """
INSERT INTO trial_attrs (study_id, number, key, value)
SELECT %s, number, key, value::json FROM unnest(%s::integer[], %s::text[], %s::text[]) AS t (number, key, value)
ON CONFLICT (study_id, number, key) DO UPDATE SET value = excluded.value
"""
LATE = """
INSERT INTO late_results (study_id, number, hash, code, body) VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""
REQUEST = "INSERT INTO requests (study_id, request_id, hash, reply) VALUES (%s, %s, %s, %s)"
STUDY_UPDATE = """
UPDATE studies SET name = %s, sampler = %s, pruner = %s, pruner_auto = %s, state = %s, max_trials = %s, timeout_s = %s,
    lease_seconds = %s, max_attempts = %s, max_host_failures = %s, late_results = %s, stop_when = %s,
    stop_reason = %s, warm_start = %s, user_attrs = %s, tags = %s, note = %s WHERE id = %s
"""
HOST = """
INSERT INTO hosts (study_id, host, failures, owed, paused_until, cause) VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT (study_id, host) DO UPDATE SET failures = excluded.failures, owed = excluded.owed,
    paused_until = excluded.paused_until, cause = excluded.cause
"""
# The primary key lets one study have the name; a second one gets 23505.
FREE_NAME = "DELETE FROM study_names WHERE study_id = %s"
TAKE_NAME = "INSERT INTO study_names (name, study_id) VALUES (%s, %s)"
FIRST_ASK = "UPDATE studies SET first_ask_at = tpeak_now() WHERE id = %s AND first_ask_at IS NULL"


class OutOfDate(Exception):
    """The study is not as the writer knew it; nothing was written."""


async def write(connection: Driver, study: int, expected_seq: int, changes: Changes) -> None:
    """Writes changes that are hot if the study is at the expected seq, with one statement. Raises OutOfDate."""
    try:
        written = AsyncRawCursor(connection)
        await written.execute(*_written(study, expected_seq, changes))
        row = await written.fetchone()
    except UniqueViolation as error:
        if error.diag.constraint_name == ASKED_BEFORE:
            raise OutOfDate from error
        raise
    if row is None or row[0] == 0:
        raise OutOfDate


async def save(connection: Driver, study: int, expected_seq: int, changes: Changes) -> None:
    """Writes the changes and commits, in one round trip; the caller holds the lock and so knows the seq.

    Raises StudyExists where a new name is taken.
    """
    try:
        async with connection.pipeline():
            await _save_rare(connection, study, changes)
            await _save_study(connection, study, changes)
            written = AsyncRawCursor(connection)
            await written.execute(*_written(study, expected_seq, changes))
            # A statement that fails aborts the rest of the pipeline, this one too.
            await connection.execute("COMMIT")
            row = await written.fetchone()
    except UniqueViolation as error:
        if error.diag.constraint_name == ASKED_BEFORE:
            raise OutOfDate from error
        if error.diag.constraint_name != "study_names_pkey":
            raise
        raise StudyExists(f"there is a study named {changes.name!r} already", where="/name") from error
    if row is None or row[0] == 0:
        raise OutOfDate


def _written(study: int, expected_seq: int, changes: Changes) -> tuple[str, list[Any]]:
    """The statement that writes the changes, and its parameters."""
    assert changes.clock is not None, "a ledger that was not closed"
    rows: dict[str, Iterable[Sequence[Any]]] = {
        "n": map(_new_trial, changes.created.values()),
        "t": map(_changed_trial, changes.updated.values()),
        "i": map(_new_lease, changes.issued.values()),
        "l": (_changed_lease(lease, changes.renewed.get(key)) for key, lease in changes.leases.items()),
        "r": map(_new_report, changes.reports.values()),
        "e": ((e.seq, e.kind, e.number, e.payload and json.dumps(e.payload)) for e in changes.events),
    }
    columns = {letter: found for letter, part in rows.items() if (found := _columns(part))}
    clock = changes.clock
    numbers = {"next_number": clock.next_number, "handed": clock.handed, "seq": clock.seq}
    named = {"study": study, "expected": expected_seq, **numbers, **asdict(clock.progress)}
    named |= {f"{letter}{place}": column for letter, part in columns.items() for place, column in enumerate(part)}
    statement, names = _statement("".join(columns))
    return statement, [named[name] for name in names]


@cache
def _statement(letters: str) -> tuple[str, Sequence[str]]:
    """What writes the clock and these parts, and the names of its parameters in the order of their numbers.

    Numbered here, once: psycopg would translate so long a statement anew for every batch.
    """
    named = f"WITH {', '.join([CLOCK, *map(PARTS.__getitem__, letters)])} SELECT count(*) FROM clock"
    names = tuple(dict.fromkeys(re.findall(r"%\((\w+)\)s", named)))
    return re.sub(r"%\((\w+)\)s", lambda match: f"${names.index(match[1]) + 1}", named), names


async def _save_rare(connection: Driver, study: int, changes: Changes) -> None:
    for new in changes.interned.values():
        await connection.execute(INTERN, (study, new.id, new.name, canonical(new.distribution), new.seen_seq))
    if changes.imported is not None:
        await importing.write(connection, study, changes.imported)
    if changes.suggested:
        rows = _columns((s.number, s.name, s.distribution_id, s.value, s.seq) for s in changes.suggested)
        await connection.execute(SUGGEST, (study, *rows))
    if changes.attrs:
        rows = _columns((number, key, json.dumps(value)) for (number, key), value in changes.attrs.items())
        await connection.execute(ATTRS, (study, *rows))
    for late in changes.late:
        await connection.execute(LATE, (study, late.number, late.hash, late.code, json.dumps(late.body)))
    for request in changes.requests:
        await connection.execute(REQUEST, (study, request.request_id, request.hash, json.dumps(request.reply)))
    for host in changes.hosts.values():
        state = (host.failures, host.owed, host.paused_until, host.cause)
        await connection.execute(HOST, (study, host.name, *state))


async def _save_study(connection: Driver, study: int, changes: Changes) -> None:
    if changes.first_ask:
        await connection.execute(FIRST_ASK, (study,))
    if changes.study is not None:
        new = changes.study
        await connection.execute(
            STUDY_UPDATE,
            (
                new.name,
                json.dumps(new.sampler),
                json.dumps(new.pruner),
                json.dumps(new.pruner_auto),
                str(new.state),
                new.max_trials,
                new.timeout_s,
                new.lease_seconds,
                new.max_attempts,
                new.max_host_failures,
                str(new.late_results),
                None if new.stop_when is None else json.dumps(new.stop_when.spec()),
                new.stop_reason,
                json.dumps([source.spec() for source in new.warm_start]),
                json.dumps(new.user_attrs),
                list(new.tags),
                new.note,
                study,
            ),
        )
    if changes.name is not None:
        await connection.execute(FREE_NAME, (study,))
    if changes.name:
        await connection.execute(TAKE_NAME, (changes.name, study))


def _new_trial(trial: Trial) -> tuple[Any, ...]:
    return (
        trial.number,
        str(trial.state),
        array_text(trial.proposed),
        array_text(trial.proposed.values()),
        json.dumps(trial.fixed) if trial.fixed else None,
        array_text(trial.values),
        array_text(trial.constraints),
        trial.origin,
        trial.epoch,
        trial.attempt,
        trial.told_epoch,
        trial.told_hash,
        trial.cause,
        trial.sampled_at_seq,
        trial.sampler_version,
        trial.resume_epoch,
        trial.avoid_host,
        trial.deleted,
        array_text(trial.constraint_names),
        trial.exempt,
    )


def _changed_trial(trial: Trial) -> tuple[Any, ...]:
    return (
        trial.number,
        str(trial.state),
        array_text(trial.values),
        array_text(trial.constraints),
        trial.epoch,
        trial.attempt,
        trial.told_epoch,
        trial.told_hash,
        trial.cause,
        trial.resume_epoch,
        trial.avoid_host,
        trial.deleted,
        array_text(trial.constraint_names),
        trial.exempt,
    )


def _new_lease(lease: Lease) -> tuple[Any, ...]:
    return (
        lease.number,
        lease.epoch,
        lease.token,
        lease.worker,
        lease.request_id,
        lease.ordinal,
        lease.request_hash,
        lease.resume_epoch,
        lease.host,
        *_lease_state(lease),
        lease.remaining_s,
    )


def _changed_lease(lease: Lease, renewed: float | None) -> tuple[Any, ...]:
    return (lease.number, lease.epoch, *_lease_state(lease), renewed)


def _lease_state(lease: Lease) -> tuple[Any, ...]:
    ended = lease.ended and str(lease.ended)
    place = (lease.checkpoint, lease.checkpoint_step)
    return (array_text(lease.used), lease.live, ended, *place, lease.cancelled, lease.told_hash)


def _new_report(report: Report) -> tuple[Any, ...]:
    return (
        report.number,
        report.epoch,
        report.step,
        array_text(report.values),
        report.cost,
        report.seq,
        report.prune,
        report.reason,
    )


def _columns(rows: Iterable[Sequence[Any]]) -> list[str | None]:
    """Rows as columns, which is how unnest() takes them."""
    return [array_text(column) for column in zip(*rows, strict=True)]
