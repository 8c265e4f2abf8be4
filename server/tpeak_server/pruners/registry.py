"""The pruners by their names on the wire."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from tpeak_server.domain.errors import Invalid
from tpeak_server.domain.settings import (
    AUTO,
    AutoCount,
    Choice,
    Count,
    Kind,
    Nested,
    Number,
    Positive,
    Registry,
    Setting,
)
from tpeak_server.domain.study import MAX_OBJECTIVES
from tpeak_server.pruners.hyperband import HyperbandPruner
from tpeak_server.pruners.median import MedianPruner
from tpeak_server.pruners.nop import NopPruner
from tpeak_server.pruners.patient import PatientPruner
from tpeak_server.pruners.percentile import PercentilePruner
from tpeak_server.pruners.resource import MOST_POWER, Resource
from tpeak_server.pruners.seam import Pruner
from tpeak_server.pruners.successive_halving import SuccessiveHalvingPruner
from tpeak_server.pruners.threshold import ThresholdPruner
from tpeak_server.pruners.wilcoxon import WilcoxonPruner

GREATEST = sys.float_info.max

_OBJECTIVE = Count(name="objective", most=MAX_OBJECTIVES - 1, optional=True)

_RESOURCE = Choice(name="resource", words=tuple(word.value for word in Resource), default=Resource.STEP.value)

_INTERVAL = (Count(name="n_warmup_steps", default=0), Count(name="interval_steps", default=1, least=1))

_COUNTS = (Count(name="n_startup_trials", default=5), *_INTERVAL, Count(name="n_min_trials", default=1, least=1))


def _plain(rule: Callable[..., Pruner]) -> Callable[..., Pruner]:
    """The builder of a rule that does not depend on the study's seed, without the objective that it is applied to."""

    def built(*, seed: int, objective: int | None = None, **full: Any) -> Pruner:
        return rule(**full)

    return built


def _halving(*, seed: int, objective: int | None, resource: str, **full: Any) -> SuccessiveHalvingPruner:
    return SuccessiveHalvingPruner(resource=Resource(resource), **full)


def _hyperband(*, objective: int | None, resource: str, **full: Any) -> HyperbandPruner:
    return HyperbandPruner(resource=Resource(resource), **full)


def _in_cost(spec: Mapping[str, object]) -> bool:
    """Whether its resources may be any number above 0."""
    return spec.get("resource") == Resource.COST


def _of_halving(spec: Mapping[str, object]) -> tuple[Setting, ...]:
    least = Positive(name="min_resource", default=AUTO, auto=True) if _in_cost(spec) else AutoCount(name="min_resource")
    return (
        _RESOURCE,
        least,
        Count(name="reduction_factor", default=4, least=2),
        Count(name="min_early_stopping_rate", default=0, most=MOST_POWER),
        Count(name="bootstrap_count", default=0),
        _OBJECTIVE,
    )


def _of_hyperband(spec: Mapping[str, object]) -> tuple[Setting, ...]:
    least: Setting = Count(name="min_resource", default=1, least=1)
    most: Setting = AutoCount(name="max_resource")
    if _in_cost(spec):
        least = Positive(name="min_resource", default=1.0)
        most = Positive(name="max_resource", default=AUTO, auto=True)
    return (
        _RESOURCE,
        least,
        most,
        Count(name="reduction_factor", default=3, least=2),
        Count(name="bootstrap_count", default=0),
        _OBJECTIVE,
    )


def _patient(
    *, seed: int, objective: int | None, wrapped_pruner: Mapping[str, Any] | None, **full: Any
) -> PatientPruner:
    wrapped = None if wrapped_pruner is None else build(wrapped_pruner, seed=seed)
    return PatientPruner(wrapped_pruner=wrapped, **full)


def _wrapped(spec: Mapping[str, Any], at: str) -> dict[str, Any]:
    """The full spec of the wrapped rule, which looks at the objective of the one around it."""
    full = resolve(spec, at)
    if full.get("objective") is not None:
        raise Invalid("the pruner around it names the objective: it must be null here", where=f"{at}/objective")
    return full


def _threshold_conflict(full: Mapping[str, Any]) -> tuple[str, str] | None:
    lower, upper = full["lower"], full["upper"]
    if lower is None and upper is None:
        return "lower", "the pruner 'threshold' needs lower or upper"
    if lower is not None and upper is not None and lower > upper:
        return "lower", f"lower must not exceed upper, {upper}, got {lower}"
    return None


def _bootstrap_conflict(resource: str) -> Callable[[Mapping[str, Any]], tuple[str, str] | None]:
    """That of a bootstrap with a resource that is found out once trials have run without it."""

    def conflict(full: Mapping[str, Any]) -> tuple[str, str] | None:
        if full["bootstrap_count"] and full[resource] == AUTO:
            return "bootstrap_count", f"a bootstrap needs to know the rungs: {resource} must be a number"
        return None

    return conflict


_PRUNERS: Registry[Pruner] = Registry(
    "pruner",
    {
        "nop": Kind(build=_plain(NopPruner)),
        "median": Kind(build=_plain(MedianPruner), settings=(*_COUNTS, _OBJECTIVE)),
        "percentile": Kind(
            build=_plain(PercentilePruner),
            settings=(Number(name="percentile", least=0.0, most=100.0), *_COUNTS, _OBJECTIVE),
        ),
        "threshold": Kind(
            build=_plain(ThresholdPruner),
            settings=(
                Number(name="lower", least=-GREATEST, most=GREATEST, optional=True),
                Number(name="upper", least=-GREATEST, most=GREATEST, optional=True),
                *_INTERVAL,
                _OBJECTIVE,
            ),
            conflict=_threshold_conflict,
        ),
        "patient": Kind(
            build=_patient,
            settings=(
                Nested(name="wrapped_pruner", family="pruner", resolve=_wrapped, optional=True),
                Count(name="patience"),
                Number(name="min_delta", default=0.0, least=0.0, most=GREATEST),
                _OBJECTIVE,
            ),
        ),
        "wilcoxon": Kind(
            build=_plain(WilcoxonPruner),
            settings=(
                Number(name="p_threshold", default=0.1, least=0.0, most=1.0),
                Count(name="n_startup_steps", default=2),
                _OBJECTIVE,
            ),
        ),
        "successive_halving": Kind(
            build=_halving,
            settings=_of_halving,
            conflict=_bootstrap_conflict("min_resource"),
        ),
        "hyperband": Kind(
            build=_hyperband,
            settings=_of_hyperband,
            conflict=_bootstrap_conflict("max_resource"),
        ),
    },
)

resolve = _PRUNERS.resolve


def build(spec: Mapping[str, object], *, seed: int = 0) -> Pruner:
    """The rule that the spec describes, for a study of this seed. Raises Invalid as `resolve` does."""
    return _PRUNERS.build(spec, seed=seed)
