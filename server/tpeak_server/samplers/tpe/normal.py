"""Numeric coordinates of kernels: normal distributions truncated to the unit interval.

With z = (u - centre) / bandwidth, log density = -z^2 / 2 - log bandwidth - log mass - log sqrt(2 pi). The square is
expanded, so that all pairs of points and kernels are one matrix product: [v^2, v, 1] (c, 3 d) with `factors`
(3 d, kernels), v = u - 1/2. On unit intervals with bandwidths of at least 1/100 this costs at most four digits: of
sixteen in double precision, and of seven in single precision, which is enough to tell which candidates can be the best.

A value on a grid has the mass of its cell instead of a density. Where the cell is small, of size h bandwidths, that
mass is bandwidth h density exp(h^2 (z^2 - 1) / 24), up to terms of h^4: a quadratic in u again. So a linear grid of
small cells is as smooth as a continuous axis. A logarithmic one is smooth if its cells are all so small that even h^2
vanishes; it then has the density per u, which differs from the mass by a factor that all kernels share. Other grids are
coarse: the points in their small cells are part of the matrix product, with more columns, and those in their large
cells, of which there are few, meet tables (`cells.py`). An *exact* family takes no short cut.

| symbol | shape | meaning |
|---|---|---|
| d, s, k | | numeric axes, the smooth ones, the coarse ones |
| c, n | | points, kernels |
| f | | columns of the matrix product: 3 s, and 7 for each coarse axis that has small cells |
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from tpeak_server.domain.observations import Floats
from tpeak_server.samplers.axes import Axes
from tpeak_server.samplers.tpe.bandwidth import PRIOR_CENTRE
from tpeak_server.samplers.tpe.cells import (
    NO_CELL,
    SMALL_CELL,
    LargeCells,
    Table,
    large_cells,
    log_exact_cell_mass,
    table_of,
)

LOG_SQRT_2_PI = 0.5 * math.log(2.0 * math.pi)

OUT_OF_REACH = 8.5
"""Bandwidths beyond which a normal's tail vanishes next to 1 in double precision."""

TINY_CELL = 1e-3
"""A tenth of the smallest bandwidth: below, the terms of h^2 change a log mass by less than 0.01 up to z = 4."""

FEW = 256
"""So many pairs of points and kernels need no table: each mass is computed by itself."""


@dataclass(frozen=True, slots=True)
class Features:
    """Points as the kernels of a space look at them; computed once for all mixtures.

    `unit` (d, c) are their coordinates, `design` (c, f) is what meets `Normals.factors`, and `cell` (k, c) the large
    cell that each lies in on each coarse axis, NO_CELL where it lies in none.
    """

    unit: Floats
    design: Floats
    cell: NDArray[np.intp]

    def take(self, which: NDArray[np.int64] | slice) -> Features:
        """Those of some of the points."""
        return Features(self.unit[:, which], self.design[which], self.cell[:, which])


@dataclass(frozen=True, slots=True)
class Normals:
    """The numeric coordinates of kernels, each (d, n); `factors` is (f, n)."""

    centre: Floats
    bandwidth: Floats
    log_mass: Floats
    factors: Floats
    _single: list[NDArray[np.float32]] = field(default_factory=list, repr=False)
    _tables: dict[int, Table] = field(default_factory=dict, repr=False)
    _limits: list[tuple[Floats, Floats]] = field(default_factory=list, repr=False)

    def joined(self, other: Normals) -> Normals:
        """These kernels followed by the other ones."""
        return Normals(
            np.concatenate([self.centre, other.centre], axis=1),
            np.concatenate([self.bandwidth, other.bandwidth], axis=1),
            np.concatenate([self.log_mass, other.log_mass], axis=1),
            np.concatenate([self.factors, other.factors], axis=1),
        )

    def take(self, which: slice) -> Normals:
        """Some of the kernels."""
        return Normals(self.centre[:, which], self.bandwidth[:, which], self.log_mass[:, which], self.factors[:, which])

    def factors_as(self, dtype: type[np.floating]) -> NDArray[np.floating]:
        """The factors in double or in single precision; converted once."""
        if dtype is np.float64:
            return self.factors
        if not self._single:
            self._single.append(self.factors.astype(np.float32))
        return self._single[0]

    def table(self, axis: int, values: int) -> Table:
        """The masses in the first `values` cells of one coarse axis, as far as anybody has asked for them."""
        if axis not in self._tables:
            self._tables[axis] = table_of(self.centre[axis], self.bandwidth[axis], self.log_mass[axis], values)
        return self._tables[axis]

    def sample(self, kernels: NDArray[np.int64], uniforms: Floats) -> Floats:
        """One coordinate (d, c) from each of the chosen kernels (c,), by inverting the distribution function."""
        if not self._limits:
            self._limits.append((ndtr(-self.centre / self.bandwidth), ndtr((1.0 - self.centre) / self.bandwidth)))
        arrays = (self.centre, self.bandwidth, *self._limits[0])
        centre, bandwidth, low, high = (array.take(kernels, axis=1) for array in arrays)
        unit: Floats = np.minimum(np.maximum(centre + bandwidth * ndtri(low + uniforms * (high - low)), 0.0), 1.0)
        return unit


