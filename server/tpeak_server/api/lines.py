"""The lines of an export: what they look like, and how they are made of the service's answers and read again.

What is null, empty or false is left out. See docs/protocol.md.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from tpeak_server.api.replies.wire import number as number_out
from tpeak_server.api.replies.wire import numbers as numbers_out
from tpeak_server.api.replies.wire import time as time_out
from tpeak_server.api.requests import (
    MAX_INT32,
    MAX_KEY,
    MAX_WARM_WEIGHT,
    Attrs,
    Body,
    ConstraintNames,
    Cost,
    Key,
    Name,
    Scalar,
    Spec,
    Used,
    Value,
    Values,
    constraint_names,
    distribution,
)
from tpeak_server.api.requests import _vector as vector
from tpeak_server.domain import transfer
from tpeak_server.domain.errors import Invalid
from tpeak_server.domain.stopping import Progress
from tpeak_server.domain.study import StudyState, from_path, to_path
from tpeak_server.domain.warm import MAX_SOURCES, WarmSource, WarmTrial
from tpeak_server.service.commands import ImportLines

FORMAT = 1
"""Raised when a reader of today could misread a line."""

MAX_LINES = 1000
MAX_REPORTS = 10_000
MAX_EPOCHS = 10_000
MAX_TEXT = 100_000
MAX_INT64 = 2**63 - 1

_encoder = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False, check_circular=False)


def encoded(line: transfer.Line) -> bytes:
    """The line as JSON, with its end."""
    match line:
        case transfer.StudyLine():
            body = _study(line)
        case transfer.WarmStartLine():
            body = {"type": "warm_start", **line.source.spec(), "study": to_path(line.source.study)}
        case transfer.WarmTrialLine():
            one = line.trial
            body = {"type": "warm_trial", "source": one.source, "number": one.number, "rank": one.rank}
            body |= {"params": one.params}
        case transfer.DistributionLine():
            body = {"type": "distribution", "id": line.id, "name": line.name, "distribution": line.distribution.spec()}
            body |= {} if line.current else {"current": False}
        case transfer.TrialLine():
            body = _trial(line)
        case transfer.MoreLine():
            body = {"type": "more", "number": line.number} | _given(
                reports=[_report(one) for one in line.reports], user_attrs=line.user_attrs
            )
        case transfer.LateLine():
            body = {"type": "late_result", "number": line.number, "hash": line.hash.hex(), "code": line.code}
            body |= {"body": line.body, "received_at": time_out(line.received_at)}
        case transfer.EndLine():
            body = {"type": "end", "lines": line.lines, "trials": line.trials, "late_results": line.late_results}
            body |= {"handed": line.handed, "state": str(line.state)} | _of_stopping(line)
    return _encoder.encode(body).encode() + b"\n"


def _of_stopping(line: transfer.EndLine) -> dict[str, Any]:
    best, unimproved = line.progress.best, line.progress.unimproved
    return _given(
        stop_reason=line.stop_reason,
        best=None if best == math.inf else number_out(best),
        unimproved=unimproved or None,
    )


def _study(line: transfer.StudyLine) -> dict[str, Any]:
    about = {"type": "study", "format": FORMAT, "id": to_path(line.id), "schema": line.schema}
    about |= {"incarnation": line.incarnation, "seq": line.seq, "created_at": time_out(line.created_at)}
    return about | dict(line.settings)


def _trial(line: transfer.TrialLine) -> dict[str, Any]:
    if line.deleted:
        return {"type": "trial", "number": line.number, "deleted": True, "epoch": line.epoch}
    return {"type": "trial", "number": line.number, "state": str(line.state)} | _given(
        proposed=line.proposed,
        suggested=line.suggested,
        fixed=line.fixed,
        values=numbers_out(line.values),
        constraints=numbers_out(line.constraints),
        constraint_names=line.constraint_names and list(line.constraint_names),
        cause=line.cause,
        origin=line.origin,
        epoch=line.epoch,
        attempt=line.attempt,
        told_epoch=line.told_epoch,
        resume_epoch=line.resume_epoch,
        sampled_at_seq=line.sampled_at_seq,
        sampler_version=line.sampler_version,
        avoid_host=line.avoid_host,
        exempt=line.exempt,
        created_at=time_out(line.created_at),
        started_at=time_out(line.started_at),
        finished_at=time_out(line.finished_at),
        epochs=[_epoch(one) for one in line.epochs],
        reports=[_report(one) for one in line.reports],
        user_attrs=line.user_attrs,
    )


def _epoch(one: transfer.Epoch) -> dict[str, Any]:
    return {"epoch": one.epoch, "worker": one.worker} | _given(
        host=one.host,
        used=one.used,
        ended=one.ended,
        cancelled=one.cancelled,
        issued_at=time_out(one.issued_at),
        resume_epoch=one.resume_epoch,
        checkpoint=one.checkpoint,
        checkpoint_step=one.checkpoint_step,
    )


def _report(one: transfer.EpochReport) -> dict[str, Any]:
    return {"epoch": one.epoch, "step": one.step, "values": [number_out(value) for value in one.values]} | _given(
        cost=one.cost, at=time_out(one.at), prune=one.prune, reason=one.reason
    )


def _given(**fields: Any) -> dict[str, Any]:
    """The fields that say something; 0 and an empty list of used names do."""
    return {
        name: value
        for name, value in fields.items()
        if value is not None and value is not False and (name == "used" or not _empty(value))
    }


def _empty(value: Any) -> bool:
    return isinstance(value, (list, Mapping)) and not value


def _moment(value: Any) -> Any:
    """The moment that `time_out` wrote; anything else is left to be refused."""
    if not isinstance(value, str):
        return value
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None or not 1 < moment.year < 9999:
        raise ValueError("a time needs a zone, and a year that a calendar has")
    return moment.astimezone(UTC)


def _pair(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _hex(value: Any) -> Any:
    return bytes.fromhex(value) if isinstance(value, str) else value


Count = Annotated[int, Field(ge=0, le=MAX_INT32)]
Step = Annotated[int, Field(ge=-MAX_INT64, le=MAX_INT64)]
Moment = Annotated[datetime, BeforeValidator(_moment, json_schema_input_type=str)]
Placed = dict[Name, Annotated[tuple[Annotated[int, Field(ge=0, le=32_767)], Scalar], BeforeValidator(_pair)]]
Text = Annotated[str, Field(max_length=MAX_TEXT)]
End = Literal["told", "returned", "released", "expired", "superseded"]


class WarmStartEntry(Body):
    """A study that this one began with."""

    type: Literal["warm_start"]
    study: Key
    name: Name
    params: dict[Name, Name] = Field(default_factory=dict)
    weight: Annotated[float, Field(gt=0, le=MAX_WARM_WEIGHT)]
    seen: Count
    trials: Count

    def domain(self, where: str) -> transfer.WarmStartLine:
        """Its id is another server's: it says where the trials are from, and need not be found here."""
        study = from_path(self.study)
        if study is None:
            raise Invalid("this is no study's id", where=f"{where}/study")
        given = self.model_dump(exclude={"type"}) | {"study": study}
        return transfer.WarmStartLine(source=WarmSource(**given))


