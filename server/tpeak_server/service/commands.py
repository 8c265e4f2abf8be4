"""What can be asked of a study, one frozen type each, and what is answered.

Values are external and parsed; what depends on the study's rows is checked under its lock.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, TypeAlias

from tpeak_server.domain.changes import Wanted
from tpeak_server.domain.distributions import Distribution
from tpeak_server.domain.transfer import ImportedLine, MoreLine
from tpeak_server.domain.trial import TrialRecord, TrialState

Known: TypeAlias = Callable[[int], TrialRecord | None]
"""An unfinished trial as the cache has it, None where it has not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A write to one study; one that is `alone` shares its transaction with no other."""

    alone: ClassVar[bool] = False

    def wants(self, wanted: Wanted, known: Known) -> None:
        """Notes which rows the command needs to see under the lock beside what is known of unfinished trials."""

    def fingerprint(self) -> bytes:
        """A hash of the content: what tells a repetition from another request under the same key."""
        text = json.dumps([type(self).__name__, _content(self)], sort_keys=True, default=_plain, separators=(",", ":"))
        return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _content(value: Any) -> dict[str, Any]:
    """The fields that are part of the content; a later one only if it is given, so that stored hashes hold."""
    return {of.name: getattr(value, of.name) for of in fields(value) if _counts(value, of)}


def _counts(value: Any, of: Field[Any]) -> bool:
    if of.metadata.get("later", False):
        return bool(getattr(value, of.name) != of.default)
    return bool(of.metadata.get("keyed", True))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (bytes, datetime)):
        return str(value)
    return value.spec() if hasattr(value, "spec") else _content(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask(Command):
    """Hand out up to `count` trials; what the worker says of itself may be another when it repeats the request."""

    request_id: str
    worker: str
    count: int = 1
    distributions: Mapping[str, Distribution] = field(default_factory=dict)
    host: str | None = field(default=None, metadata={"keyed": False})
    wall_time_s: float | None = field(default=None, metadata={"keyed": False})
    resumable: bool = field(default=False, metadata={"keyed": False})

    def wants(self, wanted: Wanted, known: Known) -> None:
        wanted.ask_ids.add(self.request_id)
        wanted.durations |= self.wall_time_s is not None and not self.resumable


@dataclass(frozen=True, slots=True, kw_only=True)
class OfTrial(Command):
    """A command for one trial, under the lease that its worker holds."""

    number: int
    lease: str | None = None

    def wants(self, wanted: Wanted, known: Known) -> None:
        if self.current(known) is None:
            wanted.numbers.add(self.number)

    def current(self, known: Known) -> TrialRecord | None:
        """The trial if the cache has it and the lease named, if any, is the one that lives."""
        record = known(self.number)
        if record is None or self.lease is None:
            return record
        live = record.lease is not None and record.lease.live and record.lease.token == self.lease
        return record if live else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggest(OfTrial):
    """A value for a parameter that the ask did not cover."""

    name: str
    distribution: Distribution


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Intermediate values at a step; `cost` in the user's unit."""

    step: int
    values: tuple[float, ...]
    cost: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSteps(OfTrial):
    """Intermediate values, and the question whether to go on."""

    steps: tuple[Step, ...]
    used: tuple[str, ...] | None = None

    def wants(self, wanted: Wanted, known: Known) -> None:
        record = self.current(known)
        if record is None:
            wanted.numbers.add(self.number)
        curve = {} if record is None else record.curve
        wanted.steps.update((self.number, s.step) for s in self.steps if record is None or s.step in curve)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tell(OfTrial):
    """A trial's result."""

    state: TrialState
    values: tuple[float, ...] | None = None
    constraints: tuple[float, ...] | None = None
    constraint_names: tuple[str, ...] | None = field(default=None, metadata={"later": True})
    error: str | None = None
    user_attrs: Mapping[str, Any] = field(default_factory=dict)
    used: tuple[str, ...] | None = None
    retry: bool = field(default=False, metadata={"later": True})

    def wants(self, wanted: Wanted, known: Known) -> None:
        record = self.current(known)
        if record is None:
            wanted.numbers.add(self.number)
            if self.state is TrialState.PRUNED:
                wanted.ends.add(self.number)
        failing_on_host = record is None or (record.lease is not None and record.lease.host is not None)
        if self.state is TrialState.FAILED and failing_on_host:
            # How long the lease had lasted tells whether it is the host that fails.
            wanted.numbers.add(self.number)
            wanted.durations = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat(OfTrial):
    """A sign of life: the lease gets a fresh period."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Release(OfTrial):
    """The trial given back, with where to go on from."""

    checkpoint: str | None = None
    step: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Expire(OfTrial):
    """The reaper's: end the epoch's lease if it is past its expiry under the lock as well.

    `ticked_at` is the reaper's tick at which it looked so: much later, an outage may lie between.
    """

    epoch: int
    ticked_at: datetime | None = None

    def wants(self, wanted: Wanted, known: Known) -> None:
        # Only the row knows how much time the lease has left.
        wanted.numbers.add(self.number)


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """A trial from outside: to be tried (`waiting`), or already finished."""

    state: TrialState = TrialState.WAITING
    params: Mapping[str, Any] = field(default_factory=dict)
    distributions: Mapping[str, Distribution] = field(default_factory=dict)
    values: tuple[float, ...] | None = None
    constraints: tuple[float, ...] | None = None
    constraint_names: tuple[str, ...] | None = field(default=None, metadata={"later": True})
    steps: tuple[Step, ...] = ()
    user_attrs: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyed(Command):
    """A write that is kept under its request id together with its answer."""

    request_id: str = field(metadata={"keyed": False})

    def wants(self, wanted: Wanted, known: Known) -> None:
        wanted.request_ids.add(self.request_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Add(Keyed):
    """Enqueue trials, or add finished ones."""

    trials: tuple[Added, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportLines(Keyed):
    """Lines of another server's export."""

    alone: ClassVar[bool] = True

    lines: tuple[ImportedLine, ...]

    def wants(self, wanted: Wanted, known: Known) -> None:
        wanted.request_ids.add(self.request_id)
        for line in self.lines:
            if isinstance(line, MoreLine):
                wanted.steps.update((line.number, report.step) for report in line.reports)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAttrs(Keyed):
    """Merge attributes into a trial's."""

    number: int
    user_attrs: Mapping[str, Any]

    def wants(self, wanted: Wanted, known: Known) -> None:
        wanted.request_ids.add(self.request_id)
        if known(self.number) is None:
            wanted.numbers.add(self.number)


