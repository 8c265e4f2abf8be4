"""A trial and its life.

            ask (epoch + 1)             tell complete | pruned | failed
 waiting ───────────────────► running ───────────────────────────────► complete | pruned | failed
    ▲                            │ lease ended by the reaper or a failure told with retry (attempt + 1), or released
    └────────────────────────────┘ same number, same proposal             attempts used up ──► lost | failed

Of a cancelled trial all that would make it wait again fails it. Who manages the study may fail what is unfinished or
exempt it from pruning, try again what is failed or lost, and delete any trial.

Every function here returns a new trial; none of them looks at a clock.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

from tpeak_server.domain.distributions import Distribution

T = TypeVar("T")


class TrialState(StrEnum):
    """Where a trial is in its life; the words of the wire and of the tables."""

    WAITING = "waiting"
    RUNNING = "running"
    COMPLETE = "complete"
    PRUNED = "pruned"
    FAILED = "failed"
    LOST = "lost"


FINAL = frozenset({TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAILED})
"""States that a result was told for; `lost` may still be taken back by a late result."""

UNFINISHED = frozenset({TrialState.WAITING, TrialState.RUNNING})

CANCELLED = "cancelled"
"""Why a trial failed that was cancelled, where nobody gave another cause."""


class LeaseEnd(StrEnum):
    """How a lease ended: `returned` where its worker's failure made the trial wait again, `superseded` where another
    result, or whoever manages the study, took the trial away.
    """

    TOLD = "told"
    RETURNED = "returned"
    RELEASED = "released"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One point of the study: what was proposed, where it is in its life, what came out.

    `proposed` maps a distribution's id to the internal value and never changes once the trial was handed out.
    `fixed` are an enqueued trial's bare values, external, that no distribution is known for yet. Constraints are known
    by their names, or by their places if they have none.
    `resume_epoch` is the latest epoch that left a checkpoint, `avoid_host` where the trial last failed and was to be
    tried again. A deleted trial is there for who repeats a request about it, and for nobody else. On an exempt one
    no decision to prune is made, in no epoch. The times are known only as read from the database.
    """

    number: int
    state: TrialState = TrialState.WAITING
    proposed: Mapping[int, float] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    values: tuple[float, ...] | None = None
    constraints: tuple[float, ...] | None = None
    constraint_names: tuple[str, ...] | None = None
    origin: str = "enqueued"
    epoch: int = 0
    attempt: int = 0
    told_epoch: int | None = None
    told_hash: bytes | None = None
    cause: str | None = None
    sampled_at_seq: int | None = None
    sampler_version: str | None = None
    resume_epoch: int | None = None
    avoid_host: str | None = None
    deleted: bool = False
    exempt: bool = False
    user_attrs: Mapping[str, Any] = field(default_factory=dict)
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def violation(self) -> float:
        """How far it is from feasible; see the function."""
        return violation(self.state, self.constraints)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """One handing out of a trial: the record that makes an ask idempotent, and the right to report and tell.

    `used` are the names that the objective really asked for, None until the worker said; `told_hash` is what was told
    under this lease, the same for the same content; `age_s` and `remaining_s` are as of when the row was read.
    """

    number: int
    epoch: int
    token: str
    worker: str
    request_id: str
    ordinal: int
    request_hash: bytes
    used: tuple[str, ...] | None = None
    live: bool = True
    ended: LeaseEnd | None = None
    remaining_s: float = 0.0
    age_s: float = 0.0
    host: str | None = None
    cancelled: bool = False
    told_hash: bytes | None = None
    resume_epoch: int | None = None
    checkpoint: str | None = None
    checkpoint_step: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggested:
    """A parameter that came after the ask: its distribution's id and internal value."""

    number: int
    name: str
    distribution_id: int
    value: float
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Intermediate values at a step, with the decision that was made on them."""

    number: int
    epoch: int
    step: int
    values: tuple[float, ...]
    cost: float | None
    seq: int
    prune: bool
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Interned:
    """A distribution of a study under its small id; `seen_seq` is when it last became its name's current one."""

    id: int
    name: str
    distribution: Distribution
    seen_seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRecord:
    """A trial with all that the study learns from it.

    `lease` is the winning one, else the newest, None before the first; `resume` the latest one that left a checkpoint.
    `curve` maps a step to the values that were reported there in the lease's epoch and in the epochs that it resumes,
    `costs` to the cost, where the report has one; `inherited` and `inherited_costs` are those that count for the next
    epoch. `prune_reason` is set once the decision was to prune.
    """

    trial: Trial
    lease: Lease | None = None
    resume: Lease | None = None
    suggested: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    curve: Mapping[int, tuple[float, ...]] = field(default_factory=dict)
    costs: Mapping[int, float] = field(default_factory=dict)
    inherited: Mapping[int, tuple[float, ...]] = field(default_factory=dict)
    inherited_costs: Mapping[int, float] = field(default_factory=dict)
    prune_reason: str | None = None

    def known(self, interned: Mapping[int, Interned]) -> dict[str, tuple[int, float]]:
        """All that was proposed or suggested, as name -> (distribution id, internal value)."""
        return {interned[i].name: (i, value) for i, value in self.trial.proposed.items()} | dict(self.suggested)

    def params(self, interned: Mapping[int, Interned]) -> dict[str, tuple[int, float]]:
        """The trial's parameters: of what is known, the names that its worker used, all until the worker said."""
        known = self.known(interned)
        if self.lease is None or self.lease.used is None:
            return known
        return {name: known[name] for name in self.lease.used if name in known}


