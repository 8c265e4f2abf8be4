"""The best of each suggestion's candidates, with a full look at few of them.

A score is log l - log (g + lies): each kernel of g lowers it, and so does each lie. What the newest kernels of g leave
of it is therefore a ceiling, and only candidates whose ceiling reaches the best score need to be weighed in full.

The winner of a block is pending to the blocks after it, so each depends on those before. All are guessed at once, and
guessed again with the lies of the last guess until none changes: most often few lies decide anything.

| symbol | shape | meaning |
|---|---|---|
| c | | candidates, side by side in b blocks of one suggestion's each |
| l, g | (c,) | the sums of the good kernels and of the bad ones |
| lies | (c,) | the sum of the kernels of pending trials |
"""

from __future__ import annotations

from collections.abc import Callable

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

SHORTLISTED = 2
"""Candidates of each block that are weighed at first."""

LEAST = float(np.finfo(np.float64).min)

CEILING, SCREENED, EXACT = range(3)
"""How much is known of a candidate's sum of bad kernels."""


class Contest:
    """The candidates of b suggestions in blocks of equal size.

    `pending` are the lies before the first of them. Those of the candidates (c,) that are `barred` must not win, nor
    one that has the same `identity` (c,) as a winner before it.
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
        identity: NDArray[np.int64] | None = None,
        precision: Precision = np.float32,
    ) -> None:
        self._query = query
        self._kernels, self._pending, self._precision = bad, pending, precision
        self._blocks = blocks
        self._barred, self._identity = barred, identity
        self._good = good.log_sum(query)
        few = len(query) * len(bad.weight) * query.dimensions <= FEW
        self._bad = bad.log_sum(query, precision, slice(None) if few else NEWEST)
        self._known = np.full(len(query), SCREENED if few else CEILING)
        if pending and (few or blocks > 1):
            self._bad = np.logaddexp(self._bad, pending.log_sum(query))
        if not few:
            self._weigh(self._highest(), SCREENED)

    def winners(self, kernels_at: Callable[[NDArray[np.intp]], Kernels]) -> NDArray[np.intp]:
        """The best candidate of each block (b,), of equal ones the first, whichever way last digits were rounded.

        `kernels_at` gives the kernels that some candidates have while they are pending.
        """
        winners = self._best(None, self._barred)
        if self._blocks == 1:
            return winners
        lies: dict[int, Floats] = {}
        # Most often one of these wins in the end.
        new = {*winners.tolist(), *self._highest().tolist()}
        while True:
            if new:
                at = np.array(list(new), dtype=np.intp)
                lies.update(zip(new, kernels_at(at).log_each(self._query).T, strict=True))
            among = self._summed(np.stack([lies[one] for one in winners.tolist()]))
            again = self._best(among, self._barred_by(winners))
            if (again == winners).all():
                return winners
            winners = again
            new = set(winners.tolist()).difference(lies)

    def _summed(self, lies: Floats) -> Floats:
        """The log sum (c,) of the lies (b, c) of the winners before each candidate's block."""
        blocks = np.arange(self._blocks)
        later = lies.reshape(self._blocks, self._blocks, -1)
        later[blocks[:, np.newaxis] >= blocks] = -np.inf
        largest = np.maximum(lies.max(axis=0), LEAST)
        lies -= largest
        with np.errstate(divide="ignore"):
            summed: Floats = largest + np.log(np.exp(lies, out=lies).sum(axis=0))
        return summed

    def _barred_by(self, winners: NDArray[np.intp]) -> NDArray[np.bool_] | None:
        """Which candidates (c,) must not win after these winners of the blocks before theirs."""
        if self._barred is None or self._identity is None:
            return self._barred
        blocks = np.arange(len(self._query)) // (len(self._query) // self._blocks)
        same = self._identity[winners][:, np.newaxis] == self._identity
        same &= np.arange(self._blocks)[:, np.newaxis] < blocks
        barred: NDArray[np.bool_] = self._barred | same.any(axis=0)
        return barred

    def _best(self, lies: Floats | None, barred: NDArray[np.bool_] | None) -> NDArray[np.intp]:
        """The best of each block (b,) beside these lies (c,); whoever might be it is weighed as far as that takes."""
        while True:
            scores = self._scores(lies, barred)
            known = self._known.reshape(scores.shape)
            best = np.where(known == CEILING, -np.inf, scores).max(axis=1, keepdims=True)
            close = scores >= np.maximum(best - SCREENING_ERROR, LEAST)
            unknown = close & (known == CEILING)
            level = SCREENED
            if not unknown.any():
                unknown = close & (known != EXACT) & (np.count_nonzero(close, axis=1, keepdims=True) > 1)
                level = EXACT
            wanted = unknown.ravel().nonzero()[0]
            if not len(wanted):
                winners: NDArray[np.intp] = scores.round(DIGITS).argmax(axis=1)
                return winners + np.arange(0, scores.size, scores.shape[1])
            self._weigh(wanted, level)

    def _scores(self, lies: Floats | None, barred: NDArray[np.bool_] | None) -> Floats:
        """The scores, or ceilings, by block (b, c / b)."""
        scores: Floats = self._good - (self._bad if lies is None else np.logaddexp(self._bad, lies))
        if barred is not None:
            scores[barred] = -np.inf
        return scores.reshape(self._blocks, -1)

    def _highest(self) -> NDArray[np.intp]:
        """The candidates with the highest ceilings, as many of each block."""
        ceilings = self._scores(None, self._barred)
        width = ceilings.shape[1]
        highest = np.argpartition(ceilings, max(width - SHORTLISTED, 0), axis=1)[:, -SHORTLISTED:]
        return (highest + np.arange(0, ceilings.size, width)[:, np.newaxis]).ravel()

    def _weigh(self, which: NDArray[np.intp], level: int) -> None:
        query = self._query.take(which)
        precision = np.float64 if level == EXACT else self._precision
        bad = self._kernels.log_sum(query, precision)
        self._bad[which] = np.logaddexp(bad, self._pending.log_sum(query)) if self._pending else bad
        self._known[which] = level
