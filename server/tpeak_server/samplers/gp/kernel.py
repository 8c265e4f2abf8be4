"""How alike the losses at two points are expected to be.

k = signal (1 + sqrt(5 q) + 5 q / 3) exp(-sqrt(5 q)) + trend phi . phi', a Matern kernel of smoothness 5/2 and a linear
one. Each numeric coordinate adds sharpness (u - u')^2 to q, each categorical one its sharpness where the choices differ
(automatic relevance determination); phi are the main effects, a line and a parabola along each numeric coordinate and
one number for each choice. Two points that both lack a coordinate do not differ there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tpeak_server.domain.observations import Floats
from tpeak_server.samplers.layout import Layout, Points

PLACE_OF_MISSING = 0.5
"""Where a point is on a numeric coordinate that it lacks."""

LINE, PARABOLA = math.sqrt(12.0), math.sqrt(180.0)
"""Over 0 .. 1 these times u - 1/2 and (u - 1/2)^2 - 1/12 have variance 1."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """Points as the kernel sees them: `unit` (d, n) without NaN, `choice` (e, n), and the main effects (p, n)."""

    unit: Floats
    choice: NDArray[np.int64]
    effects: Floats

    def __len__(self) -> int:
        return len(self.unit.T)

    def joined(self, other: Inputs) -> Inputs:
        """These followed by the other ones."""
        return Inputs(
            np.concatenate([self.unit, other.unit], axis=1),
            np.concatenate([self.choice, other.choice], axis=1),
            np.concatenate([self.effects, other.effects], axis=1),
        )

    def take(self, which: NDArray[np.int64] | slice) -> Inputs:
        """Some of the points."""
        return Inputs(self.unit[:, which], self.choice[:, which], self.effects[:, which])


@dataclass(frozen=True, slots=True)
class Scales:
    """What a kernel is made of: sharpness (d + e,), and the variances of what is smooth, of the trend and of noise."""

    sharpness: Floats
    signal: float
    trend: float
    noise: float


def inputs_of(layout: Layout, points: Points) -> Inputs:
    """Active points (d + e, n) as inputs."""
    unit = np.where(np.isnan(points.unit), PLACE_OF_MISSING, points.unit)
    middle = unit - 0.5
    hot = [points.choice[row] == np.arange(size)[:, np.newaxis] for row, size in enumerate(layout.sizes[:, 0])]
    effects = np.concatenate([LINE * middle, PARABOLA * (middle * middle - 1.0 / 12.0), *hot])
    return Inputs(unit, points.choice, effects / math.sqrt(max(1, 2 * len(unit) + len(hot))))


def covariance(scales: Scales, one: Inputs, other: Inputs) -> Floats:
    """The k (n, m) of all pairs of two sets of points."""
    found = matern(_squared_distances(scales.sharpness, one, other))
    found *= scales.signal
    found += scales.trend * (one.effects.T @ other.effects)
    return found


def variance(scales: Scales, points: Inputs) -> Floats:
    """The k (n,) of each point with itself."""
    found: Floats = scales.signal + scales.trend * np.einsum("ij,ij->j", points.effects, points.effects)
    return found


def differences(points: Inputs, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Floats:
    """What each coordinate adds to q at sharpness 1 (d + e, p), for p pairs of points."""
    numeric = (points.unit[:, rows] - points.unit[:, columns]) ** 2
    return np.concatenate([numeric, points.choice[:, rows] != points.choice[:, columns]])


def matern(q: Floats) -> Floats:
    """The Matern kernel of each q, of variance 1."""
    r = np.sqrt(5.0 * q)
    found: Floats = 1.0 + r
    found += (5.0 / 3.0) * q
    found *= np.exp(np.negative(r, out=r), out=r)
    return found


def matern_and_slope(q: Floats) -> tuple[Floats, Floats]:
    """The same, and its derivative by q."""
    r = np.sqrt(5.0 * q)
    decay = np.exp(-r)
    r += 1.0
    slope = r * decay
    found: Floats = slope + (5.0 / 3.0) * (q * decay)
    slope *= -5.0 / 6.0
    return found, slope


def _squared_distances(sharpness: Floats, one: Inputs, other: Inputs) -> Floats:
    d = len(one.unit)
    scale = np.sqrt(sharpness[:d, np.newaxis])
    left, right = one.unit * scale, other.unit * scale
    # The square is expanded: all pairs are one matrix product.
    q: Floats = np.add.outer(np.einsum("ij,ij->j", left, left), np.einsum("ij,ij->j", right, right))
    q -= 2.0 * (left.T @ right)
    for weight, mine, theirs in zip(sharpness[d:], one.choice, other.choice, strict=True):
        q += weight * (mine[:, np.newaxis] != theirs)
    np.maximum(q, 0.0, out=q)
    return q
