"""The samplers by their names on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tpeak_server.domain.errors import Invalid
from tpeak_server.domain.settings import Choice, Count, Flag, Kind, Number, Registry, shown
from tpeak_server.samplers.auto import AutoSampler
from tpeak_server.samplers.brute_force import BruteForceSampler
from tpeak_server.samplers.distances import Distances
from tpeak_server.samplers.gp import GPSampler
from tpeak_server.samplers.grid import Grid, GridSampler
from tpeak_server.samplers.partial_fixed import PartialFixedSampler, Values
from tpeak_server.samplers.qmc import QMCSampler
from tpeak_server.samplers.random import RandomSampler
from tpeak_server.samplers.seam import Sampler
from tpeak_server.samplers.tpe import TPESampler

MOST_CANDIDATES = 10_000
"""A study must not occupy the server with one suggestion."""

LEAST_PRIOR, MOST_PRIOR = 1e-6, 1e6
"""The prior is to count for something, and so are the trials."""


def _conflict(full: Mapping[str, Any]) -> tuple[str, str] | None:
    if full["group"] and full["multivariate"] is False:
        return "group", "group draws parameters jointly: it needs multivariate to be true or null"
    if full["reference"] and full["categorical_distance"]:
        return "categorical_distance", "Optuna 5.0's densities know no distances: reference must be null"
    if full["reference"] and full["deduplicate"]:
        return "deduplicate", "Optuna 5.0 proposes points again: reference must be null, or deduplicate false or null"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Nested:
    """A setting that is a sampler itself: of any kind, or one of those `names`."""

    name: str
    names: tuple[str, ...] = ()
    default: None = None
    optional: bool = False

    def checked(self, value: object, where: str) -> dict[str, Any]:
        """The full spec. Raises Invalid, which points into it."""
        if not isinstance(value, Mapping):
            raise Invalid(f"{self.name} must be a sampler's settings, got {shown(value)}", where=where)
        full = resolve(value, where)
        if self.names and full["name"] not in self.names:
            message = f"{self.name} must be {' or '.join(map(repr, self.names))}, got {full['name']!r}"
            raise Invalid(message, where=f"{where}/name")
        return full


def _qmc(*, qmc_type: str, scramble: bool, independent_sampler: Mapping[str, Any] | None) -> QMCSampler:
    independent = build(independent_sampler or {"name": "random"})
    return QMCSampler(qmc_type=qmc_type, scramble=scramble, independent_sampler=independent)


def _partial_fixed(*, fixed_params: Mapping[str, Any], base_sampler: Mapping[str, Any]) -> PartialFixedSampler:
    return PartialFixedSampler(fixed_params=fixed_params, base_sampler=build(base_sampler))


_SAMPLERS: Registry[Sampler] = Registry(
    "sampler",
    {
        "random": Kind(build=RandomSampler, settings=(Flag(name="deduplicate", default=True),)),
        "grid": Kind(build=GridSampler, settings=(Grid(name="search_space"),)),
        "brute_force": Kind(build=BruteForceSampler, settings=(Flag(name="avoid_premature_stop", default=False),)),
        "qmc": Kind(
            build=_qmc,
            settings=(
                Choice(name="qmc_type", words=("sobol", "halton"), default="sobol"),
                Flag(name="scramble", default=False),
                Nested(name="independent_sampler", names=("random", "tpe"), optional=True),
            ),
        ),
        "partial_fixed": Kind(
            build=_partial_fixed, settings=(Values(name="fixed_params"), Nested(name="base_sampler"))
        ),
        "auto": Kind(
            build=AutoSampler,
            settings=(Count(name="n_startup_trials", default=10), Flag(name="deduplicate", default=True)),
        ),
        "gp": Kind(
            build=GPSampler,
            settings=(
                Count(name="n_startup_trials", default=10),
                Flag(name="deterministic_objective", default=False),
                Flag(name="deduplicate", default=True),
            ),
        ),
        "tpe": Kind(
            build=TPESampler,
            settings=(
                Count(name="n_startup_trials", default=10),
                Count(name="n_ei_candidates", least=1, most=MOST_CANDIDATES, optional=True),
                Flag(name="multivariate", optional=True),
                Flag(name="group", default=False),
                Flag(name="constant_liar", default=True),
                Number(name="prior_weight", least=LEAST_PRIOR, most=MOST_PRIOR, optional=True),
                Flag(name="consider_magic_clip", default=True),
                Flag(name="consider_endpoints", default=False),
                Choice(name="reference", words=("optuna5",), optional=True),
                Distances(name="categorical_distance"),
                Flag(name="deduplicate", optional=True),
            ),
            conflict=_conflict,
        ),
    },
)

resolve = _SAMPLERS.resolve
build = _SAMPLERS.build
