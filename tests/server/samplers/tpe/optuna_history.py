"""One history for two estimators: as an Optuna study, and as the view and pending trials that ours are given.

Optuna's public interface draws suggestions, from its own random numbers; what can be compared is what they are drawn
by. So its densities are built by its internals, in the way of its `TPESampler._sample`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers._tpe.sampler import _split_trials, default_gamma, default_gamma_multiobjective
from optuna.trial import FrozenTrial, TrialState

from tpeak_server.domain.distributions import CategoricalDistribution, Distribution, IntDistribution, Space
from tpeak_server.domain.observations import Floats, Outcome, View
from tpeak_server.samplers.layout import layout_of

COMPLETE, PRUNED, RUNNING = TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING
SIGNS = {"minimize": 1.0, "maximize": -1.0}


@dataclass(frozen=True, kw_only=True)
class Past:
    """One trial: its internal values, and how it ended. A constraint above 0 is violated."""

    point: Mapping[str, float]
    state: TrialState = COMPLETE
    values: tuple[float, ...] = ()
    curve: Mapping[int, float] = field(default_factory=dict)
    constraints: tuple[float, ...] = ()


def points_of(space: Space, count: int, seed: int = 99) -> dict[str, Floats]:
    """Internal values (count,) by name, uniform over the space."""
    rng, layout = np.random.default_rng(seed), layout_of(space)
    drawn = [layout.values(layout.uniform(rng.random(layout.dimensions))) for _ in range(count)]
    return {name: np.array([point[name] for point in drawn]) for name in space}


def complete_trials(space: Space, count: int, *, objectives: int = 1, seed: int = 0) -> list[Past]:
    """Complete trials with all parameters; their values are rounded, so that some are equal."""
    columns = points_of(space, count, seed)
    values = np.random.default_rng(seed).normal(size=(count, objectives)).round(1)
    return [
        Past(point={name: float(column[at]) for name, column in columns.items()}, values=tuple(values[at].tolist()))
        for at in range(count)
    ]


def view_of(history: Sequence[Past], names: Sequence[str], directions: Sequence[str]) -> View:
    """The finished trials as the sampler sees them."""
    finished = [past for past in history if past.state is not RUNNING]
    signs = np.array([SIGNS[direction] for direction in directions])
    last = [max(past.curve, default=-1) for past in finished]
    reported = [past.curve.get(step, math.nan) for past, step in zip(finished, last, strict=True)]
    return View(
        seq=len(history),
        numbers=np.flatnonzero([past.state is not RUNNING for past in history]),
        outcome=np.array([Outcome[past.state.name] for past in finished], dtype=np.int8),
        loss=signs * np.array([past.values or [math.nan] * len(signs) for past in finished]),
        last_step=np.array(last),
        last_loss=signs[0] * np.array(reported),
        violation=np.array([sum(value for value in past.constraints if value > 0) for past in finished], dtype=float),
        columns=_columns(finished, names),
    )


def pending_of(history: Sequence[Past], names: Sequence[str]) -> dict[str, Floats]:
    """The running trials as the sampler sees them."""
    return _columns([past for past in history if past.state is RUNNING], names)


def optunas_log_ratio(
    history: Sequence[Past],
    space: Space,
    points: Mapping[str, Floats],
    *,
    directions: Sequence[str] = ("minimize",),
    **arguments: Any,
) -> Floats:
    """Optuna's log l - log g (c,) at internal values (c,), summed over all that it draws apart from each other."""
    with warnings.catch_warnings():
        # Most arguments are deprecated or experimental there.
        warnings.simplefilter("ignore")
        sampler = optuna.samplers.TPESampler(**arguments)
        study = optuna.create_study(directions=list(directions), sampler=sampler)
        study.add_trials([_optunas_trial(past, space) for past in history])
        parts = _optunas_parts(study, sampler, space)
    total = np.zeros(len(next(iter(points.values()))))
    for part in parts:
        total += _log_ratio_of_part(study, sampler, part, {name: points[name] for name in part})
    return total


def _optunas_parts(
    study: optuna.Study, sampler: optuna.samplers.TPESampler, space: Space
) -> list[dict[str, BaseDistribution]]:
    """What Optuna draws jointly, and each other parameter by itself."""
    together = sampler.infer_relative_search_space(study, study.trials[-1])
    parts = [together]
    if sampler._search_space_group is not None:
        parts = [
            {name: part[name] for name in part if name in together}
            for part in sampler._search_space_group.search_spaces
        ]
    rest = [{name: _optunas(space[name])} for name in space if name not in together and not space[name].single]
    return [part for part in parts if part] + rest


def _log_ratio_of_part(
    study: optuna.Study,
    sampler: optuna.samplers.TPESampler,
    part: dict[str, BaseDistribution],
    points: dict[str, Floats],
) -> Floats:
    states = (COMPLETE, PRUNED, RUNNING) if sampler._constant_liar else (COMPLETE, PRUNED)
    trials = study.get_trials(deepcopy=False, states=states)
    gamma = default_gamma if len(study.directions) == 1 else default_gamma_multiobjective
    below, above = _split_trials(study, trials, gamma(sum(trial.state is not RUNNING for trial in trials)))
    good = sampler._build_parzen_estimator(study, part, below, handle_below=True)
    bad = sampler._build_parzen_estimator(study, part, above, handle_below=False)
    ratio: Floats = good.log_pdf(points) - bad.log_pdf(points)
    return ratio


def _optunas_trial(past: Past, space: Space) -> FrozenTrial:
    return optuna.trial.create_trial(
        state=past.state,
        values=list(past.values) or None,
        params={name: space[name].to_external(value) for name, value in past.point.items()},
        distributions={name: _optunas(space[name]) for name in past.point},
        intermediate_values=dict(past.curve),
        constraints={str(at): value for at, value in enumerate(past.constraints)},
    )


def _optunas(distribution: Distribution) -> BaseDistribution:
    if isinstance(distribution, CategoricalDistribution):
        return optuna.distributions.CategoricalDistribution(distribution.choices)
    kind = (
        optuna.distributions.IntDistribution
        if isinstance(distribution, IntDistribution)
        else optuna.distributions.FloatDistribution
    )
    return kind(distribution.low, distribution.high, log=distribution.log, step=distribution.step)


def _columns(trials: Sequence[Past], names: Sequence[str]) -> dict[str, Floats]:
    return {name: np.array([past.point.get(name, math.nan) for past in trials], dtype=float) for name in names}
