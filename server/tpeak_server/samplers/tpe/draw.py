"""One drawing: candidates from a model, their scores, and the best of each suggestion's, each pending to the next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tpeak_server.domain.observations import Floats
from tpeak_server.samplers.layout import Points
from tpeak_server.samplers.tpe.mixture import Kernels, Precision, Query
from tpeak_server.samplers.tpe.model import Model
from tpeak_server.samplers.tpe.mutations import mutated, rows_of_mutation
from tpeak_server.samplers.tpe.rules import Rules

SCREENING_ERROR = 0.02
"""More than single precision can be wrong about a score: whoever is this close to the best is looked at again."""

DIGITS = 9
"""Decimals of a score that do not depend on how many candidates were computed together."""

FRESH = 64
"""How many neighbours are looked at where every candidate was tried before."""


class Uniforms(NamedTuple):
    """The uniform numbers behind one suggestion, a column for each candidate.

    For the choices on each level of branches (levels, 1 + d + e, c), then for the whole point (1 + d + e, c).
    """

    branches: Floats
    joint: Floats


class Drawing:
    """Suggestions from one model, beside these pending trials and those drawn before them.

    `given` are internal values that are part of each suggestion, and condition the rest.
    """

    def __init__(self, model: Model, rules: Rules, pending: Mapping[str, Floats], given: Mapping[str, float]) -> None:
        self.model = model
        self._rules = rules
        self._given = given
        taken, self._liars = model.pending(pending)
        self._visited = model.visited.with_points(taken) if model.visited else None

    def draw(self, uniforms: Sequence[Uniforms]) -> Iterator[dict[str, float]]:
        """The internal values of the best candidate for each of the `uniforms_of` some streams, in order."""
        if not self.model.structure.levels:
            yield from self._draw(uniforms, self._given_point)
            return
        for one in uniforms:
            yield from self._draw([one], self._branch(one))

    def _draw(self, uniforms: Sequence[Uniforms], given: Points | None) -> Iterator[dict[str, float]]:
        raw = self._candidates(uniforms, given)
        points = self.model.structure.active(raw)
        query = self.model.good.kernels.query(points)
        good = self.model.good.kernels.log_sum(query)
        bad = self.model.bad.kernels.log_sum(query, self._precision)
        lies = self._lies(query)
        width = len(good) // len(uniforms)
        # Each may become pending to the suggestions after it.
        liars = self.model.bad.beside(self.model.layout.snapped(points)) if len(uniforms) > 1 else None
        repeated = self._visited.has(points) if self._visited else np.zeros(len(good), dtype=bool)
        for start in range(0, len(good), width):
            block = slice(start, start + width)
            scores = good[block] - np.logaddexp(bad[block], lies[block])
            if self._visited:
                repeated[block] |= self._visited.has(points.take(block))
            scores[repeated[block]] = -np.inf
            best = start + self._best(scores, good[block], query.take(block), lies[block])
            chosen = raw.take(slice(best, best + 1))
            if repeated[best]:
                chosen = self._fresh(chosen, uniforms[start // width].joint)
            yield {**self.model.layout.values(chosen), **self._given}
            known = None if repeated[best] or liars is None else liars.take(slice(best, best + 1))
            liar = self._take(chosen, known)
            if start + width < len(good):
                rest = slice(start + width, None)
                lies[rest] = np.logaddexp(lies[rest], liar.log_sum(query.take(rest)))

    def log_ratio(self, points: Points) -> Floats:
        """The score log l - log g (c,) of active points, to the last digits."""
        return self.model.log_ratio(points, self._liars)

    def weighed(self, uniforms: Uniforms) -> tuple[list[dict[str, float]], Floats]:
        """The internal values and the score (c,) of each of one suggestion's candidates."""
        given = self._branch(uniforms) if self.model.structure.levels else self._given_point
        raw = self._candidates([uniforms], given)
        layout = self.model.layout
        return [layout.values(raw, at) for at in range(len(raw))], self.log_ratio(self.model.structure.active(raw))

    def marginals(self, values: Mapping[str, float]) -> dict[str, tuple[float, float]]:
        """The log density of each parameter's value by itself, in the good mixture and in the bad one."""
        found = {}
        for name, value in values.items():
            point = self.model.layout.point({name: value})
            good, bad = self.model.good.log_density(point), self.model.bad.log_density(point, self._liars)
            found[name] = (float(good[0]), float(bad[0]))
        return found

    @property
    def _precision(self) -> Precision:
        return np.float64 if self._rules.exact else np.float32

    @property
    def _given_point(self) -> Points | None:
        return self.model.layout.point(self._given) if self._given else None

    def _branch(self, uniforms: Uniforms) -> Points:
        """One point that has, beside what is given, the choices that decide which other parameters there are.

        They are made level by level, by themselves: how well what lies below a choice is known says nothing about the
        choice.
        """
        structure, kernels = self.model.structure, self.model.good.kernels
        given = self.model.layout.point(self._given)
        for level, numbers in zip(structure.levels, uniforms.branches, strict=True):
            wanted = given.known | level
            points = structure.active(kernels.sample(numbers, given)).only(wanted)
            query = kernels.query(points)
            bad = np.logaddexp(self.model.bad.kernels.log_sum(query), self._lies(query))
            best = int(np.argmax((kernels.log_sum(query) - bad).round(DIGITS)))
            given = points.take(slice(best, best + 1))
        return given

    def _candidates(self, uniforms: Sequence[Uniforms], given: Points | None) -> Points:
        """Every suggestion's candidates, side by side."""
        joint = [one.joint for one in uniforms]
        return self.model.good.kernels.sample(joint[0] if len(joint) == 1 else np.concatenate(joint, axis=1), given)

    def _lies(self, points: Query) -> Floats:
        return np.full(len(points), -np.inf) if self._liars is None else self._liars.log_sum(points)

    def _best(self, scores: Floats, good: Floats, points: Query, lies: Floats) -> int:
        """The best candidate; of equal ones the first, whichever way their last digits were rounded."""
        best = int(np.argmax(scores))
        if not np.isfinite(scores[best]):
            return best
        close = np.flatnonzero(scores >= scores[best] - SCREENING_ERROR)
        if len(close) == 1:
            return best
        bad = self.model.bad.kernels.log_sum(points.take(close))
        return int(close[np.argmax((good[close] - np.logaddexp(bad, lies[close])).round(DIGITS))])

    def _fresh(self, chosen: Points, uniforms: Floats) -> Points:
        """The best neighbour of a point that was tried before; the point itself if all neighbours were."""
        layout = self.model.layout
        seed = np.random.SeedSequence(np.frombuffer(uniforms[0, :2].tobytes(), dtype=np.uint32).tolist())
        numbers = np.random.Generator(np.random.PCG64(seed)).random((rows_of_mutation(layout), FRESH))
        raw = mutated(layout, chosen, numbers).where_given(layout.point(self._given))
        points = self.model.structure.active(raw)
        new = np.flatnonzero(~self._visited.has(points)) if self._visited else np.arange(FRESH)
        if not len(new):
            return chosen
        best = int(new[np.argmax(self.log_ratio(points.take(new)).round(DIGITS))])
        return raw.take(slice(best, best + 1))

    def _take(self, raw: Points, known: Kernels | None) -> Kernels:
        """From now on the point is pending, as the returned kernel; the known one, if it is."""
        chosen = self.model.structure.active(raw)
        liar = known or self.model.bad.beside(self.model.layout.snapped(chosen))
        self._liars = self._liars.joined(liar) if self._liars else liar
        if self._visited:
            self._visited = self._visited.with_points(chosen)
        return liar


def uniforms_of(model: Model, rules: Rules, generator: np.random.Generator) -> Uniforms:
    """The randomness of one suggestion."""
    size = model.layout.dimensions
    return Uniforms(
        generator.random((len(model.structure.levels), 1 + size, rules.n_candidates)),
        generator.random((1 + size, rules.n_candidates)),
    )