@dataclass(frozen=True)
class NormalFamily:
    """What the kernels of one space share: which axes are smooth and which are coarse grids."""

    axes: Axes
    smooth: slice | NDArray[np.int64]
    cells: Floats
    """(s, 1): the cell size of smooth axes that are linear grids, else 0."""
    coarse: tuple[int, ...]
    large: LargeCells
    """Of the coarse axes, in order."""
    exact: bool = False

    @cached_property
    def partly_small(self) -> list[int]:
        """The coarse axes that have small cells, too."""
        return [] if self.exact else [axis for axis in self.coarse if self.axes.log[axis]]

    @cached_property
    def _logarithmic(self) -> NDArray[np.bool_]:
        """Which of the coarse axes these are."""
        return self.axes.log[list(self.coarse)]

    def kernels(self, unit: Floats, bandwidth: Floats) -> Normals:
        """Kernels at these coordinates (d, n); a missing one becomes the prior's."""
        centre = np.where(np.isnan(unit), PRIOR_CENTRE, unit)
        log_mass = log_unit_mass(centre, bandwidth)
        return Normals(centre, bandwidth, log_mass, self._factors(centre, bandwidth, log_mass))

    def features(self, unit: Floats) -> Features:
        """The points at these coordinates (d, c), NaN where one is missing."""
        if self.exact:
            return Features(unit, np.empty((unit.shape[1], 0)), np.empty((0, unit.shape[1]), dtype=np.intp))
        points = unit[self.smooth].T - 0.5
        known = ~np.isnan(points)
        filled = np.where(known, points, 0.0)
        columns = [filled * filled, filled, known]
        if not self.coarse:
            return Features(unit, np.concatenate(columns, axis=1), np.empty((0, unit.shape[1]), dtype=np.intp))
        rows = list(self.coarse)
        index = self.axes.grid_indices(rows, unit[rows])
        large = index < self.large.count[:, np.newaxis]
        cell = np.where(large, index, NO_CELL).astype(np.intp)
        if self.partly_small:
            columns.append(self._small_cells(np.where(large, np.nan, index)[self._logarithmic]))
        return Features(unit, np.concatenate(columns, axis=1), cell)

    def log_density(
        self,
        normals: Normals,
        features: Features,
        dtype: type[np.floating] = np.float64,
        part: slice = slice(None),
    ) -> NDArray[np.floating]:
        """The log densities (c, n) of points, summed over the axes; missing coordinates add nothing.

        Of all kernels, or of a part of them.
        """
        if self.exact:
            return self._exact_log_density(normals.take(part), features.unit)
        total: NDArray[np.floating] = features.design.astype(dtype, copy=False) @ normals.factors_as(dtype)[:, part]
        if self.coarse and total.size <= FEW:
            rows = list(self.coarse)
            total += self.large.log_mass(
                features.cell,
                normals.centre[rows, part],
                normals.bandwidth[rows, part],
                normals.log_mass[rows, part],
            )
        elif self.coarse:
            for place, axis in enumerate(self.coarse):
                table = normals.table(axis, int(self.large.count[place]))
                table.add_log_mass(total, features.cell[place], self.large, place, part)
        return total

    def _exact_log_density(self, normals: Normals, unit: Floats) -> Floats:
        total = np.zeros((unit.shape[1], normals.centre.shape[1]))
        for axis in np.arange(len(unit))[self.smooth]:
            z = np.subtract.outer(unit[axis], normals.centre[axis]) / normals.bandwidth[axis]
            scale = np.log(normals.bandwidth[axis]) + normals.log_mass[axis] + LOG_SQRT_2_PI
            total += np.nan_to_num(-0.5 * z * z - scale, nan=0.0)
        for axis in self.coarse:
            known = ~np.isnan(unit[axis])
            cells = self.axes.cells_at(axis, self.axes.grid_index(axis, unit[axis][known]))
            masses = log_exact_cell_mass(cells, normals.centre[axis], normals.bandwidth[axis])
            total[known] += masses - normals.log_mass[axis]
        return total

    def _factors(self, centre: Floats, bandwidth: Floats, log_mass: Floats) -> Floats:
        smooth = _factors_of(centre[self.smooth], bandwidth[self.smooth], log_mass[self.smooth], self.cells)
        partly = self.partly_small
        if not partly:
            return smooth
        return np.concatenate([smooth, _small_factors(centre[partly], bandwidth[partly], log_mass[partly])])

    def _small_cells(self, index: Floats) -> Floats:
        """The columns (c, 7 p) for points in small cells of p logarithmic grids, 0 for others, whose index is NaN.

        With w the cell's middle less 1/2 and h its size, [w^2, w, 1, h^2 w^2, h^2 w, h^2, log h].
        """
        rows = self.partly_small
        small = ~np.isnan(index)
        cells = self.axes.log_cells(rows, np.where(small, index, self.axes.high[rows] - self.axes.low[rows]))
        w, square = cells.left + 0.5 * cells.size - 0.5, cells.size * cells.size
        columns = np.stack([w * w, w, np.ones_like(w), square * w * w, square * w, square, np.log(cells.size)], axis=1)
        columns *= small[:, np.newaxis]
        found: Floats = columns.reshape(-1, columns.shape[-1]).T
        return found


