"""The best of each suggestion's candidates, with a full look at few of them.

A score is log l - log (g + lies): each kernel of g lowers it, and so does each lie. What the newest kernels of g leave
of it is therefore a ceiling, and only candidates whose ceiling reaches the best score need to be weighed in full.

| symbol | shape | meaning |
|---|---|---|
| c | | candidates, side by side in b blocks of one suggestion's each |
| l, g | (c,) | the sums of the good kernels and of the bad ones |
| lies | (c,) | the sum of the kernels of pending trials |
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tpeak_server.domain.observations import Floats
from tpeak_server.samplers.tpe.mixture import Kernels, Precision, Query

SCREENING_ERROR = 0.02
"""More than single precision can be wrong about a score: whoever is this close to the best is looked at again."""

DIGITS = 9
"""Decimals of a score that do not depend on how many candidates were computed together."""

NEWEST = slice(-128, None)
"""The kernels behind a ceiling, with the prior's, which is the last: the newest lie where the search is."""

FEW = 300_000
"""Candidates times kernels times dimensions, up to which it takes as long to find who need not be weighed."""

SHORTLISTED = 4
"""Candidates of each block that are weighed at first."""

MARGIN = 2.0
"""How much the lies of a batch may lower the best score of a block before another candidate needs to be weighed."""

LEAST = float(np.finfo(np.float64).min)


class Contest:
    """The candidates of b suggestions in blocks of equal size; `barred` (c,) are those that must not win.

    `pending` are the lies before the first of them.
    """

    def __init__(
        self,
        query: Query,
        good: Kernels,
        bad: Kernels,
        pending: Kernels | None,
        *,
        blocks: int = 1,
        barred: NDArray[np.bool_] | None = None,
        precision: Precision = np.float32,
    ) -> None:
        self.query = query
        self.barred = np.zeros(len(query), dtype=bool) if barred is None else barred
        self._kernels, self._pending, self._precision = bad, pending, precision
        self._width = len(query) // blocks
        self._good = good.log_sum(query)
        self._lies = np.full(len(query), -np.inf)
        if len(query) * len(bad.weight) * query.dimensions <= FEW:
            self._ceiling = np.zeros(len(query), dtype=bool)
            self._bad = bad.log_sum(query, precision)
            self._lie(slice(None), query)
            return
        # Of candidates that have only a ceiling: a part of the sum, and none of the lies that were there before.
        self._ceiling = np.ones(len(query), dtype=bool)
        self._bad = bad.log_sum(query, precision, NEWEST)
        self._weigh(self.highest())
        if blocks > 1:
            self._weigh_within_reach(slice(None), MARGIN)

    def block(self, number: int) -> slice:
        """Which candidates are those of one suggestion."""
        return slice(number * self._width, (number + 1) * self._width)

    def highest(self) -> NDArray[np.intp]:
        """The candidates with the highest scores, or ceilings, as many of each block, in order of the blocks."""
        scores = self._scores(slice(None)).reshape(-1, self._width)
        count = min(SHORTLISTED, self._width)
        highest = np.argpartition(scores, self._width - count, axis=1)[:, self._width - count :]
        highest += np.arange(0, scores.size, self._width)[:, np.newaxis]
        return highest.ravel()

    def winner(self, number: int = 0) -> int:
        """The best candidate of a block; of equal ones the first, whichever way their last digits were rounded."""
        block, start = self.block(number), number * self._width
        scores = self._weigh_within_reach(block, SCREENING_ERROR)
        best = int(scores.argmax())
        close = (scores >= scores[best] - SCREENING_ERROR).nonzero()[0]
        if len(close) > 1 and scores[best] > -np.inf:
            close += start
            bad = self._kernels.log_sum(self.query.take(close))
            exact = self._good[close] - np.logaddexp(bad, self._lies[close])
            return int(close[exact.round(DIGITS).argmax()])
        return start + best

    def add_lies(self, log_density: NDArray[np.floating], first: int) -> None:
        """Something more is pending, with this log density at the candidates from the `first` on."""
        lies = self._lies[first:]
        np.logaddexp(lies, log_density, out=lies)

    def _scores(self, which: slice) -> Floats:
        scores: Floats = self._good[which] - np.logaddexp(self._bad[which], self._lies[which])
        scores[self.barred[which]] = -np.inf
        return scores

    def _weigh_within_reach(self, blocks: slice, margin: float) -> Floats:
        """The scores of whole blocks, where nobody is left whose ceiling reaches the best score less the margin."""
        scores, ceiling = self._scores(blocks), self._ceiling[blocks]
        if not ceiling.any():
            return scores
        best = np.where(ceiling, -np.inf, scores).reshape(-1, self._width).max(axis=1, keepdims=True)
        least = np.maximum(best - margin, LEAST)
        within_reach = (ceiling & (scores.reshape(-1, self._width) >= least).ravel()).nonzero()[0]
        if not len(within_reach):
            return scores
        self._weigh(within_reach + (blocks.start or 0))
        return self._scores(blocks)

    def _weigh(self, which: NDArray[np.intp]) -> None:
        query = self.query.take(which)
        self._bad[which] = self._kernels.log_sum(query, self._precision)
        self._lie(which, query)
        self._ceiling[which] = False

    def _lie(self, which: slice | NDArray[np.intp], query: Query) -> None:
        if self._pending:
            self._lies[which] = np.logaddexp(self._lies[which], self._pending.log_sum(query))
