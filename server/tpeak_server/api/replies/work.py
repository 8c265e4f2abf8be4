"""What workers are answered, from the ask to the tell."""

from __future__ import annotations

from typing import Any, NotRequired

from typing_extensions import TypedDict

from tpeak_server.api.replies.wire import Number, StepReply, numbers, specs, steps
from tpeak_server.service.asking import Asked, Issued
from tpeak_server.service.leasing import Beat, Released
from tpeak_server.service.reporting import Reported
from tpeak_server.service.suggesting import SuggestedValue
from tpeak_server.service.telling import Told


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
        distributions=specs(handed.distributions),
        user_attrs=dict(trial.user_attrs),
        reports=steps(handed.record),
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
        values=numbers(answer.values),
        cause=answer.cause,
        seq=answer.seq,
    )


def beat(answer: Beat) -> BeatReply:
    return BeatReply(cancel=answer.cancel, lease_seconds=answer.lease_seconds)


def released(answer: Released) -> ReleasedReply:
    return ReleasedReply(number=answer.number, state=str(answer.state), seq=answer.seq)
