"""Categorical coordinates of kernels: mostly the trial's own choice, else any.

A kernel's probabilities are (one-hot + 1 / N) normalised over the C choices, with N kernels in the mixture. That is:
the own choice with probability `stay` = N / (N + C), else uniform over all. A kernel without a choice is uniform.

Where distances between the choices are known, similar choices take part: in place of the one-hot stands
exp(-(distance / largest)^2 log N log C / log 6), as in Optuna 4.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tpeak_server.domain.observations import Floats


@dataclass(frozen=True, slots=True)
class Categoricals:
    """The categorical coordinates of kernels: `own` (e, kernels), MISSING where a kernel is uniform."""

    own: NDArray[np.int64]
    log_other: Floats
    """(e, kernels): the log probability of a choice that is not the own one."""
    log_lift: Floats
    """(e, 1): how much larger the log probability of the own choice is."""
    stay: Floats
    """(e, 1)"""
    sizes: NDArray[np.int64]
    """(e, 1)"""
    tables: Mapping[int, Floats]
    """Of the coordinates with distances: the log probabilities (C + 1, C) of all choices by the own one, the last row
    for none."""

    def joined(self, other: Categoricals) -> Categoricals:
        """These kernels followed by other ones of the same mixture."""
        return Categoricals(
            np.concatenate([self.own, other.own], axis=1),
            np.concatenate([self.log_other, other.log_other], axis=1),
            self.log_lift,
            self.stay,
            self.sizes,
            self.tables,
        )

    def take(self, which: slice) -> Categoricals:
        """Some of the kernels."""
        own, log_other = self.own[:, which], self.log_other[:, which]
        return Categoricals(own, log_other, self.log_lift, self.stay, self.sizes, self.tables)

    def sample(self, kernels: NDArray[np.int64], uniforms: Floats) -> NDArray[np.int64]:
        """One choice (e, c) from each of the chosen kernels (c,)."""
        own = self.own[:, kernels]
        stays = (uniforms < self.stay) & (own >= 0)
        # What is left of the same number is uniform again; where the kernel is uniform it is the number itself.
        rest = np.where(own >= 0, (uniforms - self.stay) / (1.0 - self.stay), uniforms)
        anything = np.clip(rest * self.sizes, 0, self.sizes - 1).astype(np.int64)
        chosen = np.where(stays, own, anything)
        for row, table in self.tables.items():
            cumulative = np.exp(table).cumsum(axis=1)[own[row]]
            above = uniforms[row][:, np.newaxis] * cumulative[:, -1:] >= cumulative
            chosen[row] = np.minimum(above.sum(axis=1), self.sizes[row, 0] - 1)
        return chosen

    def add_log_density(
        self, total: NDArray[np.floating], choice: NDArray[np.int64], part: slice = slice(None)
    ) -> None:
        """Adds the log probabilities of points (e, c), by all kernels or some, to (c, kernels).

        Missing coordinates add nothing.
        """
        known = choice >= 0
        total += known.T.astype(total.dtype) @ self.log_other[:, part].astype(total.dtype)
        owns = self.own[:, part]
        for row, (chosen, has, own, lift) in enumerate(zip(choice, known, owns, self.log_lift, strict=True)):
            if row in self.tables:
                total[has] += self.tables[row].T[chosen[has]].take(own, axis=1)
                continue
            total += lift.astype(total.dtype) * ((chosen[:, np.newaxis] == own) & has[:, np.newaxis])


def categoricals(
    choice: NDArray[np.int64],
    kernels: Floats,
    sizes: NDArray[np.int64],
    distances: Mapping[int, Floats] | None = None,
) -> Categoricals:
    """Kernels at these choices (e, n) for a mixture of that many kernels (e, 1), the prior's included.

    `distances` are those of some coordinates, (C, C), the farthest of a row 1.
    """
    log_other = np.where(choice >= 0, -np.log(kernels + sizes), -np.log(sizes))
    tables = {row: _table(distance, float(kernels[row, 0])) for row, distance in (distances or {}).items()}
    log_other[list(tables)] = 0.0
    return Categoricals(
        own=choice,
        log_other=log_other,
        log_lift=np.log(kernels + 1.0),
        stay=kernels / (kernels + sizes),
        sizes=sizes,
        tables=tables,
    )


def _table(distance: Floats, kernels: float) -> Floats:
    size = len(distance)
    sharpness = math.log(kernels) * math.log(size) / math.log(6.0)
    weights = np.exp(-sharpness * distance**2) + 1.0 / kernels
    table: Floats = np.log(np.vstack([weights / weights.sum(axis=1, keepdims=True), np.full(size, 1.0 / size)]))
    return table