class WarmTrialEntry(Body):
    """A trial of another study that this one began with."""

    type: Literal["warm_trial"]
    source: Annotated[int, Field(ge=0, lt=MAX_SOURCES)]
    number: Count
    rank: Count
    params: dict[Name, Scalar] = Field(default_factory=dict)

    def domain(self, where: str) -> transfer.WarmTrialLine:
        return transfer.WarmTrialLine(trial=WarmTrial(**self.model_dump(exclude={"type"})))


class DistributionLine(Body):
    """A distribution, under the id by which trials refer to it."""

    type: Literal["distribution"]
    id: Annotated[int, Field(ge=0, le=32_767)]
    name: Name
    distribution: Spec
    current: bool = True

    def domain(self, where: str) -> transfer.DistributionLine:
        wanted = distribution(self.distribution, f"{where}/distribution")
        return transfer.DistributionLine(id=self.id, name=self.name, distribution=wanted, current=self.current)


class EpochEntry(Body):
    """Who had a trial."""

    epoch: Count
    worker: Key
    host: Name | None = None
    used: Used | None = None
    ended: End | None = None
    cancelled: bool = False
    issued_at: Moment | None = None
    resume_epoch: Count | None = None
    checkpoint: Annotated[str, Field(max_length=4096)] | None = None
    checkpoint_step: Step | None = None

    def domain(self) -> transfer.Epoch:
        given = self.model_dump()
        return transfer.Epoch(**given | {"used": None if self.used is None else tuple(self.used)})


