"""What bodies must look like, and the commands that are made of them. See docs/protocol.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, FiniteFloat
from pydantic_core import PydanticCustomError

from tpeak_server.api.strict_json import BeyondExact
from tpeak_server.domain.distributions import CategoricalDistribution, Distribution, FloatDistribution, IntDistribution
from tpeak_server.domain.errors import Invalid, InvalidDistribution, StudyNotFound, pointer
from tpeak_server.domain.stopping import StopWhen
from tpeak_server.domain.study import MAX_OBJECTIVES, MIN_LEASE_SECONDS, Direction, LateResults, from_path
from tpeak_server.domain.trial import TrialState
from tpeak_server.domain.warm import MAX_SOURCES, WarmSource
from tpeak_server.service import commands
from tpeak_server.service.application import Worker
from tpeak_server.service.studies import NewStudy

NON_FINITE = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}

MAX_NAME = 255
MAX_KEY = 128
MAX_TEXT = 100_000
MAX_VALUES = MAX_OBJECTIVES
"""Values in one vector: final or intermediate ones are one for each objective."""

MAX_LEASE_SECONDS = 7 * 24 * 3600.0
MAX_INT32 = 2**31 - 1

MAX_WARM_WEIGHT = 10.0


UNLIMITED = {"max_trials", "timeout_s", "max_host_failures", "stop_when"}
"""Settings that null switches off."""


def _named(value: Any) -> Any:
    return NON_FINITE.get(value, value) if isinstance(value, str) else value


def _exact(value: Any) -> Any:
    if isinstance(value, BeyondExact):
        raise PydanticCustomError("beyond_exact", "Input should lie within -2^53 .. 2^53")
    return value


ExactStep = Annotated[int, BeforeValidator(_exact)]

Value = Annotated[float, BeforeValidator(_named)]
"""A float that may be non-finite, by name."""

Cost = Annotated[FiniteFloat, Field(ge=0.0)]
"""What a report cost, in the user's unit."""

Key = Annotated[str, Field(min_length=1, max_length=MAX_KEY)]
Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
Values = Annotated[list[Value], Field(min_length=1, max_length=MAX_VALUES)]
ConstraintNames = Annotated[list[Name], Field(max_length=MAX_VALUES)]
Attrs = dict[Name, Any]
Used = Annotated[list[Name], Field(max_length=10_000)]
Scalar = bool | int | float | str | None


class Body(BaseModel):
    """Strict: no conversion between types, no unknown field."""

    model_config = ConfigDict(strict=True, extra="forbid")


class FloatSpec(Body):
    """Floats in [low, high]."""

    type: Literal["float"]
    low: float
    high: float
    log: bool = False
    step: float | None = None

    def domain(self) -> Distribution:
        return FloatDistribution(low=self.low, high=self.high, log=self.log, step=self.step)


class IntSpec(Body):
    """Integers in [low, high]."""

    type: Literal["int"]
    low: int
    high: int
    log: bool = False
    step: int = 1

    def domain(self) -> Distribution:
        return IntDistribution(low=self.low, high=self.high, log=self.log, step=self.step)


class CategoricalSpec(Body):
    """One of the choices."""

    type: Literal["categorical"]
    choices: list[Scalar]

    def domain(self) -> Distribution:
        return CategoricalDistribution(choices=tuple(self.choices))


Spec = Annotated[FloatSpec | IntSpec | CategoricalSpec, Field(discriminator="type")]
Specs = dict[Name, Spec]


class StopRule(Body):
    """When a study stops by itself."""

    target: Annotated[list[FiniteFloat], Field(min_length=1, max_length=MAX_VALUES)] | None = None
    patience: Annotated[int, Field(ge=1, le=MAX_INT32)] | None = None

    def domain(self) -> StopWhen:
        return StopWhen(target=_vector(self.target), patience=self.patience)


class StudySettings(Body):
    """What can be set at the creation of a study and changed later."""

    sampler: dict[str, Any] | None = None
    pruner: dict[str, Any] | None = None
    max_trials: Annotated[int, Field(ge=1, le=MAX_INT32)] | None = None
    timeout_s: Annotated[float, Field(gt=0)] | None = None
    lease_seconds: Annotated[float, Field(ge=MIN_LEASE_SECONDS, le=MAX_LEASE_SECONDS)] | None = None
    max_attempts: Annotated[int, Field(ge=1, le=1000)] | None = None
    max_host_failures: Annotated[int, Field(ge=1, le=MAX_INT32)] | None = None
    late_results: Literal["accept", "refuse"] | None = None
    stop_when: StopRule | None = None
    user_attrs: Attrs | None = None
    tags: Annotated[list[Name], Field(max_length=100)] | None = None
    note: Annotated[str, Field(max_length=MAX_TEXT)] | None = None

    def given(self) -> dict[str, Any]:
        """The settings that the body names, as the domain has them; null stands for "no limit" where there is one."""
        settings = self.model_dump(
            exclude_unset=True, exclude={"request_id", "if_exists", "space", "name", "warm_start"}
        )
        kept = {name: v for name, v in settings.items() if v is not None or name in UNLIMITED}
        if "tags" in kept:
            kept["tags"] = tuple(kept["tags"])
        if "directions" in kept:
            kept["directions"] = tuple(map(Direction, kept["directions"]))
        if "late_results" in kept:
            kept["late_results"] = LateResults(kept["late_results"])
        if self.stop_when is not None:
            kept["stop_when"] = self.stop_when.domain()
        return kept


