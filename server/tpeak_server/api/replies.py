"""What replies look like, and how they are made of the service's answers. See docs/protocol.md."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NotRequired

from starlette.responses import Response
from typing_extensions import TypedDict

from tpeak_server.domain.distributions import Distribution
from tpeak_server.domain.study import Study, to_path
from tpeak_server.domain.trial import Interned, TrialRecord, TrialState
from tpeak_server.service.application import Worker
from tpeak_server.service.asking import Asked, Issued
from tpeak_server.service.leasing import Beat, Released
from tpeak_server.service.reading import Page
from tpeak_server.service.reporting import Reported
from tpeak_server.service.studies import Created, StudyCounts
from tpeak_server.service.suggesting import SuggestedValue
from tpeak_server.service.telling import Told

_encoder = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False, check_circular=False)

Number = float | str
"""A float, or the name of a non-finite one."""


class StudyReply(TypedDict):
    id: str
    name: str
    directions: list[str]
    state: str
    sampler: dict[str, Any]
    pruner: dict[str, Any]
    space: dict[str, Any] | None
    seed: int
    max_trials: int | None
    timeout_s: float | None
    lease_seconds: float
    max_attempts: int
    max_host_failures: int | None
    late_results: str
    user_attrs: dict[str, Any]
    tags: list[str]
    note: str
    created_at: str | None
    counts: dict[str, int]
    seq: int


class DifferenceReply(TypedDict):
    """A setting that was asked for and is stored otherwise."""

    field: str
    stored: Any
    asked: Any


class CreatedReply(TypedDict):
    """A study, and whether the request made it."""

    study: StudyReply
    created: bool
    differences: list[DifferenceReply]


class StudiesReply(TypedDict):
    """A page of studies."""

    studies: list[StudyReply]
    next: str | None


class StepReply(TypedDict):
    """Intermediate values at a step."""

    step: int
    values: list[Number]


class ResumeReply(TypedDict):
    """Where to go on from."""

    checkpoint: str | None
    step: int | None


class IssuedReply(TypedDict):
    """A trial to work on."""

    number: int
    epoch: int
    attempt: int
    lease: str
    lease_seconds: float
    origin: str
    params: dict[str, Any]
    distributions: dict[str, Any]
    user_attrs: dict[str, Any]
    reports: list[StepReply]
    fixed: NotRequired[dict[str, Any]]
    resume_from: NotRequired[ResumeReply]


class AskedReply(TypedDict):
    """Trials, or when to come again, or that the study is done."""

    trials: list[IssuedReply]
    seq: int
    retry_after_s: NotRequired[float]
    done: NotRequired[bool]
    reason: NotRequired[str]
    cause: NotRequired[str]


class SuggestedReply(TypedDict):
    """A value, in the distribution that it was drawn from."""

    value: Any
    distribution: dict[str, Any]
    seq: int


class ReportedReply(TypedDict):
    """Whether to go on."""

    prune: bool
    reason: str | None
    cancel: bool
    lease_seconds: float
    kept: list[int]
    seq: int


class ToldReply(TypedDict):
    """A result as it was stored."""

    number: int
    state: str
    values: list[Number] | None
    cause: str | None
    seq: int


class BeatReply(TypedDict):
    """How long the lease lives from now."""

    cancel: bool
    lease_seconds: float


class ReleasedReply(TypedDict):
    """A trial as it was given back."""

    number: int
    state: str
    seq: int


class AddedReply(TypedDict):
    """The numbers of the added trials."""

    numbers: list[int]
    seq: int


class TrialReply(TypedDict):
    """A trial as stored."""

    number: int
    state: str
    values: list[Number] | None
    params: dict[str, Any]
    distributions: dict[str, Any]
    reports: list[StepReply]
    user_attrs: dict[str, Any]
    constraints: list[Number] | None
    origin: str
    epoch: int
    attempt: int
    cause: str | None
    worker: str | None
    created_at: str | None
    started_at: str | None
    finished_at: str | None
    fixed: NotRequired[dict[str, Any]]


class TrialsReply(TypedDict):
    """A page of trials, as rows."""

    trials: list[TrialReply]
    next: int | None
    seq: int


class ColumnsReply(TypedDict):
    """A page of trials, as columns."""

    number: list[int]
    state: list[str]
    values: list[list[Number] | None]
    params: dict[str, list[Any]]
    next: int | None
    seq: int


class WorkerReply(TypedDict):
    """A worker as it registered."""

    id: str
    host: str
    pid: int
    client_version: str
    python: str | None
    job: dict[str, Any] | None
    git_commit: str | None
    git_dirty: bool | None
    registered_at: str | None
    last_seen: str | None
    fast_failures: int
    paused_s: float | None
    cause: str | None


class WorkersReply(TypedDict):
    """All workers."""

    workers: list[WorkerReply]


class MetaReply(TypedDict):
    """What this server is."""

    version: str
    features: list[str]
    schema: str
    incarnation: str


class StatusReply(TypedDict):
    """That all is well."""

    status: str


def reply(body: Mapping[str, Any], status: int = 200) -> Response:
    """The response with this body; a non-finite number in it would be a mistake made here."""
    return Response(_encoder.encode(body), status, media_type="application/json")


def study(found: Study, counts: StudyCounts) -> StudyReply:
    return StudyReply(
        id=to_path(found.id),
        name=found.name,
        directions=[str(direction) for direction in found.directions],
        state=str(found.state),
        sampler=dict(found.sampler),
        pruner=dict(found.pruner),
        space=None if found.space is None else _specs(found.space),
        seed=found.seed,
        max_trials=found.max_trials,
        timeout_s=found.timeout_s,
        lease_seconds=found.lease_seconds,
        max_attempts=found.max_attempts,
        max_host_failures=found.max_host_failures,
        late_results=str(found.late_results),
        user_attrs=dict(found.user_attrs),
        tags=list(found.tags),
        note=found.note,
        created_at=_time(found.created_at),
        counts={str(state): counts.by_state.get(state, 0) for state in TrialState},
        seq=counts.seq,
    )


def created(answer: Created) -> CreatedReply:
    differences = [DifferenceReply(field=d.field, stored=d.stored, asked=d.asked) for d in answer.differences]
    return CreatedReply(study=study(answer.study, answer.counts), created=answer.created, differences=differences)


def studies(found: Sequence[tuple[Study, StudyCounts]], limit: int) -> StudiesReply:
    following = found[-1][0].name if len(found) == limit else None
    return StudiesReply(studies=[study(*one) for one in found], next=following)


def asked(answer: Asked) -> AskedReply:
    body = AskedReply(trials=[_issued(trial) for trial in answer.trials], seq=answer.seq)
    if answer.retry_after_s is not None:
        body["retry_after_s"] = answer.retry_after_s
    if answer.done:
        body["done"] = True
    if answer.reason is not None:
        body["reason"] = str(answer.reason)
    if answer.cause is not None:
        body["cause"] = answer.cause
    return body


def _issued(handed: Issued) -> IssuedReply:
    trial, lease = handed.record.trial, handed.lease
    body = IssuedReply(
        number=trial.number,
        epoch=lease.epoch,
        attempt=trial.attempt,
        lease=lease.token,
        lease_seconds=lease.remaining_s,
        origin=trial.origin if lease.epoch == 1 else "retry",
        params=dict(handed.params),
        distributions=_specs(handed.distributions),
        user_attrs=dict(trial.user_attrs),
        reports=_steps(handed.record.curve),
    )
    if trial.fixed:
        body["fixed"] = dict(trial.fixed)
    resume = handed.record.resume
    if resume is not None and lease.resume_epoch is not None:
        body["resume_from"] = ResumeReply(checkpoint=resume.checkpoint, step=resume.checkpoint_step)
    return body


def suggested(answer: SuggestedValue) -> SuggestedReply:
    return SuggestedReply(value=answer.value, distribution=answer.distribution.spec(), seq=answer.seq)


def reported(answer: Reported) -> ReportedReply:
    return ReportedReply(
        prune=answer.prune,
        reason=answer.reason,
        cancel=answer.cancel,
        lease_seconds=answer.lease_seconds,
        kept=list(answer.kept),
        seq=answer.seq,
    )


def told(answer: Told) -> ToldReply:
    return ToldReply(
        number=answer.number,
        state=str(answer.state),
        values=_numbers(answer.values),
        cause=answer.cause,
        seq=answer.seq,
    )


def beat(answer: Beat) -> BeatReply:
    return BeatReply(cancel=answer.cancel, lease_seconds=answer.lease_seconds)


def released(answer: Released) -> ReleasedReply:
    return ReleasedReply(number=answer.number, state=str(answer.state), seq=answer.seq)


def trial(record: TrialRecord, interned: Mapping[int, Interned]) -> TrialReply:
    one, params = record.trial, record.params(interned)
    body = TrialReply(
        number=one.number,
        state=str(one.state),
        values=_numbers(one.values),
        params={name: interned[i].distribution.to_external(value) for name, (i, value) in params.items()},
        distributions={name: interned[i].distribution.spec() for name, (i, _) in params.items()},
        reports=_steps(record.curve),
        user_attrs=dict(one.user_attrs),
        constraints=_numbers(one.constraints),
        origin=one.origin,
        epoch=one.epoch,
        attempt=one.attempt,
        cause=one.cause,
        worker=None if record.lease is None else record.lease.worker,
        created_at=_time(one.created_at),
        started_at=_time(one.started_at),
        finished_at=_time(one.finished_at),
    )
    if one.fixed and one.epoch == 0:
        body["fixed"] = dict(one.fixed)
    return body


def rows(page: Page) -> TrialsReply:
    return TrialsReply(trials=[trial(r, page.interned) for r in page.records], next=page.next, seq=page.seq)


def columns(page: Page) -> ColumnsReply:
    each = [trial(record, page.interned) for record in page.records]
    names = dict.fromkeys(name for one in each for name in one["params"])
    return ColumnsReply(
        number=[one["number"] for one in each],
        state=[one["state"] for one in each],
        values=[one["values"] for one in each],
        params={name: [one["params"].get(name) for one in each] for name in names},
        next=page.next,
        seq=page.seq,
    )


def workers(found: Iterable[Worker]) -> WorkersReply:
    return WorkersReply(workers=[_worker(worker) for worker in found])


def _worker(worker: Worker) -> WorkerReply:
    return WorkerReply(
        id=worker.id,
        host=worker.host,
        pid=worker.pid,
        client_version=worker.client_version,
        python=worker.python,
        job=None if worker.job is None else dict(worker.job),
        git_commit=worker.git_commit,
        git_dirty=worker.git_dirty,
        registered_at=_time(worker.registered_at),
        last_seen=_time(worker.last_seen),
        fast_failures=worker.fast_failures,
        paused_s=worker.paused_s,
        cause=worker.cause,
    )


def _specs(distributions: Mapping[str, Distribution]) -> dict[str, Any]:
    return {name: distribution.spec() for name, distribution in distributions.items()}


def _steps(curve: Mapping[int, tuple[float, ...]]) -> list[StepReply]:
    return [StepReply(step=step, values=[_number(value) for value in curve[step]]) for step in sorted(curve)]


def _numbers(values: Iterable[float] | None) -> list[Number] | None:
    return None if values is None else [_number(value) for value in values]


def _number(value: float) -> Number:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
