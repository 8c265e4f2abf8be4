"""A trial as it was when it was read: FrozenTrial, create_trial, and their wire form."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from tpeak import constraints as limits
from tpeak.distributions import (
    CategoricalDistribution,
    Choice,
    Distribution,
    FloatDistribution,
    IntDistribution,
    check_compatible,
    from_specs,
    specs,
)
from tpeak.errors import Invalid, InvalidValue
from tpeak.states import TrialState
from tpeak.wire import encode, number_in, number_out, plain

BATCH = 1000
BATCH_BYTES = 500_000
"""How many trials, and how much of them, one request adds; a body may have 1 MiB."""


def _nothing() -> None:
    """None, as a field's default that leaves no attribute with the class: see `FrozenTrial._unread`."""


class Source(Protocol):
    """Where a trial's fields come from that nobody has looked at yet."""

    def field(self, name: str, row: int) -> Any:
        """What the trial in this row has there, for its own use."""


@dataclass(kw_only=True)
class FrozenTrial:
    """A trial's state and results, apart from any server. Times are aware and in UTC.

    An objective takes it in place of a Trial, to be computed again with the same parameters: `objective(best_trial)`.
    `fixed` are the values that an enqueued trial was given; `cause` says why a trial failed; `attempt` counts the
    workers that lost it; `origin` says where its parameters come from. `constraints` are met where they are at most 0.
    `exempt` says that it is not to be pruned. `intermediate_values` has a value for each step, or where the study has
    several objectives a list of them; `intermediate_costs` what the reports cost that said so.
    """

    number: int
    state: TrialState
    values: list[float] | None = field(default_factory=_nothing)
    params: dict[str, Any] = field(default_factory=dict)
    distributions: dict[str, Distribution] = field(default_factory=dict)
    user_attrs: dict[str, Any] = field(default_factory=dict)
    intermediate_values: dict[int, Any] = field(default_factory=dict)
    datetime_start: datetime | None = field(default_factory=_nothing)
    datetime_complete: datetime | None = field(default_factory=_nothing)
    cause: str | None = field(default_factory=_nothing)
    origin: str | None = field(default_factory=_nothing)
    attempt: int = field(default_factory=int)
    fixed: dict[str, Any] = field(default_factory=dict)
    constraints: dict[str, float] = field(default_factory=dict)
    exempt: bool = field(default_factory=bool)
    intermediate_costs: dict[int, float] = field(default_factory=dict)

    @classmethod
    def _unread(cls, source: Source, row: int, number: int, state: TrialState) -> FrozenTrial:
        """A trial that takes each other field out of its source when it is first looked at."""
        trial = cls.__new__(cls)
        trial.__dict__ = {"number": number, "state": state, "_source": source, "_row": row}
        return trial

    if not TYPE_CHECKING:  # which would take every name for an attribute

        def __getattr__(self, name: str) -> Any:
            """What is not there yet."""
            if name not in _FIELDS or "_source" not in self.__dict__:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            # Of two threads the second one must not replace what the first was given.
            return self.__dict__.setdefault(name, self._source.field(name, self._row))

    def __getstate__(self) -> dict[str, Any]:
        """All fields, without the source."""
        for name in _FIELDS:
            getattr(self, name)
        return {name: value for name, value in self.__dict__.items() if name not in ("_source", "_row")}

    def __lt__(self, other: FrozenTrial) -> bool:
        return self.number < other.number

    @property
    def value(self) -> float | None:
        """The objective's value. Raises RuntimeError where there are several."""
        if self.values is None:
            return None
        if len(self.values) != 1:
            raise RuntimeError("a trial of several objectives has no single value; use values")
        return self.values[0]

    @property
    def last_step(self) -> int | None:
        """The highest step reported, None without reports."""
        return max(self.intermediate_values, default=None)

    @property
    def duration(self) -> timedelta | None:
        """How long it took from start to end, None while it has not ended."""
        if self.datetime_start is None or self.datetime_complete is None:
            return None
        return self.datetime_complete - self.datetime_start

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """The trial's value of this parameter. Raises ValueError where it has none."""
        return float(self._param(name, FloatDistribution(low, high, log=log, step=step)))

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """The trial's value of this parameter. Raises ValueError where it has none."""
        return int(self._param(name, IntDistribution(low, high, log=log, step=step)))

    def suggest_categorical(self, name: str, choices: Sequence[Choice]) -> Any:
        """The trial's value of this parameter. Raises ValueError where it has none."""
        return self._param(name, CategoricalDistribution(choices))

    def report(self, value: float | Sequence[float], step: int, *, cost: float | None = None) -> None:
        """Nothing: the trial is over."""

    def should_prune(self) -> bool:
        """False: the trial is over."""
        return False

    def set_user_attr(self, key: str, value: Any) -> None:
        """Set the attribute on this object alone."""
        self.user_attrs[key] = value

    def set_constraint(self, key: str, value: float) -> None:
        """Set the constraint on this object alone; see `Trial.set_constraint`."""
        limits.add_to(self.constraints, key, value)

    def _param(self, name: str, distribution: Distribution) -> Any:
        if name not in self.params:
            raise InvalidValue(f"this trial has no parameter {name!r}")
        if name in self.distributions:
            check_compatible(self.distributions[name], distribution)
        value = self.params[name]
        if not distribution.contains(value):
            warnings.warn(f"{name}={value!r} is outside of {distribution}", stacklevel=3)
        return value


_FIELDS = frozenset(FrozenTrial.__dataclass_fields__)