class WarmStart(Body):
    """A study to learn from."""

    study: Key
    params: dict[Name, Name] = Field(default_factory=dict)
    weight: Annotated[float, Field(gt=0, le=MAX_WARM_WEIGHT)] = 1.0

    def domain(self, where: str) -> WarmSource:
        study = from_path(self.study)
        if study is None:
            raise StudyNotFound("there is no such study to start from", where=f"{where}/study")
        return WarmSource(study=study, params=self.params, weight=self.weight)


class CreateStudy(StudySettings):
    """A new study, or the one of that name."""

    request_id: Key
    name: Name
    directions: Annotated[list[Literal["minimize", "maximize"]], Field(min_length=1, max_length=MAX_VALUES)] | None = (
        None
    )
    if_exists: Literal["error", "load"] = "error"
    space: Specs | None = None
    seed: Annotated[int, Field(ge=0)] | None = None
    warm_start: Annotated[list[WarmStart], Field(max_length=MAX_SOURCES)] | None = None

    def command(self) -> NewStudy:
        settings = self.given()
        if self.warm_start is not None:
            sources = enumerate(self.warm_start)
            settings["warm_start"] = tuple(source.domain(f"/warm_start/{index}") for index, source in sources)
        if self.space is not None:
            settings["space"] = distributions(self.space, "/space")
        return NewStudy(
            request_id=self.request_id,
            name=self.name,
            settings=settings,
            load_if_exists=self.if_exists == "load",
        )


class ChangeStudy(StudySettings):
    """New settings for a study."""

    request_id: Key
    name: Name | None = None

    def settings(self) -> dict[str, Any]:
        """The settings to change."""
        return self.given() | ({} if self.name is None else {"name": self.name})


class ControlStudy(Body):
    """A key, so that the request can be repeated."""

    request_id: Key

    def command(self, control: commands.Control) -> commands.ControlStudy:
        return commands.ControlStudy(request_id=self.request_id, control=control)


class ReplayPruner(Body):
    """A pruner's settings, to be tried on what was reported."""

    pruner: dict[str, Any]


class AskTrials(Body):
    """Trials to work on."""

    request_id: Key
    worker: Key
    count: Annotated[int, Field(ge=1, le=1000)] = 1
    distributions: Specs | None = None
    host: Name | None = None
    wall_time_s: Annotated[float, Field(ge=0)] | None = None
    resumable: bool = False

    def command(self) -> commands.Ask:
        return commands.Ask(
            request_id=self.request_id,
            worker=self.worker,
            count=self.count,
            distributions=distributions(self.distributions or {}, "/distributions"),
            host=self.host,
            wall_time_s=self.wall_time_s,
            resumable=self.resumable,
        )


class SuggestValue(Body):
    """A value for a parameter that the ask did not cover."""

    lease: Key
    name: Name
    distribution: Spec

    def command(self, number: int) -> commands.Suggest:
        wanted = distribution(self.distribution, "/distribution")
        return commands.Suggest(number=number, lease=self.lease, name=self.name, distribution=wanted)


class StepReport(Body):
    """Intermediate values at a step."""

    step: ExactStep
    values: Values
    cost: Cost | None = None

    def domain(self) -> commands.Step:
        return commands.Step(step=self.step, values=tuple(self.values), cost=self.cost)


class ReportSteps(Body):
    """Intermediate values, and the question whether to go on."""

    lease: Key
    reports: Annotated[list[StepReport], Field(min_length=1, max_length=1000)]
    used: Used | None = None

    def command(self, number: int) -> commands.ReportSteps:
        return commands.ReportSteps(
            number=number,
            lease=self.lease,
            steps=tuple(step.domain() for step in self.reports),
            used=None if self.used is None else tuple(self.used),
        )


