"""Numeric coordinates of kernels: normal distributions truncated to the unit interval.

With z = (u - centre) / bandwidth, log density = -z^2 / 2 - log bandwidth - log mass - log sqrt(2 pi). The square is
expanded, so that all pairs of points and kernels are one matrix product: [v^2, v, 1] (c, 3 d) with `factors`
(3 d, kernels), v = u - 1/2. On unit intervals with bandwidths of at least 1/100 this costs at most four digits: of
sixteen in double precision, and of seven in single precision, which is enough to tell which candidates can be the best.

A value on a grid has the mass of its cell instead of a density. Where the cell is small, of size h bandwidths, that
mass is bandwidth h density exp(h^2 (z^2 - 1) / 24), up to terms of h^4: a quadratic in u again. So a linear grid of
small cells is as smooth as a continuous axis. A logarithmic one is smooth if its cells are all so small that even h^2
vanishes; it then has the density per u, which differs from the mass by a factor that all kernels share. An *exact*
family takes neither short cut.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, ndtr, ndtri

from tpeak_server.domain.observations import Floats
from tpeak_server.samplers.axes import Axes, Cells
from tpeak_server.samplers.tpe.bandwidth import PRIOR_CENTRE

LOG_SQRT_2_PI = 0.5 * math.log(2.0 * math.pi)

OUT_OF_REACH = 8.5
"""Bandwidths beyond which a normal's tail vanishes next to 1 in double precision."""

SMALL_CELL = 5e-3
"""Half of the smallest bandwidth: below, the terms of h^4 change a log mass by less than 0.01 up to z = 4."""

TINY_CELL = 1e-3
"""A tenth of the smallest bandwidth: below, so do those of h^2."""

MINUTE_CELL = 1e-6
"""Below, the difference of two distribution functions has lost more digits than the middle's density."""

TABLED = 256
"""Grids of up to this many values keep the masses that were asked for."""


@dataclass(frozen=True, slots=True)
class Grid:
    """One coarse axis of kernels: few distinct cells meet few distinct kernels, as trials repeat grid points."""

    centre: Floats
    """(shapes,)"""
    bandwidth: Floats
    """(shapes,)"""
    shape_of: NDArray[np.intp]
    """(kernels,): which shape each kernel has."""
    masses: Floats | None
    """(values, shapes): log masses, rows of NaN where nobody has asked yet; None for a large grid."""


@dataclass(frozen=True, slots=True)
class Normals:
    """The numeric coordinates of kernels, each (d, kernels); `factors` is (3 s, kernels) over the s smooth axes."""

    centre: Floats
    bandwidth: Floats
    log_mass: Floats
    factors: Floats
    _single: list[NDArray[np.float32]] = field(default_factory=list, repr=False)
    _grids: dict[int, Grid] = field(default_factory=dict, repr=False)

    def joined(self, other: Normals) -> Normals:
        """These kernels followed by the other ones."""
        return Normals(
            np.concatenate([self.centre, other.centre], axis=1),
            np.concatenate([self.bandwidth, other.bandwidth], axis=1),
            np.concatenate([self.log_mass, other.log_mass], axis=1),
            np.concatenate([self.factors, other.factors], axis=1),
        )

    def factors_as(self, dtype: type[np.floating]) -> NDArray[np.floating]:
        """The factors in double or in single precision; converted once."""
        if dtype is np.float64:
            return self.factors
        if not self._single:
            self._single.append(self.factors.astype(np.float32))
        return self._single[0]

    def grid(self, axis: int, values: float) -> Grid:
        """The distinct shapes of the kernels on one coarse axis of that many values; found once."""
        if axis not in self._grids:
            pairs, shape_of = np.unique(self.centre[axis] + 1j * self.bandwidth[axis], return_inverse=True)
            masses = np.full((int(values), len(pairs)), np.nan) if values <= TABLED else None
            self._grids[axis] = Grid(pairs.real.copy(), pairs.imag.copy(), shape_of, masses)
        return self._grids[axis]

    def sample(self, kernels: NDArray[np.int64], uniforms: Floats) -> Floats:
        """One coordinate (d, c) from each of the chosen kernels (c,), by inverting the distribution function."""
        centre, bandwidth = self.centre[:, kernels], self.bandwidth[:, kernels]
        low, high = ndtr(-centre / bandwidth), ndtr((1.0 - centre) / bandwidth)
        unit: Floats = np.clip(centre + bandwidth * ndtri(low + uniforms * (high - low)), 0.0, 1.0)
        return unit