class Action(StrEnum):
    """What others than its worker do to a trial."""

    CANCEL = "cancel"
    FAIL = "fail"
    RETRY = "retry"
    EXEMPT = "exempt"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeTrial(Keyed):
    """Act on a trial, and merge attributes into its own."""

    number: int
    action: Action
    cause: str | None = None
    user_attrs: Mapping[str, Any] = field(default_factory=dict)

    def wants(self, wanted: Wanted, known: Known) -> None:
        wanted.request_ids.add(self.request_id)
        if known(self.number) is None:
            wanted.numbers.add(self.number)
            wanted.whole.add(self.number)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete(OfTrial):
    """Let nobody see the trial any more."""

    def wants(self, wanted: Wanted, known: Known) -> None:
        if known(self.number) is None:
            wanted.numbers.add(self.number)
            wanted.whole.add(self.number)


class Control(StrEnum):
    """What is done to a study as a whole."""

    PAUSE = "pause"
    STOP = "stop"
    CANCEL = "cancel"
    RESUME = "resume"


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlStudy(Keyed):
    """Pause, stop, cancel or resume the study."""

    control: Control


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeStudy(Keyed):
    """New settings; `user_attrs` are merged, every other one replaces what was there."""

    alone: ClassVar[bool] = True

    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive(Command):
    """Make the study read-only and its name free."""
