"""A study as it travels to another server: everything in it but what holds only where it is.

Leases do not travel: an `Epoch` says who had a trial, and no token opens it again. Values are external.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from tpeak_server.domain.distributions import Distribution
from tpeak_server.domain.stopping import Progress
from tpeak_server.domain.study import StudyState
from tpeak_server.domain.warm import WarmSource, WarmTrial

Placed: TypeAlias = Mapping[str, tuple[int, Any]]
"""Parameters by name: the id of the distribution, and the value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyLine:
    """What the study is, without the trials; `settings` are what makes another one like it."""

    id: int
    schema: str
    incarnation: str
    seq: int
    created_at: datetime
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmStartLine:
    """A study that this one began with; its trials follow."""

    source: WarmSource


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmTrialLine:
    """A trial of another study that this one began with."""

    trial: WarmTrial


@dataclass(frozen=True, slots=True, kw_only=True)
class DistributionLine:
    """A distribution under the id by which trials refer to it; `current` is the one that its name was last given."""

    id: int
    name: str
    distribution: Distribution
    current: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """One handing out of a trial; `ended` is None while it goes on."""

    epoch: int
    worker: str
    host: str | None = None
    used: tuple[str, ...] | None = None
    ended: str | None = None
    cancelled: bool = False
    issued_at: datetime | None = None
    resume_epoch: int | None = None
    checkpoint: str | None = None
    checkpoint_step: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochReport:
    """Intermediate values of one epoch, with the decision that was made on them."""

    epoch: int
    step: int
    values: tuple[float, ...]
    cost: float | None = None
    at: datetime | None = None
    prune: bool = False
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialLine:
    """A trial whole, but for the reports and attributes that follow in `MoreLine`s."""

    number: int
    state: str
    deleted: bool = False
    proposed: Placed = field(default_factory=dict)
    suggested: Placed = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    values: tuple[float, ...] | None = None
    constraints: tuple[float, ...] | None = None
    constraint_names: tuple[str, ...] | None = None
    cause: str | None = None
    origin: str = "added"
    epoch: int = 0
    attempt: int = 0
    told_epoch: int | None = None
    resume_epoch: int | None = None
    sampled_at_seq: int | None = None
    sampler_version: str | None = None
    avoid_host: str | None = None
    exempt: bool = False
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    epochs: tuple[Epoch, ...] = ()
    reports: tuple[EpochReport, ...] = ()
    user_attrs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class MoreLine:
    """Reports and attributes of the trial before that would have made its line too long."""

    number: int
    reports: tuple[EpochReport, ...] = ()
    user_attrs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LateLine:
    """A tell that was answered 409; its body does not tell the lease."""

    number: int
    hash: bytes
    code: str
    body: Mapping[str, Any]
    received_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EndLine:
    """That nothing is missing; `handed` is how much of the budget is used up, `state` what the study is, and why."""

    lines: int
    trials: int
    late_results: int
    handed: int
    state: StudyState
    stop_reason: str | None = None
    progress: Progress = field(default_factory=Progress)


Line: TypeAlias = (
    StudyLine | WarmStartLine | WarmTrialLine | DistributionLine | TrialLine | MoreLine | LateLine | EndLine
)
ImportedLine: TypeAlias = WarmStartLine | WarmTrialLine | DistributionLine | TrialLine | MoreLine | LateLine | EndLine
