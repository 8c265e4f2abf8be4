"""What one transaction reads and writes of a study, as plain rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tpeak_server.domain.hosts import Host
from tpeak_server.domain.stopping import Progress
from tpeak_server.domain.study import Study
from tpeak_server.domain.transfer import Epoch, EpochReport, LateLine, TrialLine
from tpeak_server.domain.trial import Interned, Lease, Report, Suggested, Trial, TrialRecord
from tpeak_server.domain.warm import WarmTrial


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """The row that every writer locks first: the next trial number, how many were handed out, and the last seq.

    `progress` is what `stop_when` looks at; it is kept only where the study has such a rule.
    """

    next_number: int
    handed: int
    seq: int
    progress: Progress = field(default_factory=Progress)


@dataclass(slots=True, kw_only=True)
class Wanted:
    """What the commands of one batch need to see beside the clock and the study.

    `numbers` are trials with their leases, `steps` reports by (number, step), `ends` trials of which every epoch's
    last report matters, `whole` those of which all rows do; `durations` is how long complete trials took.
    """

    numbers: set[int] = field(default_factory=set)
    steps: set[tuple[int, int]] = field(default_factory=set)
    ends: set[int] = field(default_factory=set)
    whole: set[int] = field(default_factory=set)
    ask_ids: set[str] = field(default_factory=set)
    request_ids: set[str] = field(default_factory=set)
    durations: bool = False

    @property
    def rows(self) -> bool:
        """Whether any row must be read; that an ask is not a repetition shows when it is written, too."""
        keyed = self.numbers or self.steps or self.ends or self.whole or self.request_ids
        return bool(keyed) or self.durations


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveEnd:
    """The deepest reported values of one epoch, and whether any of its decisions was to prune."""

    values: tuple[float, ...]
    prune: bool


@dataclass(slots=True, kw_only=True)
class Locked:
    """The rows of a study under its lock, at the time `now` of the database.

    `suggested` maps the trials of repeated asks to what came after the ask: name -> (distribution id, value);
    `durations_s` are seconds from lease to result of the latest complete trials.
    """

    clock: Clock
    now: datetime
    trials: Mapping[int, Trial]
    leases: Mapping[tuple[int, int], Lease]
    reports: Mapping[tuple[int, int, int], Report]
    ended_curves: Mapping[tuple[int, int], CurveEnd]
    asks: Mapping[str, list[Lease]]
    requests: Mapping[str, tuple[bytes, Any]]
    suggested: Mapping[int, Mapping[str, tuple[int, float]]] = field(default_factory=dict)
    whole: Mapping[int, TrialRecord] = field(default_factory=dict)
    durations_s: Sequence[float] = ()


def unread(clock: Clock) -> Locked:
    """A study of which no row was read: for commands that need none, and no time."""
    return Locked(
        clock=clock,
        now=datetime.max.replace(tzinfo=UTC),
        trials={},
        leases={},
        reports={},
        ended_curves={},
        asks={},
        requests={},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One change of a study that stands in no row of its own."""

    seq: int
    kind: str
    number: int | None = None
    payload: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LateResult:
    """A tell that was answered 409: kept, because the hours were paid."""

    number: int
    hash: bytes
    code: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The record that makes a write with a request id idempotent."""

    request_id: str
    hash: bytes
    reply: Any


@dataclass(slots=True, kw_only=True)
class Imported:
    """Rows of another server's study: trials with their internal values by distribution, and by number the rest.

    A report comes with its seq.
    """

    trials: list[tuple[TrialLine, dict[int, float]]] = field(default_factory=list)
    epochs: list[tuple[int, Epoch]] = field(default_factory=list)
    reports: list[tuple[int, EpochReport, int]] = field(default_factory=list)
    late: list[LateLine] = field(default_factory=list)
    warm: list[WarmTrial] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Changes:
    """All that one transaction writes to one study.

    `renewed` maps (number, epoch), all of them in `leases`, to the seconds that the lease lives from now; `name` is the
    study's new name, "" to free it, None to leave it; `doubtful` says that an answer holds only if the rows were looked
    at.
    """

    clock: Clock | None = None
    study: Study | None = None
    name: str | None = None
    interned: dict[int, Interned] = field(default_factory=dict)
    created: dict[int, Trial] = field(default_factory=dict)
    updated: dict[int, Trial] = field(default_factory=dict)
    issued: dict[tuple[int, int], Lease] = field(default_factory=dict)
    leases: dict[tuple[int, int], Lease] = field(default_factory=dict)
    renewed: dict[tuple[int, int], float] = field(default_factory=dict)
    suggested: list[Suggested] = field(default_factory=list)
    reports: dict[tuple[int, int, int], Report] = field(default_factory=dict)
    attrs: dict[tuple[int, str], Any] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    late: list[LateResult] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    hosts: dict[str, Host] = field(default_factory=dict)
    imported: Imported | None = None
    first_ask: bool = False
    doubtful: bool = False

    @property
    def hot(self) -> bool:
        """Whether there is nothing but what every batch writes (trials, leases, reports, events), and no doubt."""
        rare = (self.interned, self.suggested, self.attrs, self.late, self.requests, self.hosts)
        return not (any(rare) or self.doubtful or self.first_ask or self.study is not None or self.name is not None)


@dataclass(slots=True, kw_only=True)
class Delta:
    """What changed in a study after some seq, whole records, as of `clock`; of hosts, all that have failed last.

    `warm` is what it began with; None where that is known already.
    """

    clock: Clock
    study: Study
    interned: list[Interned]
    records: list[TrialRecord]
    hosts: Mapping[str, Host] = field(default_factory=dict)
    warm: Sequence[WarmTrial] | None = None