class ReportEntry(Body):
    """Intermediate values at a step, with the decision on them."""

    epoch: Count
    step: Step
    values: Values
    cost: Cost | None = None
    at: Moment | None = None
    prune: bool = False
    reason: Text | None = None

    def domain(self) -> transfer.EpochReport:
        return transfer.EpochReport(
            epoch=self.epoch,
            step=self.step,
            values=tuple(self.values),
            cost=self.cost,
            at=self.at,
            prune=self.prune,
            reason=self.reason,
        )


Reports = Annotated[list[ReportEntry], Field(max_length=MAX_REPORTS)]


class TrialEntry(Body):
    """A trial whole, or that its number was deleted."""

    type: Literal["trial"]
    number: Count
    deleted: bool = False
    state: Literal["waiting", "running", "complete", "pruned", "failed", "lost"] = "failed"
    proposed: Placed = Field(default_factory=dict)
    suggested: Placed = Field(default_factory=dict)
    fixed: dict[Name, Scalar] = Field(default_factory=dict)
    values: Values | None = None
    constraints: Values | None = None
    constraint_names: ConstraintNames | None = None
    cause: Text | None = None
    origin: Annotated[str, Field(min_length=1, max_length=MAX_KEY)] = "added"
    epoch: Count = 0
    attempt: Count = 0
    told_epoch: Count | None = None
    resume_epoch: Count | None = None
    sampled_at_seq: Annotated[int, Field(ge=0, le=MAX_INT64)] | None = None
    sampler_version: Annotated[str, Field(max_length=MAX_KEY)] | None = None
    avoid_host: Name | None = None
    exempt: bool = False
    created_at: Moment | None = None
    started_at: Moment | None = None
    finished_at: Moment | None = None
    epochs: Annotated[list[EpochEntry], Field(max_length=MAX_EPOCHS, default_factory=list)]
    reports: Reports = Field(default_factory=list)
    user_attrs: Attrs = Field(default_factory=dict)

    def domain(self, where: str) -> transfer.TrialLine:
        given = {name: getattr(self, name) for name in TrialEntry.model_fields if name != "type"}
        return transfer.TrialLine(
            **given
            | {
                "values": vector(self.values),
                "constraints": vector(self.constraints),
                "constraint_names": constraint_names(self.constraint_names, self.constraints, where),
                "epochs": tuple(one.domain() for one in self.epochs),
                "reports": tuple(one.domain() for one in self.reports),
            }
        )


class MoreEntry(Body):
    """More reports and attributes of the trial before."""

    type: Literal["more"]
    number: Count
    reports: Reports = Field(default_factory=list)
    user_attrs: Attrs = Field(default_factory=dict)

    def domain(self, where: str) -> transfer.MoreLine:
        reports = tuple(one.domain() for one in self.reports)
        return transfer.MoreLine(number=self.number, reports=reports, user_attrs=self.user_attrs)


class LateEntry(Body):
    """A tell that was answered 409."""

    type: Literal["late_result"]
    number: Count
    hash: Annotated[bytes, Field(min_length=1, max_length=64), BeforeValidator(_hex, json_schema_input_type=str)]
    code: Key
    body: dict[Name, Any]
    received_at: Moment | None = None

    def domain(self, where: str) -> transfer.LateLine:
        return transfer.LateLine(
            number=self.number, hash=self.hash, code=self.code, body=self.body, received_at=self.received_at
        )


class EndEntry(Body):
    """That nothing is missing."""

    type: Literal["end"]
    lines: Count
    trials: Count
    late_results: Count
    handed: Count
    state: Literal["open", "paused", "stopped", "archived"]
    stop_reason: Text | None = None
    best: Value = math.inf
    unimproved: Count = 0

    def domain(self, where: str) -> transfer.EndLine:
        return transfer.EndLine(
            lines=self.lines,
            trials=self.trials,
            late_results=self.late_results,
            handed=self.handed,
            state=StudyState(self.state),
            stop_reason=self.stop_reason,
            progress=Progress(best=self.best, unimproved=self.unimproved),
        )


Entry = Annotated[
    WarmStartEntry | WarmTrialEntry | DistributionLine | TrialEntry | MoreEntry | LateEntry | EndEntry,
    Field(discriminator="type"),
]


class ImportStudy(Body):
    """Lines of an export, in their order."""

    request_id: Key
    lines: Annotated[list[Entry], Field(min_length=1, max_length=MAX_LINES)]

    def command(self) -> ImportLines:
        return ImportLines(
            request_id=self.request_id,
            lines=tuple(line.domain(f"/lines/{index}") for index, line in enumerate(self.lines)),
        )