def family_of(axes: Axes, *, exact: bool = False) -> NormalFamily:
    """Sorts the axes into smooth and coarse ones."""
    largest = np.array([axes.largest_cell(axis) for axis in range(len(axes))])
    limit = np.where(axes.log, TINY_CELL, SMALL_CELL)
    small = largest == 0 if exact else largest < limit
    cells = np.where(axes.log, 0.0, largest)[small, np.newaxis]
    coarse = tuple(np.flatnonzero(~small).tolist())
    # A slice takes no copy.
    smooth = slice(None) if small.all() else np.flatnonzero(small)
    return NormalFamily(axes, smooth, cells, coarse, large_cells(axes, () if exact else coarse), exact)


def log_unit_mass(centre: Floats, bandwidth: Floats) -> Floats:
    """The log masses that untruncated normals with centres in 0 .. 1 have there; elementwise."""
    log_mass = np.zeros_like(centre)
    near = np.minimum(centre, 1.0 - centre) < OUT_OF_REACH * bandwidth
    at, width = centre[near], bandwidth[near]
    # No tail to be careful about: the centre lies inside, and with a bandwidth of at most 1 so does 0.34 of the mass.
    log_mass[near] = np.log(ndtr((1.0 - at) / width) - ndtr(-at / width))
    return log_mass


def _factors_of(centre: Floats, bandwidth: Floats, log_mass: Floats, cells: Floats) -> Floats:
    """What [v^2, v, 1] meets, (3 s, n), for kernels (s, n)."""
    centre = centre - 0.5
    factors = np.empty((3, *centre.shape))
    square, linear, constant = factors
    np.divide(-0.5, bandwidth * bandwidth, out=square)
    constant[:] = 0.0
    if cells.any():
        gain = cells * cells * square / 12.0
        square *= 1.0 + 2.0 * gain
        constant += gain + np.log(np.where(cells > 0, cells, 1.0))
    np.multiply(-2.0 * square, centre, out=linear)
    constant += centre * centre * square
    constant -= np.log(bandwidth)
    constant -= log_mass
    constant -= LOG_SQRT_2_PI
    return factors.reshape(3 * centre.shape[0], centre.shape[1])


def _small_factors(centre: Floats, bandwidth: Floats, log_mass: Floats) -> Floats:
    """What the columns of `_small_cells` meet, (7 p, n), for kernels (p, n)."""
    centre = centre - 0.5
    sharpness = 1.0 / (bandwidth * bandwidth)
    gain = sharpness * sharpness / 24.0
    square, linear = -0.5 * sharpness, sharpness * centre
    constant = -0.5 * linear * centre - np.log(bandwidth) - log_mass - LOG_SQRT_2_PI
    squares = [gain, -2.0 * gain * centre, gain * centre * centre - sharpness / 24.0]
    rows = np.stack([square, linear, constant, *squares, np.ones_like(centre)], axis=1)
    return rows.reshape(-1, centre.shape[1])
