"""The masses that normal kernels have in the cells of coarse grids.

A grid has at most 1 / SMALL_CELL large cells. Few distinct ones meet few distinct kernels, as trials repeat grid
points: where there are many kernels, masses are kept in tables.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, ndtr

from tpeak_server.domain.observations import Floats
from tpeak_server.samplers.axes import Axes, Cells

SMALL_CELL = 5e-3
"""Half of the smallest bandwidth: below, the terms of h^4 change a log mass by less than 0.01 up to z = 4."""

MINUTE_CELL = 1e-6
"""Below, the difference of two distribution functions has lost more digits than the middle's density."""

NO_CELL = -1

LEAST_MASS = 1e-300
"""Stands for every smaller mass, far in a tail: next to the prior's mass in the same cell there it is nothing."""


@dataclass(frozen=True, slots=True)
class LargeCells:
    """The large cells of k coarse axes, from the lowest value on: `count` (k,) of them, `left` and `size` (k, most)."""

    count: NDArray[np.intp]
    left: Floats
    size: Floats

    def log_mass(self, cell: NDArray[np.intp], centre: Floats, bandwidth: Floats, log_mass: Floats) -> Floats:
        """The log masses (c, n) of truncated kernels (k, n) in the cells (k, c), summed over the axes."""
        axes = np.arange(len(cell))[:, np.newaxis]
        inverse = 1.0 / bandwidth[:, np.newaxis]
        left = (self.left[axes, cell][:, :, np.newaxis] - centre[:, np.newaxis]) * inverse
        masses = _log_mass(left, self.size[axes, cell][:, :, np.newaxis] * inverse)
        masses -= log_mass[:, np.newaxis]
        masses[cell == NO_CELL] = 0.0
        total: Floats = masses.sum(axis=0)
        return total


def large_cells(axes: Axes, coarse: Sequence[int]) -> LargeCells:
    """The large cells of the coarse axes; cells become smaller along an axis, or all are of one size."""
    found = []
    for axis in coarse:
        most = int(min(axes.grid_size(axis), math.ceil(1.0 / SMALL_CELL)))
        cells = axes.cells_at(axis, np.arange(most, dtype=np.float64))
        found.append((cells, int(np.count_nonzero(cells.size >= SMALL_CELL))))
    most = max([1, *(count for _, count in found)])
    left, size = np.zeros((len(found), most)), np.ones((len(found), most))
    for row, (cells, count) in enumerate(found):
        left[row, :count], size[row, :count] = cells.left[:count], cells.size[:count]
    return LargeCells(np.array([count for _, count in found], dtype=np.intp), left, size)


@dataclass(frozen=True, slots=True)
class Table:
    """The log masses of many kernels in the large cells of one axis."""

    centre: Floats
    """(shapes,)"""
    bandwidth: Floats
    """(shapes,)"""
    log_mass: Floats
    """(shapes,)"""
    shape_of: NDArray[np.intp]
    """(n,): which shape each kernel has."""
    masses: Floats
    """(cells + 1, shapes), of the `known` cells; the last row is NO_CELL's, of zeros."""
    known: NDArray[np.bool_]
    """(cells + 1,)"""

    def add_log_mass(
        self, total: NDArray[np.floating], cell: NDArray[np.intp], large: LargeCells, place: int, part: slice
    ) -> None:
        """Adds the masses that a part of the kernels have in these cells (c,) to (c, n), nothing for NO_CELL."""
        self._fill(cell, large, place)
        total += self.masses[cell].astype(total.dtype, copy=False).take(self.shape_of[part], axis=1)

    def _fill(self, cell: NDArray[np.intp], large: LargeCells, place: int) -> None:
        if not self.known[cell].all():
            new = np.unique(cell[~self.known[cell]])
            inverse = 1.0 / self.bandwidth
            left = np.subtract.outer(large.left[place, new], self.centre) * inverse
            masses = _log_mass(left, np.multiply.outer(large.size[place, new], inverse))
            masses -= self.log_mass
            self.masses[new] = masses
            # Not before: another thread may look.
            self.known[new] = True


def table_of(centre: Floats, bandwidth: Floats, log_mass: Floats, cells: int) -> Table:
    """An empty table for kernels (n,) on one axis."""
    _, first, shape_of = np.unique(centre + 1j * bandwidth, return_index=True, return_inverse=True)
    masses = np.zeros((cells + 1, len(first)))
    known = np.zeros(len(masses), dtype=bool)
    known[NO_CELL] = True
    return Table(centre[first], bandwidth[first], log_mass[first], shape_of, masses, known)


def _log_mass(left: Floats, size: Floats) -> Floats:
    """log(Phi(left + size) - Phi(left)), in place of `left`; elementwise."""
    right = ndtr(left + size)
    right -= ndtr(left, out=left)
    np.maximum(right, LEAST_MASS, out=right)
    masses: Floats = np.log(right, out=right)
    return masses


def log_exact_cell_mass(cells: Cells, centre: Floats, bandwidth: Floats) -> Floats:
    """The log masses (c, n) that untruncated normals (n,) have in the cells (c,), to the last digits."""
    masses = np.empty((len(cells.size), len(centre)))
    minute = cells.size < MINUTE_CELL
    middle = (cells.left + 0.5 * cells.size)[minute]
    z = np.subtract.outer(middle, centre) / bandwidth
    gain = np.multiply.outer(cells.size[minute] ** 2, 1.0 / (24.0 * bandwidth * bandwidth))
    scale = np.log(bandwidth) + 0.5 * math.log(2.0 * math.pi)
    masses[minute] = z * z * (gain - 0.5) - gain + np.log(cells.size[minute])[:, np.newaxis] - scale
    left = (cells.left[~minute, np.newaxis] - centre) / bandwidth
    masses[~minute] = log_interval_mass(left, left + cells.size[~minute, np.newaxis] / bandwidth)
    return masses


def log_interval_mass(left: Floats, right: Floats) -> Floats:
    """log(Phi(right) - Phi(left)), precise in both tails; elementwise, left < right."""
    # In the right tail Phi is 1 minus something small: there mirror the interval.
    mirrored = left + right > 0
    low, high = np.where(mirrored, -right, left), np.where(mirrored, -left, right)
    log_high = log_ndtr(high)
    result: Floats = log_high + np.log1p(-np.exp(log_ndtr(low) - log_high))
    return result
