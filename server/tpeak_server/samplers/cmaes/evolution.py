"""One run of CMA-ES, started anew where that is wanted: what `cmaes` keeps, and what it does not.

| symbol | shape | meaning |
|---|---|---|
| d | | parameters that are drawn jointly |
| u | (d,) | unit coordinates: 0 .. 1 over each range, on its scale |
| results | (n, 1 + 2 + d) | of one generation: number, violation, loss, u |
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, replace
from typing import Any

import cmaes
import numpy as np
from numpy.typing import NDArray

from tpeak_server.domain.observations import Floats
from tpeak_server.samplers.axes import Axes
from tpeak_server.samplers.seam import Stream

NUMBER, VIOLATION, LOSS, UNITS = 0, 1, 2, 3
"""Columns of results."""

DEFAULT_SIGMA = 1 / 6
"""The first standard deviation, in ranges, as in Optuna."""

RESAMPLINGS = 10
"""Times the number of parameters: how often a point outside of the ranges is drawn again, as in Optuna."""

MOST_CELLS = 2.0**20
"""A grid of more values than that is as good as continuous."""

REDRAWN = 64
"""How many points are drawn to find what may have been rounded to a value."""

INCREASE = 2
"""By what restarts multiply the population where nothing is said, as Optuna did."""

MOST_POPULATION = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The arguments that shape the evolution."""

    popsize: int | None = None
    separable: bool = False
    margin: bool = False
    lr_adapt: bool = False
    restart_strategy: str | None = None
    inc_popsize: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Where the evolution starts: mean (d,), standard deviation and covariance (d, d), of unit coordinates."""

    mean: Floats
    sigma: float = DEFAULT_SIGMA
    cov: Floats | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evolution:
    """The state after some generations. `spent` are the results that runs with a small and a large population used."""

    optimizer: Any
    restarts: int = 0
    large: int = 0
    small_run: bool = True
    spent: tuple[int, int] = (0, 0)

    @property
    def popsize(self) -> int:
        """How many results a generation needs."""
        size: int = self.optimizer.population_size
        return size


class Course:
    """How the evolution of one space goes on from generation to generation; `seed` is the study's."""

    def __init__(self, axes: Axes, rules: Rules, start: Start, seed: int) -> None:
        self._axes = axes
        self._rules = rules
        self._start = start
        self._seed = seed
        cells = np.array([axes.grid_size(axis) for axis in range(len(axes))])
        self._gridded = (cells <= MOST_CELLS) & ~axes.log if rules.margin else np.zeros(len(axes), dtype=bool)
        self._steps = np.where(self._gridded, 1.0 / cells, 0.0)

    def begin(self) -> Evolution:
        """The state before the first generation."""
        return Evolution(optimizer=self._optimizer(self._start, self._rules.popsize))

    def drawn(self, evolution: Evolution, streams: list[Stream]) -> list[Floats]:
        """One point u a stream."""
        optimizer = copy.deepcopy(evolution.optimizer)
        return [self._draw(optimizer, stream)[0] for stream in streams]

    def step(self, evolution: Evolution, results: Floats) -> Evolution:
        """The state after one more generation, of which there may be more results than are needed.

        Too few change nothing, and neither do those that the arithmetic cannot digest.
        """
        if len(results) < evolution.popsize:
            return evolution
        optimizer = copy.deepcopy(evolution.optimizer)
        told = self._told(optimizer, _extremes(results, evolution.popsize))
        try:
            with np.errstate(all="ignore"):
                optimizer.tell(told)
                stops = optimizer.should_stop()
        except (ArithmeticError, AssertionError, ValueError, np.linalg.LinAlgError):
            return evolution
        if not np.isfinite(self._draw(copy.deepcopy(optimizer), Stream(self._seed, 0))[0]).all():
            return evolution
        after = replace(evolution, optimizer=optimizer)
        return self._restarted(after) if stops and self._rules.restart_strategy else after

    def _told(self, optimizer: Any, results: Floats) -> list[tuple[Floats, float]]:
        """The points and values as the optimizer takes them: what is infeasible, or NaN, is infinitely bad."""
        feasible = (results[:, VIOLATION] <= 0) & ~np.isnan(results[:, LOSS])
        values = np.where(feasible, results[:, LOSS], np.inf).tolist()
        points = results[:, UNITS:]
        if self._gridded.any():
            redrawing = copy.deepcopy(optimizer)
            numbers = results[:, NUMBER].astype(int).tolist()
            points = np.array([self._raw(redrawing, n, u) for n, u in zip(numbers, points, strict=True)])
        return list(zip(points, values, strict=True))

    def _raw(self, optimizer: Any, number: int, u: Floats) -> Floats:
        """What was rounded to u on the grids: drawn again, until each coordinate agrees.

        The first draw is the very one where the state has not changed since. A coordinate for which none is found, say
        that of another study's trial, is to say nothing: it has the mean's place.
        """
        raw = np.where(self._gridded, optimizer.mean, u)
        open_ = self._gridded.copy()
        for attempt in range(REDRAWN):
            drawn, exact = self._draw(optimizer, Stream(self._seed, number), again=attempt > 0)
            agrees = open_ & (np.abs(drawn - u) < 0.5 * self._steps)
            raw[agrees] = exact[agrees]
            open_ &= ~agrees
            if not open_.any():
                break
        return raw

    def _draw(self, optimizer: Any, stream: Stream, *, again: bool = False) -> tuple[Floats, Floats]:
        """A point u on the grids, and the one that was rounded to it; `again` goes on with the same stream."""
        if not again:
            optimizer.reseed_rng(int(stream("cmaes").integers(2**32)))
        with np.errstate(all="ignore"):
            drawn = optimizer.ask()
        return drawn if isinstance(drawn, tuple) else (drawn, drawn)

    def _restarted(self, evolution: Evolution) -> Evolution:
        """A new run from anywhere (Auger and Hansen 2005; with two kinds of populations, Hansen 2009)."""
        restarts = evolution.restarts + 1
        rng = Stream(self._seed, 0).of_study(f"cmaes restart {restarts}")
        start = Start(mean=rng.random(len(self._axes)), sigma=self._start.sigma)
        spent = list(evolution.spent)
        spent[not evolution.small_run] += evolution.popsize * evolution.optimizer.generation
        small = self._rules.restart_strategy == "bipop" and spent[0] < spent[1]
        large = evolution.large + (not small)
        first = self.begin().popsize
        increase = (self._rules.inc_popsize if self._rules.inc_popsize > 0 else INCREASE) ** large
        factor = increase ** (rng.random() ** 2) if small else increase
        popsize = min(max(math.floor(first * factor), first), MOST_POPULATION)
        return Evolution(
            optimizer=self._optimizer(start, popsize),
            restarts=restarts,
            large=large,
            small_run=small,
            spent=(spent[0], spent[1]),
        )

    def _optimizer(self, start: Start, popsize: int | None) -> Any:
        d = len(self._axes)
        # A grid's first and last values lie half a step inside of the range.
        bounds = np.stack([0.5 * self._steps, 1.0 - 0.5 * self._steps], axis=1)
        common = {
            "mean": np.clip(start.mean, bounds[:, 0], bounds[:, 1]),
            "sigma": start.sigma,
            "bounds": bounds,
            "n_max_resampling": RESAMPLINGS * d,
            "seed": 0,
            "population_size": popsize,
        }
        # A generation of 2 or 3 has one parent: there is no covariance to learn, and a quotient is infinite.
        with np.errstate(divide="ignore"):
            if self._rules.separable and d > 1:
                return cmaes.SepCMA(**common)
            if self._rules.margin:
                return cmaes.CMAwM(**common, cov=_copied(start.cov), steps=self._steps)
            return cmaes.CMA(**common, cov=_copied(start.cov), lr_adapt=self._rules.lr_adapt)


def _copied(cov: Floats | None) -> Floats | None:
    return None if cov is None else cov.copy()


def _extremes(results: Floats, count: int) -> Floats:
    """The best and the worst of the results, `count` in all, the best one first; ties stay in trial order."""
    infeasible = ~(results[:, VIOLATION] <= 0)
    losses = np.where(np.isnan(results[:, LOSS]), np.inf, results[:, LOSS])
    keys = np.where(infeasible, results[:, VIOLATION], losses)
    order: NDArray[np.int64] = np.lexsort((keys, infeasible))
    best = count // 2
    found: Floats = results[np.concatenate([order[:best], order[len(order) - (count - best) :]])]
    return found