def violation(state: TrialState, constraints: Sequence[float] | None) -> float:
    """How far a trial is from feasible: the sum of its positive constraints, infinite for a lost one."""
    if state is TrialState.LOST:
        return math.inf
    return sum(max(0.0, value) for value in constraints or () if not math.isnan(value))


def up_to_checkpoint(by_step: Mapping[int, T], lease: Lease) -> dict[int, T]:
    """What an epoch has at the steps that its lease's checkpoint covers."""
    last = lease.checkpoint_step
    return {step: what for step, what in by_step.items() if last is not None and step <= last}


def issued(trial: Trial) -> Trial:
    """The trial, handed out once more: the same number and proposal under the next epoch."""
    return replace(trial, state=TrialState.RUNNING, epoch=trial.epoch + 1, cause=None)


def expired(trial: Trial, *, max_attempts: int, cancelled: bool = False) -> Trial:
    """The trial after its lease ran out: waiting again, lost with its last attempt, or failed as it was to be."""
    attempt = trial.attempt + 1
    if cancelled:
        return failed(replace(trial, attempt=attempt), trial.cause or CANCELLED)
    if attempt < max_attempts:
        return replace(trial, state=TrialState.WAITING, attempt=attempt)
    cause = f"its worker fell silent {attempt} times (max_attempts = {max_attempts})"
    return replace(trial, state=TrialState.LOST, attempt=attempt, cause=cause)


def released(trial: Trial, *, checkpointed: bool, cancelled: bool = False) -> Trial:
    """The trial given back by its worker, no attempt used up: waiting again, or failed as it was to be."""
    resume_epoch = trial.epoch if checkpointed else trial.resume_epoch
    waiting = replace(trial, state=TrialState.WAITING, resume_epoch=resume_epoch)
    return failed(waiting, trial.cause or CANCELLED) if cancelled else waiting


def returned(trial: Trial, *, max_attempts: int, host: str | None, cause: str | None) -> Trial:
    """The trial after a failure that is to be tried again, elsewhere if it can be: failed with its last attempt."""
    attempt = trial.attempt + 1
    state = TrialState.WAITING if attempt < max_attempts else TrialState.FAILED
    return replace(trial, state=state, attempt=attempt, avoid_host=host, cause=cause)


def failed(trial: Trial, cause: str) -> Trial:
    """The trial failed, without anybody having told so."""
    return replace(trial, state=TrialState.FAILED, cause=cause)


def retried(trial: Trial, cause: str | None) -> Trial:
    """A failed or lost trial, waiting again with all its attempts; what was told of it is forgotten."""
    return replace(
        trial,
        state=TrialState.WAITING,
        attempt=0,
        values=None,
        constraints=None,
        constraint_names=None,
        told_epoch=None,
        told_hash=None,
        cause=cause or trial.cause,
    )


def exempted(trial: Trial) -> Trial:
    """The trial, which nobody decides to prune from here on."""
    return replace(trial, exempt=True)


def deleted(trial: Trial) -> Trial:
    """The trial out of sight; one that was unfinished is failed, so that nobody counts on it."""
    gone = replace(trial, deleted=True)
    return failed(gone, "deleted") if trial.state in UNFINISHED else gone


def finished(
    trial: Trial,
    *,
    state: TrialState,
    values: tuple[float, ...] | None,
    constraints: tuple[float, ...] | None,
    constraint_names: tuple[str, ...] | None = None,
    cause: str | None,
    told_epoch: int,
    told_hash: bytes,
) -> Trial:
    """The trial with its result, which came from the epoch `told_epoch`."""
    return replace(
        trial,
        state=state,
        values=values,
        constraints=constraints,
        constraint_names=constraint_names,
        cause=cause,
        told_epoch=told_epoch,
        told_hash=told_hash,
    )
