"""Categorical coordinates of kernels: mostly the trial's own choice, else any.

A kernel's probabilities are (one-hot + 1 / N) normalised over the C choices, with N kernels in the mixture. That is:
the own choice with probability `stay` = N / (N + C), else uniform over all. A kernel without a choice is uniform.

Where distances between the choices are known, similar choices take part: in place of the one-hot stands
exp(-(distance / largest)^2 log N log C / log 6), as in Optuna 4.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tpeak_server.domain.observations import Floats

FEW = 32
"""So many choices have a row each of log probabilities; of more, each point's is compared with the kernels'."""


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
    _known: dict[np.dtype[np.floating], NDArray[np.floating]] = field(default_factory=dict, repr=False)

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

    def sample(self, kernels: NDArray[np.int64], uniforms: Floats) -> NDArray[np.int64]:
        """One choice (e, c) from each of the chosen kernels (c,)."""
        if not len(self.own):
            return np.empty((0, len(kernels)), dtype=np.int64)
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
        rows = _rows_of(tuple(self.sizes[:, 0].tolist()))
        if len(rows.choice):
            # All coordinates with few choices at once: a one-hot row of each point meets a row of each choice.
            chosen = choice[rows.few]
            known = chosen >= 0
            hot = np.zeros((len(total), len(rows.choice)), dtype=total.dtype)
            hot[known.nonzero()[1], (chosen + rows.first)[known]] = 1.0
            total += hot @ self._factors(rows, total.dtype)[:, part]
        for row in rows.many:
            has = choice[row] >= 0
            if row in self.tables:
                total[has] += self.tables[row].T[choice[row, has]].take(self.own[row, part], axis=1)
                continue
            same = choice[row][:, np.newaxis] == self.own[row, part]
            other = self.log_other[row, part].astype(total.dtype)
            total += np.where(same, other + self.log_lift[row].astype(total.dtype), other) * has[:, np.newaxis]

    def _factors(self, rows: Rows, dtype: np.dtype[np.floating]) -> NDArray[np.floating]:
        """The log probabilities (rows, kernels) of all choices of the coordinates with few; computed once."""
        if dtype not in self._known:
            lifted = self.own[rows.coordinate] == rows.choice
            factors = self.log_other[rows.coordinate] + self.log_lift[rows.coordinate] * lifted
            for row, table in self.tables.items():
                if rows.few[row]:
                    factors[rows.coordinate == row] = table.T.take(self.own[row], axis=1)
            self._known[dtype] = factors.astype(dtype, copy=False)
        return self._known[dtype]


@dataclass(frozen=True, slots=True)
class Rows:
    """A row for each choice of the coordinates with few: its coordinate (rows,), and the choice itself (rows, 1).

    `few` (e,) says which coordinates these are, `first` (few, 1) where their rows begin; `many` are the other ones.
    """

    coordinate: NDArray[np.int64]
    choice: NDArray[np.int64]
    few: NDArray[np.bool_]
    first: NDArray[np.int64]
    many: tuple[int, ...]


@lru_cache(maxsize=256)
def _rows_of(sizes: tuple[int, ...]) -> Rows:
    few = np.array(sizes, dtype=np.int64) <= FEW
    kept = np.array(sizes, dtype=np.int64)[few]
    first = np.cumsum(kept) - kept
    coordinate = few.nonzero()[0].repeat(kept)
    choice = np.arange(len(coordinate)) - first.repeat(kept)
    many = tuple((~few).nonzero()[0].tolist())
    return Rows(coordinate, choice[:, np.newaxis], few, first[:, np.newaxis], many)


def categoricals(
    choice: NDArray[np.int64],
    kernels: Floats,
    sizes: NDArray[np.int64],
    distances: Mapping[int, Floats] | None = None,
) -> Categoricals:
    """Kernels at these choices (e, n) for a mixture of that many kernels (e, 1), the prior's included.

    `distances` are those of some coordinates, (C, C), the farthest of a row 1.
    """
    if not len(choice):
        nothing = np.empty((0, 1))
        return Categoricals(choice, np.empty(choice.shape), nothing, nothing, sizes, {})
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
