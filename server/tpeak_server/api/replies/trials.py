"""Trials on the wire, as rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NotRequired

from typing_extensions import TypedDict

from tpeak_server.api.replies.wire import Number, StepReply, encoded, numbers, steps, time
from tpeak_server.domain.trial import Interned, TrialRecord
from tpeak_server.service.reading import Page


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
    constraint_names: NotRequired[list[str]]
    exempt: NotRequired[bool]


class TrialsReply(TypedDict):
    """A page of trials, as rows."""

    trials: list[TrialReply]
    next: int | None
    seq: int


def trial(record: TrialRecord, interned: Mapping[int, Interned]) -> TrialReply:
    one, params = record.trial, record.params(interned)
    body = TrialReply(
        number=one.number,
        state=str(one.state),
        values=numbers(one.values),
        params={name: interned[i].distribution.to_external(value) for name, (i, value) in params.items()},
        distributions={name: interned[i].distribution.spec() for name, (i, _) in params.items()},
        reports=steps(record),
        user_attrs=dict(one.user_attrs),
        constraints=numbers(one.constraints),
        origin=one.origin,
        epoch=one.epoch,
        attempt=one.attempt,
        cause=one.cause,
        worker=None if record.lease is None else record.lease.worker,
        created_at=time(one.created_at),
        started_at=time(one.started_at),
        finished_at=time(one.finished_at),
    )
    if one.fixed:
        body["fixed"] = dict(one.fixed)
    if one.constraint_names is not None:
        body["constraint_names"] = list(one.constraint_names)
    if one.exempt:
        body["exempt"] = True
    return body


def rows(page: Page) -> bytes:
    """The page as a TrialsReply; a trial at a time, so that whoever else wants to run need not wait for all."""
    trials = b",".join(encoded(trial(record, page.interned)) for record in page.records)
    return b'{"trials":[' + trials + b"]," + encoded({"next": page.next, "seq": page.seq})[1:]