@dataclass(frozen=True, slots=True)
class NormalFamily:
    """What the kernels of one space share: which axes are smooth and which are coarse grids."""

    axes: Axes
    smooth: slice | NDArray[np.int64]
    coarse: tuple[int, ...]
    cells: Floats
    """(s, 1): the cell size of smooth axes that are linear grids, else 0."""
    exact: bool = False

    def kernels(self, unit: Floats, bandwidth: Floats) -> Normals:
        """Kernels at these coordinates (d, n); a missing one becomes the prior's."""
        centre = np.where(np.isnan(unit), PRIOR_CENTRE, unit)
        log_mass = log_unit_mass(centre, bandwidth)
        return Normals(centre, bandwidth, log_mass, self._factors(centre, bandwidth, log_mass))

    def log_density(
        self, normals: Normals, unit: Floats, dtype: type[np.floating] = np.float64
    ) -> NDArray[np.floating]:
        """The log densities (c, kernels) of points (d, c), summed over the axes; missing coordinates add nothing."""
        if self.exact:
            total = self._exact_log_density(normals, unit)
        else:
            points = unit[self.smooth].T - 0.5
            known = ~np.isnan(points)
            filled = np.where(known, points, 0.0)
            total = np.concatenate([filled * filled, filled, known], axis=1).astype(dtype) @ normals.factors_as(dtype)
        for axis in self.coarse:
            self._add_log_cell_mass(total, normals, axis, unit[axis])
        return total

    def _exact_log_density(self, normals: Normals, unit: Floats) -> Floats:
        total = np.zeros((unit.shape[1], normals.centre.shape[1]))
        for axis in np.arange(len(unit))[self.smooth]:
            z = np.subtract.outer(unit[axis], normals.centre[axis]) / normals.bandwidth[axis]
            scale = np.log(normals.bandwidth[axis]) + normals.log_mass[axis] + LOG_SQRT_2_PI
            total += np.nan_to_num(-0.5 * z * z - scale, nan=0.0)
        return total

    def _factors(self, centre: Floats, bandwidth: Floats, log_mass: Floats) -> Floats:
        centre, bandwidth, log_mass = centre[self.smooth] - 0.5, bandwidth[self.smooth], log_mass[self.smooth]
        factors = np.empty((3, *centre.shape))
        square, linear, constant = factors
        np.divide(-0.5, bandwidth * bandwidth, out=square)
        constant[:] = 0.0
        if self.cells.any():
            gain = self.cells * self.cells * square / 12.0
            square *= 1.0 + 2.0 * gain
            constant += gain + np.log(np.where(self.cells > 0, self.cells, 1.0))
        np.multiply(-2.0 * square, centre, out=linear)
        constant += centre * centre * square
        constant -= np.log(bandwidth)
        constant -= log_mass
        constant -= LOG_SQRT_2_PI
        return factors.reshape(3 * centre.shape[0], centre.shape[1])

    def _add_log_cell_mass(self, total: NDArray[np.floating], normals: Normals, axis: int, unit: Floats) -> None:
        """Adds the log masses of the cells around the points on one coarse axis, nothing for missing ones."""
        known = ~np.isnan(unit)
        grid = normals.grid(axis, self.axes.grid_size(axis))
        index, cell_of = np.unique(self.axes.grid_index(axis, unit[known]), return_inverse=True)
        masses = self._masses(grid, axis, index).take(grid.shape_of, axis=1)
        masses -= normals.log_mass[axis]
        if known.all():
            total += masses.take(cell_of, axis=0)
        else:
            total[known] += masses.take(cell_of, axis=0)

    def _masses(self, grid: Grid, axis: int, index: Floats) -> Floats:
        """The log masses (cells, shapes) of the values with these indices."""
        if grid.masses is None:
            return log_cell_mass(self.axes.cells_at(axis, index), grid.centre, grid.bandwidth, exact=self.exact)
        rows = index.astype(np.intp)
        new = rows[np.isnan(grid.masses[rows, 0])]
        if len(new):
            cells = self.axes.cells_at(axis, new.astype(np.float64))
            grid.masses[new] = log_cell_mass(cells, grid.centre, grid.bandwidth, exact=self.exact)
        return grid.masses[rows]


