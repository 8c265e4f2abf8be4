"""The samplers by their names on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tpeak_server.domain.settings import Choice, Count, Flag, Kind, Nested, Number, Registry
from tpeak_server.samplers.auto import AutoSampler
from tpeak_server.samplers.brute_force import BruteForceSampler
from tpeak_server.samplers.cmaes import CmaEsSampler
from tpeak_server.samplers.cmaes.evolution import MOST_POPULATION, Rules
from tpeak_server.samplers.cmaes.sampler import LEAST_SIGMA
from tpeak_server.samplers.cmaes.settings import Point, Sources
from tpeak_server.samplers.distances import Distances
from tpeak_server.samplers.gp import GPSampler
from tpeak_server.samplers.grid import Grid, GridSampler
from tpeak_server.samplers.nsgaii import NSGAIISampler
from tpeak_server.samplers.nsgaii.children import Rules as NSGAIIRules
from tpeak_server.samplers.nsgaii.crossover import CROSSOVERS
from tpeak_server.samplers.partial_fixed import PartialFixedSampler, Values
from tpeak_server.samplers.qmc import QMCSampler
from tpeak_server.samplers.random import RandomSampler
from tpeak_server.samplers.seam import Sampler
from tpeak_server.samplers.tpe import TPESampler

MOST_CANDIDATES = 10_000
"""A study must not occupy the server with one suggestion."""

MOST_SIGMA = 10.0
"""In ranges: what is drawn from a wider distribution lies at their ends."""

MOST_INDIVIDUALS = 1000
"""In one population: each is compared with each."""

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


def _nested(name: str, *, names: tuple[str, ...] = (), optional: bool = False) -> Nested:
    return Nested(
        name=name, family="sampler", resolve=lambda spec, at: resolve(spec, at), names=names, optional=optional
    )


def _qmc(*, qmc_type: str, scramble: bool, independent_sampler: Mapping[str, Any] | None) -> QMCSampler:
    independent = build(independent_sampler or {"name": "random"})
    return QMCSampler(qmc_type=qmc_type, scramble=scramble, independent_sampler=independent)


def _partial_fixed(*, fixed_params: Mapping[str, Any], base_sampler: Mapping[str, Any]) -> PartialFixedSampler:
    return PartialFixedSampler(fixed_params=fixed_params, base_sampler=build(base_sampler))


def _cmaes(
    *, independent_sampler: Mapping[str, Any] | None, use_separable_cma: bool, with_margin: bool, **full: Any
) -> CmaEsSampler:
    shaping = ("popsize", "lr_adapt", "restart_strategy", "inc_popsize")
    rules = Rules(separable=use_separable_cma, margin=with_margin, **{name: full.pop(name) for name in shaping})
    beside = None if independent_sampler is None else build(independent_sampler)
    return CmaEsSampler(rules=rules, independent_sampler=beside, **full)


def _cmaes_conflict(full: Mapping[str, Any]) -> tuple[str, str] | None:
    started = full["x0"] is not None or full["sigma0"] is not None
    if full["source_trials"] and started:
        return "source_trials", "they say where to start: x0 and sigma0 must be null"
    if full["source_trials"] and full["use_separable_cma"]:
        return "source_trials", "they give a full covariance: use_separable_cma must be false"
    if full["lr_adapt"] and (full["use_separable_cma"] or full["with_margin"]):
        return "lr_adapt", "learning rates adapt with neither use_separable_cma nor with_margin"
    if full["use_separable_cma"] and full["with_margin"]:
        return "with_margin", "separable CMA-ES has no margin: use_separable_cma must be false"
    return None


def _nsgaii(*, population_size: int, **shaping: Any) -> NSGAIISampler:
    return NSGAIISampler(population_size=population_size, rules=NSGAIIRules(**shaping))


def _nsgaii_conflict(full: Mapping[str, Any]) -> tuple[str, str] | None:
    parents, _ = CROSSOVERS[full["crossover"]]
    if full["population_size"] < parents:
        return "population_size", f"the crossover {full['crossover']!r} needs {parents} parents"
    return None


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
                _nested("independent_sampler", names=("random", "tpe"), optional=True),
            ),
        ),
        "partial_fixed": Kind(build=_partial_fixed, settings=(Values(name="fixed_params"), _nested("base_sampler"))),
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
        "cmaes": Kind(
            build=_cmaes,
            settings=(
                Point(name="x0"),
                Number(name="sigma0", least=LEAST_SIGMA, most=MOST_SIGMA, optional=True),
                Count(name="n_startup_trials", default=1),
                _nested("independent_sampler", names=("random", "tpe"), optional=True),
                Flag(name="consider_pruned_trials", default=False),
                Choice(name="restart_strategy", words=("ipop", "bipop"), optional=True),
                Count(name="popsize", least=2, most=MOST_POPULATION, optional=True),
                Count(name="inc_popsize", default=-1, least=-1, most=100),
                Flag(name="use_separable_cma", default=False),
                Flag(name="with_margin", default=False),
                Flag(name="lr_adapt", default=False),
                Sources(name="source_trials"),
            ),
            conflict=_cmaes_conflict,
        ),
        "nsgaii": Kind(
            build=_nsgaii,
            settings=(
                Count(name="population_size", default=50, least=2, most=MOST_INDIVIDUALS),
                Choice(name="mutation", words=("polynomial",), optional=True),
                Number(name="mutation_prob", least=0.0, most=1.0, optional=True),
                Choice(name="crossover", words=tuple(CROSSOVERS), default="uniform"),
                Number(name="crossover_prob", default=0.9, least=0.0, most=1.0),
                Number(name="swapping_prob", default=0.5, least=0.0, most=1.0),
            ),
            conflict=_nsgaii_conflict,
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
