"""Between rows and domain types: the column lists that statements select, and what is made of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from tpeak_server.domain.changes import Clock
from tpeak_server.domain.distributions import from_spec
from tpeak_server.domain.hosts import Host
from tpeak_server.domain.stopping import Progress
from tpeak_server.domain.stopping import from_spec as stop_when_from_spec
from tpeak_server.domain.study import Direction, LateResults, Study, StudyState
from tpeak_server.domain.trial import Interned, Lease, LeaseEnd, Report, Suggested, Trial, TrialState
from tpeak_server.domain.warm import WarmSource

STUDY_COLUMNS = (
    "id, name, directions, sampler, pruner, seed, state, space, max_trials, timeout_s, lease_seconds, max_attempts, "
    "user_attrs, tags, note, created_at, first_ask_at, late_results, max_host_failures, "
    "stop_when, stop_reason, warm_start, pruner_auto"
)
CLOCK_COLUMNS = "next_number, handed, seq, best, unimproved"
TRIAL_COLUMNS = (
    "number, state, proposed_ids, proposed, fixed, values, constraints, origin, epoch, attempt, told_epoch, told_hash, "
    "cause, sampled_at_seq, sampler_version, resume_epoch, created_at, started_at, finished_at, avoid_host, deleted, "
    "constraint_names, exempt"
)
LEASE_COLUMNS = (
    "number, epoch, token, worker, request_id, ordinal, request_hash, used, live, ended, "
    "extract(epoch FROM expires_at - tpeak_now())::float8, resume_epoch, checkpoint, checkpoint_step, "
    "extract(epoch FROM tpeak_now() - issued_at)::float8, host, cancelled, told_hash"
)
REPORT_COLUMNS = "number, epoch, step, values, cost, seq, prune, reason"
SUGGESTION_COLUMNS = "number, name, distribution_id, value, seq"
INTERNED_COLUMNS = "id, name, spec, seen_seq"
HOST_COLUMNS = "host, failures, owed, paused_until, cause"


def study_from_row(row: Sequence[Any]) -> Study:
    """A study from STUDY_COLUMNS."""
    space = row[7]
    return Study(
        id=row[0],
        name=row[1],
        directions=tuple(map(Direction, row[2])),
        sampler=row[3],
        pruner=row[4],
        seed=row[5],
        state=StudyState(row[6]),
        space=None if space is None else {name: from_spec(spec) for name, spec in space.items()},
        max_trials=row[8],
        timeout_s=row[9],
        lease_seconds=row[10],
        max_attempts=row[11],
        user_attrs=row[12],
        tags=tuple(row[13]),
        note=row[14],
        created_at=row[15],
        first_ask_at=row[16],
        late_results=LateResults(row[17]),
        max_host_failures=row[18],
        stop_when=stop_when_from_spec(row[19]),
        stop_reason=row[20],
        warm_start=tuple(WarmSource(**source) for source in row[21]),
        pruner_auto=row[22],
    )


def clock_from_row(row: Sequence[Any]) -> Clock:
    """A clock from CLOCK_COLUMNS."""
    progress = Progress(best=row[3], unimproved=row[4])
    return Clock(next_number=row[0], handed=row[1], seq=row[2], progress=progress)


def trial_from_row(row: Sequence[Any]) -> Trial:
    """A trial from TRIAL_COLUMNS; its attributes are rows of another table."""
    return Trial(
        number=row[0],
        state=TrialState(row[1]),
        proposed=dict(zip(row[2], row[3], strict=True)),
        fixed=row[4] or {},
        values=None if row[5] is None else tuple(row[5]),
        constraints=None if row[6] is None else tuple(row[6]),
        origin=row[7],
        epoch=row[8],
        attempt=row[9],
        told_epoch=row[10],
        told_hash=None if row[11] is None else bytes(row[11]),
        cause=row[12],
        sampled_at_seq=row[13],
        sampler_version=row[14],
        resume_epoch=row[15],
        created_at=row[16],
        started_at=row[17],
        finished_at=row[18],
        avoid_host=row[19],
        deleted=row[20],
        constraint_names=None if row[21] is None else tuple(row[21]),
        exempt=row[22],
    )


def lease_from_row(row: Sequence[Any]) -> Lease:
    """A lease from LEASE_COLUMNS."""
    return Lease(
        number=row[0],
        epoch=row[1],
        token=row[2],
        worker=row[3],
        request_id=row[4],
        ordinal=row[5],
        request_hash=bytes(row[6]),
        used=None if row[7] is None else tuple(row[7]),
        live=row[8],
        ended=None if row[9] is None else LeaseEnd(row[9]),
        remaining_s=row[10],
        resume_epoch=row[11],
        checkpoint=row[12],
        checkpoint_step=row[13],
        age_s=row[14],
        host=row[15],
        cancelled=row[16],
        told_hash=None if row[17] is None else bytes(row[17]),
    )


def report_from_row(row: Sequence[Any]) -> Report:
    """A report from REPORT_COLUMNS."""
    return Report(
        number=row[0],
        epoch=row[1],
        step=row[2],
        values=tuple(row[3]),
        cost=row[4],
        seq=row[5],
        prune=row[6],
        reason=row[7],
    )


def suggested_from_row(row: Sequence[Any]) -> Suggested:
    """A late parameter from SUGGESTION_COLUMNS."""
    return Suggested(number=row[0], name=row[1], distribution_id=row[2], value=row[3], seq=row[4])


def interned_from_row(row: Sequence[Any]) -> Interned:
    """A distribution from INTERNED_COLUMNS."""
    return Interned(id=row[0], name=row[1], distribution=from_spec(json.loads(row[2])), seen_seq=row[3])


def host_from_row(row: Sequence[Any]) -> Host:
    """A host from HOST_COLUMNS."""
    return Host(name=row[0], failures=row[1], owed=row[2], paused_until=row[3], cause=row[4])


def array_text(values: Iterable[Any] | None) -> str | None:
    """A column as PostgreSQL's array literal, floats bit for bit: repr() is exact, and keeps -0.0.

    Sent as text, every parameter of a statement has the same type each time, so that the statement is prepared once.
    """
    if values is None:
        return None
    return "{" + ",".join(map(_element, values)) + "}"


def _element(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, bytes):
        return f'"\\\\x{value.hex()}"'
    if isinstance(value, bool):
        return "t" if value else "f"
    return repr(value)
