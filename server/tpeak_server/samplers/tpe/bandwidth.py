"""How broad a numeric kernel is: as the gaps between the trials that it stands among."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tpeak_server.domain.observations import Floats

PRIOR_CENTRE = 0.5
PRIOR_BANDWIDTH = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BandwidthRule:
    """What bounds a bandwidth.

    It is at least 1 / (n + 2) ** `exponent`, down to `least` of the range (Watanabe, section 3.3), with n the trials
    that have the coordinate, or with `overall` all trials: so kernels on a rare branch can be as narrow as others.
    `clip=False` bounds it by 1e-12 only. With `endpoints` the ends of the range are neighbours, too.
    """

    least: float = 0.01
    exponent: float = 1.0
    overall: bool = False
    clip: bool = True
    endpoints: bool = False

    def smallest(self, count: NDArray[np.int64], trials: int) -> Floats:
        """The smallest bandwidth allowed (d, 1) where so many of the trials (d, 1) have the coordinate."""
        if self.overall:
            count = np.full_like(count, trials)
        if not self.clip:
            return np.full(count.shape, 1e-12)
        smallest: Floats = np.maximum(self.least, (count + 2.0) ** -self.exponent)
        return smallest


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The sorted coordinates of the finished trials of a mixture: they give every kernel its bandwidth.

    `fenced` is (d, n + 2): ascending, NaN before and after.
    """

    fenced: Floats
    smallest: Floats
    """(d, 1): the smallest bandwidth allowed."""

    def joined(self, other: Neighbours) -> Neighbours:
        """These and the other ones, within these bounds."""
        inner = np.concatenate([self.fenced[:, 1:-1], other.fenced[:, 1:-1]], axis=1)
        inner = np.sort(np.where(np.isnan(inner), np.inf, inner), axis=1)
        fence = np.full((len(inner), 1), np.nan)
        return Neighbours(
            np.concatenate([fence, np.where(np.isinf(inner), np.nan, inner), fence], axis=1), self.smallest
        )

    def bandwidths_around(self, unit: Floats) -> Floats:
        """The bandwidths (d, m) of kernels for points that are not among the neighbours themselves."""
        before = np.empty(unit.shape, dtype=np.int64)
        for axis, (sorted_row, row) in enumerate(zip(self.fenced[:, 1:], unit, strict=True)):
            before[axis] = sorted_row.searchsorted(row)
        axes = np.arange(len(unit))[:, np.newaxis]
        left, right = unit - self.fenced[axes, before], self.fenced[axes, before + 1] - unit
        return _bandwidths(unit, np.fmax(left, right), self.smallest)


def fit_bandwidths(unit: Floats, rule: BandwidthRule | None = None) -> tuple[Floats, Neighbours]:
    """The bandwidths (d, n) of kernels at these coordinates, and the neighbours that they come from.

    A bandwidth is the larger gap to a sorted neighbour (at the ends the inner gap), within the rule's bounds and 1; a
    missing coordinate has the prior's.
    """
    rule = rule or BandwidthRule()
    # A row with NaN is several times slower to sort.
    order = np.argsort(np.where(np.isnan(unit), np.inf, unit), axis=1)
    fence = np.full((len(unit), 1), np.nan)
    fenced = np.concatenate([fence, np.take_along_axis(unit, order, axis=1), fence], axis=1)
    count = np.count_nonzero(~np.isnan(unit), axis=1)[:, np.newaxis]
    neighbours = Neighbours(fenced, rule.smallest(count, unit.shape[1]))
    gaps = np.diff(fenced, axis=1)
    larger = np.empty_like(unit)
    np.put_along_axis(larger, order, np.fmax(gaps[:, :-1], gaps[:, 1:]), axis=1)
    if rule.endpoints:
        _reach_for_the_ends(unit, larger, order, count)
    return _bandwidths(unit, larger, neighbours.smallest), neighbours


def _reach_for_the_ends(unit: Floats, larger: Floats, order: NDArray[np.int64], count: NDArray[np.int64]) -> None:
    """The first and the last of each row have a neighbour at the end of the range."""
    for row, gaps, places, known in zip(unit, larger, order, count[:, 0], strict=True):
        if known:
            first, last = places[0], places[known - 1]
            gaps[first] = np.fmax(gaps[first], row[first])
            gaps[last] = np.fmax(gaps[last], 1.0 - row[last])


def _bandwidths(unit: Floats, gap: Floats, smallest: Floats) -> Floats:
    """Gaps clipped; where there is no neighbour the distance to the farther end; the prior's where u is missing."""
    lonely = np.maximum(unit, 1.0 - unit)
    clipped = np.minimum(np.maximum(np.where(np.isnan(gap), lonely, gap), smallest), 1.0)
    return np.where(np.isnan(clipped), PRIOR_BANDWIDTH, clipped)