def family_of(axes: Axes, *, exact: bool = False) -> NormalFamily:
    """Sorts the axes into smooth and coarse ones."""
    largest = np.array([axes.largest_cell(axis) for axis in range(len(axes))])
    limit = np.where(axes.log, TINY_CELL, SMALL_CELL)
    small = largest == 0 if exact else largest < limit
    cells = np.where(axes.log, 0.0, largest)[small, np.newaxis]
    # A slice takes no copy.
    smooth = slice(None) if small.all() else np.flatnonzero(small)
    return NormalFamily(axes, smooth, tuple(np.flatnonzero(~small).tolist()), cells, exact)


def log_unit_mass(centre: Floats, bandwidth: Floats) -> Floats:
    """The log masses that untruncated normals with centres in 0 .. 1 have there; elementwise."""
    log_mass = np.zeros_like(centre)
    near = np.minimum(centre, 1.0 - centre) < OUT_OF_REACH * bandwidth
    at, width = centre[near], bandwidth[near]
    # No tail to be careful about: the centre lies inside, and with a bandwidth of at most 1 so does 0.34 of the mass.
    log_mass[near] = np.log(ndtr((1.0 - at) / width) - ndtr(-at / width))
    return log_mass


def log_cell_mass(cells: Cells, centre: Floats, bandwidth: Floats, *, exact: bool = False) -> Floats:
    """The log masses (cells, kernels) that untruncated normals have in the cells."""
    masses = np.empty((len(cells.size), len(centre)))
    small = cells.size < (MINUTE_CELL if exact else SMALL_CELL)
    masses[small] = _log_small_cell_mass(cells.left[small], cells.size[small], centre, bandwidth)
    left = (cells.left[~small, np.newaxis] - centre) / bandwidth
    masses[~small] = log_interval_mass(left, left + cells.size[~small, np.newaxis] / bandwidth)
    return masses


def _log_small_cell_mass(left: Floats, size: Floats, centre: Floats, bandwidth: Floats) -> Floats:
    """The same for small cells by their middle's density; in place, for these arrays are large."""
    mass: Floats = np.subtract.outer(left + 0.5 * size, centre)
    mass /= bandwidth
    mass *= mass
    gain = np.multiply.outer(size * size, 1.0 / (24.0 * bandwidth * bandwidth))
    mass *= gain - 0.5
    mass -= gain
    mass += np.log(size)[:, np.newaxis]
    mass -= np.log(bandwidth) + LOG_SQRT_2_PI
    return mass


def log_interval_mass(left: Floats, right: Floats) -> Floats:
    """log(Phi(right) - Phi(left)), precise in both tails; elementwise, left < right."""
    # In the right tail Phi is 1 minus something small: there mirror the interval.
    mirrored = left + right > 0
    low, high = np.where(mirrored, -right, left), np.where(mirrored, -left, right)
    log_high = log_ndtr(high)
    result: Floats = log_high + np.log1p(-np.exp(log_ndtr(low) - log_high))
    return result