class TellResult(Body):
    """A trial's result."""

    lease: Key | None = None
    state: Literal["complete", "pruned", "failed"]
    values: Values | None = None
    constraints: Values | None = None
    constraint_names: ConstraintNames | None = None
    error: Annotated[str, Field(max_length=MAX_TEXT)] | None = None
    user_attrs: Attrs | None = None
    used: Used | None = None
    retry: bool = False

    def command(self, number: int) -> commands.Tell:
        return commands.Tell(
            number=number,
            lease=self.lease,
            state=TrialState(self.state),
            values=_vector(self.values),
            constraints=_vector(self.constraints),
            constraint_names=constraint_names(self.constraint_names, self.constraints, ""),
            error=self.error,
            user_attrs=self.user_attrs or {},
            used=None if self.used is None else tuple(self.used),
            retry=self.retry,
        )


class Beat(Body):
    """A sign of life."""

    lease: Key


class ReleaseTrial(Body):
    """A trial given back."""

    lease: Key
    checkpoint: Annotated[str, Field(max_length=4096)] | None = None
    step: int | None = None

    def command(self, number: int) -> commands.Release:
        return commands.Release(number=number, lease=self.lease, checkpoint=self.checkpoint, step=self.step)


class AddedTrial(Body):
    """A trial from outside."""

    state: Literal["waiting", "complete", "pruned", "failed"] = "waiting"
    params: dict[Name, Scalar] | None = None
    distributions: Specs | None = None
    values: Values | None = None
    constraints: Values | None = None
    constraint_names: ConstraintNames | None = None
    reports: list[StepReport] | None = None
    user_attrs: Attrs | None = None
    error: Annotated[str, Field(max_length=MAX_TEXT)] | None = None

    def domain(self, where: str) -> commands.Added:
        return commands.Added(
            state=TrialState(self.state),
            params=self.params or {},
            distributions=distributions(self.distributions or {}, f"{where}/distributions"),
            values=_vector(self.values),
            constraints=_vector(self.constraints),
            constraint_names=constraint_names(self.constraint_names, self.constraints, where),
            steps=tuple(step.domain() for step in self.reports or ()),
            user_attrs=self.user_attrs or {},
            error=self.error,
        )


class AddTrials(Body):
    """Trials to enqueue, or finished ones to add."""

    request_id: Key
    trials: Annotated[list[AddedTrial], Field(min_length=1, max_length=1000)]

    def command(self) -> commands.Add:
        trials = tuple(trial.domain(f"/trials/{index}") for index, trial in enumerate(self.trials))
        return commands.Add(request_id=self.request_id, trials=trials)


class ChangeTrial(Body):
    """What to do with a trial, and attributes to merge."""

    request_id: Key
    user_attrs: Attrs | None = None
    action: Literal["cancel", "fail", "retry", "exempt"] | None = None
    cause: Annotated[str, Field(max_length=MAX_TEXT)] | None = None

    def command(self, number: int) -> commands.SetAttrs | commands.ChangeTrial:
        """The command. Raises Invalid where there is nothing to do, and for a cause of nothing."""
        attrs = self.user_attrs
        if self.action is not None:
            action = commands.Action(self.action)
            return commands.ChangeTrial(
                request_id=self.request_id, number=number, action=action, cause=self.cause, user_attrs=attrs or {}
            )
        if self.cause is not None:
            raise Invalid("a cause is for an action; leave it out", where="/cause")
        if attrs is None:
            raise Invalid("give user_attrs, or an action", where="/user_attrs")
        return commands.SetAttrs(request_id=self.request_id, number=number, user_attrs=attrs)


class RegisterWorker(Body):
    """A process that will ask for trials."""

    id: Key
    host: Name
    pid: Annotated[int, Field(ge=0)]
    client_version: Name
    python: Name | None = None
    job: dict[Name, Any] | None = None
    git_commit: Name | None = None
    git_dirty: bool | None = None

    def worker(self) -> Worker:
        return Worker(**self.model_dump())


def distribution(spec: FloatSpec | IntSpec | CategoricalSpec, where: str) -> Distribution:
    """The distribution. Raises InvalidDistribution, pointing into the body."""
    try:
        return spec.domain()
    except InvalidDistribution as error:
        raise InvalidDistribution(error.message, where=f"{where}/{error.where}") from None


def distributions(specs: Mapping[str, FloatSpec | IntSpec | CategoricalSpec], where: str) -> dict[str, Distribution]:
    """The distributions by name. Raises InvalidDistribution, pointing into the body."""
    return {name: distribution(spec, where + pointer([name])) for name, spec in specs.items()}


def constraint_names(names: list[str] | None, values: list[float] | None, where: str) -> tuple[str, ...] | None:
    """The names of constraints. Raises Invalid where they are not one for each, or repeat."""
    if names is None:
        return None
    if values is None or len(names) != len(values):
        raise Invalid("give as many constraint_names as constraints", where=f"{where}/constraint_names")
    if len(set(names)) < len(names):
        raise Invalid("two constraints have the same name", where=f"{where}/constraint_names")
    return tuple(names)


def _vector(values: list[float] | None) -> tuple[float, ...] | None:
    return None if values is None else tuple(values)
