"""The sampler: which parameters are drawn jointly, from which state, and what is drawn beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cmaes
import numpy as np
from numpy.typing import NDArray

from tpeak_server.domain.distributions import CategoricalDistribution, Space
from tpeak_server.domain.observations import Floats, Outcome, Suggestion, View, origin_in
from tpeak_server.samplers.axes import Axes, Numeric, axes_of
from tpeak_server.samplers.cmaes.evolution import DEFAULT_SIGMA, Course, Evolution, Rules, Start
from tpeak_server.samplers.cmaes.settings import Params, sources_of
from tpeak_server.samplers.generations import Memo, grouped, next_generation
from tpeak_server.samplers.random import RandomSampler
from tpeak_server.samplers.seam import Sampler, Stream

LEAST_SIGMA = 1e-10
"""As in Optuna: below it, `cmaes` divides by zero."""

SOURCE_SHARE = 0.1
"""Which part of another study's trials tells where it is promising, as in Optuna."""


class CmaEsSampler:
    """CMA-ES with asynchronous generations; the arguments are those of Optuna 5.0's.

    The numeric parameters that every complete trial has are drawn jointly; all others, and those of a trial that has
    some of them already, by the `independent_sampler`, random search by default.
    """

    kind = "cmaes"

    def __init__(
        self,
        *,
        x0: Params | None = None,
        sigma0: float | None = None,
        n_startup_trials: int = 1,
        independent_sampler: Sampler | None = None,
        consider_pruned_trials: bool = False,
        source_trials: Sequence[Mapping[str, Any]] | None = None,
        rules: Rules | None = None,
    ) -> None:
        self.x0 = x0 or {}
        self.sigma0 = DEFAULT_SIGMA if sigma0 is None else sigma0
        self.n_startup_trials = n_startup_trials
        self.independent_sampler = independent_sampler or RandomSampler()
        self.consider_pruned_trials = consider_pruned_trials
        self.sources = sources_of(source_trials)
        self.rules = rules or Rules()
        self.version = f"cmaes-1 cmaes {cmaes.__version__} {self.independent_sampler.version}"
        self._memo: Memo[Evolution] = Memo()

    def suggest(
        self,
        view: View,
        space: Space,
        pending: Mapping[str, Floats],
        streams: Sequence[Stream],
        *,
        fixed: Mapping[str, float] | None = None,
    ) -> list[Suggestion]:
        """Draws one point a stream; see the seam."""
        given = {name: value for name, value in (fixed or {}).items() if name in space}
        joint = {} if given or not streams else self._joint(view, space)
        rest = {name: distribution for name, distribution in space.items() if name not in joint}
        seen = {name: pending[name] for name in rest}
        beside = self.independent_sampler.suggest(view, rest, seen, streams, fixed=given)
        if not joint:
            return beside
        axes = axes_of(tuple(joint.values()))
        generation, points = self._drawn(view, joint, axes, streams)
        origin = origin_in(self.kind, generation)
        return [
            Suggestion(values={**other.values, **_values(axes, joint, point)}, origin=origin)
            for other, point in zip(beside, points, strict=True)
        ]

    def _joint(self, view: View, space: Space) -> dict[str, Numeric]:
        """The numeric parameters that every complete trial has, in alphabetical order."""
        complete = view.outcome == Outcome.COMPLETE
        if np.count_nonzero(self._results(view) & (view.outcome != Outcome.LOST)) < self.n_startup_trials:
            return {}
        return {
            name: distribution
            for name, distribution in sorted(space.items())
            if not isinstance(distribution, CategoricalDistribution)
            and not distribution.single
            and not np.isnan(view.columns[name][complete]).any()
        }

    def _results(self, view: View) -> NDArray[np.bool_]:
        """Which trials (n,) count for their generation: a lost one as infeasible, a pruned one where that is wanted."""
        pruned = (view.outcome == Outcome.PRUNED) & (view.last_step >= 0)
        counted: NDArray[np.bool_] = view.outcome != Outcome.PRUNED
        return counted | pruned if self.consider_pruned_trials else counted

    def _drawn(
        self, view: View, joint: Mapping[str, Numeric], axes: Axes, streams: Sequence[Stream]
    ) -> tuple[int, list[Floats]]:
        """The generation that is under way, and one point of unit coordinates (d,) a stream."""
        course = Course(axes, self.rules, self._start(axes, joint, view.signs[0]), streams[0].seed)
        known = self._results(view)
        columns = np.stack([view.columns[name] for name in joint])
        # What was proposed in a wider range lies at the end of this one.
        units = axes.units(np.clip(columns, axes.low, axes.high))
        known &= ~np.isnan(units).any(axis=0)
        labels = view.generations.get(self.kind)
        generations = [] if labels is None else grouped(labels, known)
        loss = np.where(view.outcome == Outcome.PRUNED, view.last_loss, view.loss[:, 0])
        table = np.column_stack([view.numbers, view.violation, loss, units.T])
        first = repr((axes.numerics, streams[0].seed)).encode()
        state = self._memo.folded(first, course.begin, [table[rows] for _, rows in generations], course.step)
        return next_generation(generations, state.popsize), course.drawn(state, list(streams))

    def _start(self, axes: Axes, joint: Mapping[str, Numeric], sign: float) -> Start:
        """Where to begin: at the middle of the ranges, at `x0`, or where another study's trials were good."""
        rows = np.array([[source.params.get(name, np.nan) for name in joint] for source in self.sources])
        units = axes.units(rows.T) if len(rows) else np.empty((len(axes), 0))
        solutions = [
            (u, sign * source.value) for u, source in zip(units.T, self.sources, strict=True) if not np.isnan(u).any()
        ]
        if solutions:
            share = max(SOURCE_SHARE, 1 / len(solutions))
            mean, sigma, cov = cmaes.get_warm_start_mgd(solutions, gamma=share)
            return Start(mean=mean, sigma=max(sigma, LEAST_SIGMA), cov=cov)
        x0 = axes.units(np.array([[self.x0.get(name, np.nan)] for name in joint]))[:, 0]
        return Start(mean=np.where(np.isnan(x0), 0.5, x0), sigma=self.sigma0)


def _values(axes: Axes, joint: Mapping[str, Numeric], point: Floats) -> dict[str, float]:
    return {name: axes.value(axis, u) for axis, (name, u) in enumerate(zip(joint, point.tolist(), strict=True))}
