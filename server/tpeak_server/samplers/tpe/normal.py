"""Numeric coordinates of kernels: normal distributions truncated to the unit interval.

With z = (u - centre) / bandwidth, log density = -z^2 / 2 - log bandwidth - log mass - log sqrt(2 pi). The square is
expanded, so that all pairs of points and kernels are one matrix product: [u^2, u, 1] (c, 3 d) with `factors`
(3 d, kernels). On unit intervals with bandwidths of at least 1/100 this costs at most four of sixteen digits.

A value on a grid has the mass of its cell instead of a density. Where the cell is small, of size h bandwidths, that
mass is bandwidth h density exp(h^2 (z^2 - 1) / 24), up to terms of h^4: a quadratic in u again. So a linear grid of
small cells is as smooth as a continuous axis. A logarithmic one is smooth if its cells are all so small that even h^2
vanishes; it then has the density per u, which differs from the mass by a factor that all kernels share.
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


@dataclass(frozen=True, slots=True)
class Normals:
    """The numeric coordinates of kernels, each (d, kernels); `factors` is (3 s, kernels) over the s smooth axes."""

    centre: Floats
    bandwidth: Floats
    log_mass: Floats
    factors: Floats
    _shapes: dict[int, tuple[NDArray[np.complex128], NDArray[np.intp]]] = field(default_factory=dict, repr=False)

    def joined(self, other: Normals) -> Normals:
        """These kernels followed by the other ones."""
        return Normals(
            np.concatenate([self.centre, other.centre], axis=1),
            np.concatenate([self.bandwidth, other.bandwidth], axis=1),
            np.concatenate([self.log_mass, other.log_mass], axis=1),
            np.concatenate([self.factors, other.factors], axis=1),
        )

    def shapes(self, axis: int) -> tuple[NDArray[np.complex128], NDArray[np.intp]]:
        """The distinct (centre + i bandwidth) on one axis, and which of them each kernel has; found once."""
        if axis not in self._shapes:
            pairs = self.centre[axis] + 1j * self.bandwidth[axis]
            self._shapes[axis] = np.unique(pairs, return_inverse=True)
        return self._shapes[axis]

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

    def kernels(self, unit: Floats, bandwidth: Floats) -> Normals:
        """Kernels at these coordinates (d, n); a missing one becomes the prior's."""
        centre = np.where(np.isnan(unit), PRIOR_CENTRE, unit)
        log_mass = log_unit_mass(centre, bandwidth)
        return Normals(centre, bandwidth, log_mass, self._factors(centre, bandwidth, log_mass))

    def log_density(self, normals: Normals, unit: Floats) -> Floats:
        """The log densities (c, kernels) of points (d, c), summed over the axes; missing coordinates add nothing."""
        points = unit[self.smooth].T
        known = ~np.isnan(points)
        filled = np.where(known, points, 0.0)
        total: Floats = np.concatenate([filled * filled, filled, known], axis=1) @ normals.factors
        for axis in self.coarse:
            total += self._log_cell_mass(normals, axis, unit[axis])
        return total

    def _factors(self, centre: Floats, bandwidth: Floats, log_mass: Floats) -> Floats:
        centre, bandwidth, log_mass = centre[self.smooth], bandwidth[self.smooth], log_mass[self.smooth]
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

    def _log_cell_mass(self, normals: Normals, axis: int, unit: Floats) -> Floats:
        """The log masses (c, kernels) of the cells around the points on one coarse axis, 0 for missing ones."""
        known = ~np.isnan(unit)
        cells = self.axes.grid_cells(axis, unit[known])
        # Few distinct cells meet few distinct kernels: 24 candidates, and trials that repeat grid points.
        _, first, cell_of = np.unique(cells.centre, return_index=True, return_inverse=True)
        distinct = Cells(centre=cells.centre[first], left=cells.left[first], size=cells.size[first])
        shapes, kernel_of = normals.shapes(axis)
        masses = log_cell_mass(distinct, shapes.real, shapes.imag).take(kernel_of, axis=1) - normals.log_mass[axis]
        total: Floats = masses.take(cell_of, axis=0)
        if known.all():
            return total
        everywhere = np.zeros((len(unit), len(kernel_of)))
        everywhere[known] = total
        return everywhere


def family_of(axes: Axes) -> NormalFamily:
    """Sorts the axes into smooth and coarse ones."""
    largest = np.array([axes.largest_cell(axis) for axis in range(len(axes))])
    small = largest < np.where(axes.log, TINY_CELL, SMALL_CELL)
    cells = np.where(axes.log, 0.0, largest)[small, np.newaxis]
    # A slice takes no copy.
    smooth = slice(None) if small.all() else np.flatnonzero(small)
    return NormalFamily(axes, smooth, tuple(np.flatnonzero(~small).tolist()), cells)


def log_unit_mass(centre: Floats, bandwidth: Floats) -> Floats:
    """The log masses that untruncated normals with centres in 0 .. 1 have there; elementwise."""
    log_mass = np.zeros_like(centre)
    near = np.minimum(centre, 1.0 - centre) < OUT_OF_REACH * bandwidth
    at, width = centre[near], bandwidth[near]
    # No tail to be careful about: the centre lies inside, and with a bandwidth of at most 1 so does 0.34 of the mass.
    log_mass[near] = np.log(ndtr((1.0 - at) / width) - ndtr(-at / width))
    return log_mass


def log_cell_mass(cells: Cells, centre: Floats, bandwidth: Floats) -> Floats:
    """The log masses (cells, kernels) that untruncated normals have in the cells."""
    masses = np.empty((len(cells.size), len(centre)))
    small = cells.size < SMALL_CELL
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
