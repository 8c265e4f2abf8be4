"""Where a Gaussian process looks: candidates, and ever smaller mutations of the best of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tpeak_server.domain.observations import Floats
from tpeak_server.samplers.layout import Layout, Points
from tpeak_server.samplers.mutations import changed, mutated, rows_of_mutation
from tpeak_server.samplers.tpe.mixture import Kernels

RANDOM, DRAWN, MUTATED = 250, 100, 150
"""Candidates at first: uniform ones, draws from the good density of TPE, and mutations of the best trials."""

ROUNDS = 3
TOP, EACH = 6, 10
"""In every round the best candidates have so many mutations each."""

FIRST_STEP, SHRINKING = 0.1, 0.35
"""The deviation of the first round's steps, a share of the range, and by what it shrinks from round to round."""

CHANGED, LEAST_SHARE = 2.0, 0.3
"""Coordinates that change on average, and the least share of all that does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Looks for the largest score in a space.

    `best` are the best trials, `good` is TPE's good density, `given` (d + e, 1) has the coordinates that every point is
    to have. `score` takes points (d + e, c), which are on their grids, and gives (c,).
    """

    layout: Layout
    best: Points
    good: Kernels
    given: Points
    score: Callable[[Points], Floats]

    def run(self, rng: np.random.Generator) -> tuple[Points, Floats]:
        """The candidates of the last round (d + e, c), the best first, and their scores (c,)."""
        points, scores = self._scored(self._first(rng))
        for turn in range(ROUNDS):
            top, top_scores = points.take(slice(TOP)), scores[:TOP]
            more, found = self._scored(self._mutated(rng, top, FIRST_STEP * SHRINKING**turn))
            points, scores = _sorted(top.joined(more), np.concatenate([top_scores, found]))
        return points, scores

    def _scored(self, raw: Points) -> tuple[Points, Floats]:
        points = self.layout.snapped(raw.where_given(self.given))
        return _sorted(points, self.score(points))

    def _first(self, rng: np.random.Generator) -> Points:
        d, size = len(self.layout.axes), self.layout.dimensions
        fractions = rng.random((size, RANDOM))
        uniform = Points(fractions[:d], (fractions[d:] * self.layout.sizes).astype(np.int64))
        drawn = self.good.sample(rng.random((1 + size, DRAWN)), self.given if self.given.known.any() else None)
        numbers = rng.random((rows_of_mutation(self.layout), MUTATED))
        return uniform.joined(drawn, mutated(self.layout, self.best, numbers))

    def _mutated(self, rng: np.random.Generator, parents: Points, sigma: float) -> Points:
        parents = parents.take(np.repeat(np.arange(len(parents)), EACH))
        size = self.layout.dimensions
        share = max(CHANGED / size, LEAST_SHARE)
        return changed(self.layout, parents, sigma, rng.random((2 * size, len(parents))), share=share)


def _sorted(points: Points, scores: Floats) -> tuple[Points, Floats]:
    order = np.argsort(-scores, kind="stable")
    return points.take(order), scores[order]
