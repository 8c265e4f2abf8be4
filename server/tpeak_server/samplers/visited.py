"""Which points of a discrete space are finished or under way: none needs to be tried twice."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tpeak_server.samplers.layout import Layout, Points

MOST_POINTS = 2**62
"""Larger spaces would need more than one integer a point; in these nothing is met twice by chance."""


@dataclass(frozen=True, slots=True)
class Visited:
    """The points that were met, as ascending integers; `strides` (d + e,) is what a step on each coordinate counts."""

    layout: Layout
    strides: NDArray[np.int64]
    met: NDArray[np.int64]

    def identities(self, points: Points) -> NDArray[np.int64]:
        """One integer (n,) a point: equal for equal ones. A coordinate that a point lacks is a value of its own."""
        rows = [
            np.nan_to_num(self.layout.axes.grid_index(axis, row) + 1.0, nan=0.0).astype(np.int64)
            for axis, row in enumerate(points.unit)
        ]
        rows += list(points.choice + 1)
        total = np.zeros(len(points), dtype=np.int64)
        for stride, row in zip(self.strides, rows, strict=True):
            total += stride * row
        return total

    def with_points(self, points: Points) -> Visited:
        """These points and more."""
        more = np.sort(self.identities(points))
        return Visited(self.layout, self.strides, np.insert(self.met, self.met.searchsorted(more), more))

    def has(self, points: Points) -> NDArray[np.bool_]:
        """Which of the points (n,) were met."""
        identities = self.identities(points)
        at = self.met.searchsorted(identities)
        found: NDArray[np.bool_] = np.append(self.met, -1)[at] == identities
        return found


def visited(layout: Layout, points: Points) -> Visited | None:
    """What these points leave to be tried; None for a space that is not discrete, or too large for repetitions."""
    sizes = [layout.axes.grid_size(axis) + 1.0 for axis in range(len(layout.axes))]
    sizes += [float(size) + 1.0 for size in layout.sizes[:, 0]]
    if not math.prod(sizes) < MOST_POINTS:
        return None
    strides = np.cumprod([1, *(int(size) for size in sizes)], dtype=np.int64)[:-1]
    return Visited(layout, strides, np.empty(0, dtype=np.int64)).with_points(points)