def create_trial(
    *,
    state: TrialState = TrialState.COMPLETE,
    value: float | None = None,
    values: Sequence[float] | None = None,
    params: dict[str, Any] | None = None,
    distributions: dict[str, Distribution] | None = None,
    user_attrs: dict[str, Any] | None = None,
    intermediate_values: dict[int, Any] | None = None,
    constraints: dict[str, float] | None = None,
) -> FrozenTrial:
    """A trial computed elsewhere, for `Study.add_trial`.

    Raises InvalidValue, a ValueError, where state, values, parameters and distributions contradict each other.
    """
    if value is not None and values is not None:
        raise InvalidValue("give value or values, not both")
    results = [value] if value is not None else values
    now = datetime.now(UTC)
    trial = FrozenTrial(
        number=-1,
        state=TrialState(state),
        values=None if results is None else [float(each) for each in results],
        params=dict(params or {}),
        distributions=dict(distributions or {}),
        user_attrs=dict(user_attrs or {}),
        intermediate_values=dict(intermediate_values or {}),
        constraints=limits.checked(constraints or {}),
        datetime_start=None if state == TrialState.WAITING else now,
        datetime_complete=now if TrialState(state).is_finished() else None,
    )
    check(trial)
    return trial


def check(trial: FrozenTrial) -> None:
    """Raise InvalidValue, a ValueError, where a trial to be added contradicts itself."""
    if trial.state == TrialState.COMPLETE and trial.values is None:
        raise InvalidValue("a complete trial needs its value or values")
    if trial.state == TrialState.FAILED and trial.values is not None:
        raise InvalidValue("a failed trial has no values")
    if trial.values is not None and any(math.isnan(value) for value in trial.values):
        raise InvalidValue("a value must not be NaN; a trial that came to none is failed")
    if trial.params.keys() != trial.distributions.keys():
        names = sorted(trial.params.keys() ^ trial.distributions.keys())
        raise InvalidValue(f"params and distributions must have the same names; these differ: {', '.join(names)}")
    for name, distribution in trial.distributions.items():
        value = plain(trial.params[name])
        if not distribution.contains(value):
            raise InvalidValue(f"{name}={value!r} is outside of {distribution}")


def from_wire(row: Mapping[str, Any]) -> FrozenTrial:
    """The trial that the server describes."""
    distributions = from_specs(row["distributions"])
    values = row["values"]
    return FrozenTrial(
        number=row["number"],
        state=TrialState(row["state"]),
        values=None if values is None else [number_in(value) for value in values],
        params={name: _external(value, distributions.get(name)) for name, value in row["params"].items()},
        distributions=distributions,
        user_attrs=row["user_attrs"],
        intermediate_values=intermediate_values(row["reports"]),
        intermediate_costs=intermediate_costs(row["reports"]),
        datetime_start=_time(row["started_at"]),
        datetime_complete=_time(row["finished_at"]),
        cause=row["cause"],
        origin=row["origin"],
        attempt=row["attempt"],
        fixed=row.get("fixed") or {},
        constraints=limits.from_wire(row),
        exempt=row.get("exempt", False),
    )


def to_wire(trial: FrozenTrial) -> dict[str, Any]:
    """The wire's form of a trial to be added. Raises InvalidValue for one that is running."""
    if trial.state == TrialState.RUNNING:
        raise InvalidValue("a running trial cannot be added; enqueue its parameters instead")
    row: dict[str, Any] = {
        "state": (TrialState.FAILED if trial.state == TrialState.LOST else trial.state).value,
        "params": plain(trial.params | trial.fixed if trial.state == TrialState.WAITING else trial.params),
        "distributions": specs(trial.distributions),
        "user_attrs": plain(trial.user_attrs),
        "reports": _reports(trial),
    }
    if trial.values is not None:
        row["values"] = [number_out(value) for value in trial.values]
    if trial.cause is not None:
        row["error"] = trial.cause
    row |= limits.to_wire(trial.constraints)
    return {name: value for name, value in row.items() if value not in ({}, [])}


def intermediate_values(reports: Iterable[Mapping[str, Any]]) -> dict[int, Any]:
    """By step the value of each report, a list where there are several."""
    values = {report["step"]: [number_in(value) for value in report["values"]] for report in reports}
    return {step: several[0] if len(several) == 1 else several for step, several in values.items()}


def intermediate_costs(reports: Iterable[Mapping[str, Any]]) -> dict[int, float]:
    """By step the cost of each report that has one."""
    return {report["step"]: float(report["cost"]) for report in reports if "cost" in report}


def _reports(trial: FrozenTrial) -> list[dict[str, Any]]:
    found = []
    for step, value in sorted(trial.intermediate_values.items()):
        values = value if isinstance(value, (list, tuple)) else [value]
        report = {"step": int(step), "values": [number_out(float(each)) for each in values]}
        cost = trial.intermediate_costs.get(step)
        found.append(report if cost is None else report | {"cost": float(cost)})
    return found


def batches(rows: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """The rows in order, in parts that fit into one request."""
    batch: list[dict[str, Any]] = []
    room = BATCH_BYTES
    for row in rows:
        size = len(encode(row))
        if batch and (len(batch) == BATCH or size > room):
            yield batch
            batch, room = [], BATCH_BYTES
        batch.append(row)
        room -= size
    if batch:
        yield batch


def _external(value: Any, distribution: Distribution | None) -> Any:
    """The value in its distribution's type. As it came where it has left the distribution: history may hold that."""
    if distribution is None:
        return value
    try:
        return distribution.external(value)
    except Invalid:
        return value


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
