"""A mixture of product kernels, one per trial over all parameters jointly, and the prior's.

The prior is a kernel that lacks every coordinate: a broad normal or a uniform choice in each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tpeak_server.domain.observations import Floats
from tpeak_server.samplers.layout import MISSING, Layout, Points
from tpeak_server.samplers.tpe.bandwidth import PRIOR_BANDWIDTH, BandwidthRule, Neighbours, fit_bandwidths
from tpeak_server.samplers.tpe.categorical import Categoricals, categoricals
from tpeak_server.samplers.tpe.normal import Features, NormalFamily, Normals
from tpeak_server.samplers.tpe.weights import PRIOR_WEIGHT, weights_by_age

HELD_BY_EXP = 80.0
"""A sum whose logarithm is within this has lost nothing to the ends of single precision's range, beyond 87."""

WHOLE = slice(None)

Precision: TypeAlias = type[np.float64] | type[np.float32]


@dataclass(frozen=True, slots=True)
class Query:
    """Points at which the mixtures of one space are evaluated, prepared once for all."""

    numeric: Features
    choice: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.choice.T)

    @property
    def dimensions(self) -> int:
        """How many coordinates a point has."""
        return len(self.numeric.unit) + len(self.choice)

    def take(self, which: NDArray[np.int64] | slice) -> Query:
        """Some of the points."""
        return Query(self.numeric.take(which), self.choice[:, which])


@dataclass(frozen=True, slots=True)
class Kernels:
    """Weighted product kernels; the weights (kernels,) are relative, their sum is the caller's to divide by."""

    weight: Floats
    normals: Normals
    categoricals: Categoricals
    family: NormalFamily

    def joined(self, other: Kernels) -> Kernels:
        """These kernels followed by other ones of the same mixture."""
        return Kernels(
            np.concatenate([self.weight, other.weight]),
            self.normals.joined(other.normals),
            self.categoricals.joined(other.categoricals),
            self.family,
        )

    def query(self, points: Points) -> Query:
        """The points as every mixture of this space looks at them."""
        return Query(self.family.features(points.unit), points.choice)

    def log_each(self, points: Query, precision: Precision = np.float64, part: slice = WHOLE) -> NDArray[np.floating]:
        """The log density of every kernel, or of some, at every point (c, kernels), without the weights."""
        each = self.family.log_density(self.normals, points.numeric, precision, part)
        if len(points.choice):
            self.categoricals.add_log_density(each, points.choice, part)
        return each

    def log_sum(self, points: Query, precision: Precision = np.float64, part: slice = WHOLE) -> Floats:
        """The log of the weighted sum at every point (c,), over all kernels or some."""
        each = self.log_each(points, precision, part)
        weight = self.weight[part]
        if precision is np.float64:
            return _log_sum_exp(each, weight)
        # Most often exp() can hold them as they are, which saves two walks through a large array.
        with np.errstate(over="ignore", divide="ignore"):
            log_sum: Floats = np.log(np.exp(each, out=each) @ weight.astype(precision)).astype(np.float64)
        lost = np.flatnonzero(~(np.abs(log_sum) < HELD_BY_EXP))
        if len(lost):
            log_sum[lost] = _log_sum_exp(self.log_each(points.take(lost), part=part), weight)
        return log_sum

    def sample(self, uniforms: Floats, given: Points | None = None) -> Points:
        """One point a column of `uniforms` (1 + d + e, c), conditional on one given point's coordinates, if any."""
        d = len(self.normals.centre)
        weight = self.weight
        if given is not None:
            log_density = self.log_each(self.query(given))[0]
            weight = weight * np.exp(log_density - log_density.max())
        cumulative = np.cumsum(weight)
        kernels = np.searchsorted(cumulative, uniforms[0] * cumulative[-1], side="right")
        kernels = np.minimum(kernels, len(cumulative) - 1)
        unit = self.normals.sample(kernels, uniforms[1 : 1 + d])
        choice = self.categoricals.sample(kernels, uniforms[1 + d :])
        return Points(unit, choice) if given is None else Points(unit, choice).where_given(given)


@dataclass(frozen=True, slots=True)
class Mixture:
    """The kernels of finished trials and the prior, and what it takes to place kernels of pending ones beside them."""

    kernels: Kernels
    neighbours: Neighbours
    distances: Mapping[int, Floats]
    """Between the choices of some categorical coordinates; see there."""
    counts: Floats
    """(e, 1): the kernels that have a choice, and the prior's, in units of the prior's weight."""

    def beside(self, points: Points) -> Kernels:
        """Kernels of weight 1 for pending trials.

        Their bandwidths come from the finished trials alone, so none depends on which others are pending, and the
        fitted kernels stay as they are.
        """
        return Kernels(
            np.ones(len(points)),
            self.kernels.family.kernels(points.unit, self.neighbours.bandwidths_around(points.unit)),
            categoricals(points.choice, self.counts, self.kernels.categoricals.sizes, self.distances),
            self.kernels.family,
        )

    def log_density(self, points: Points, beside: Kernels | None = None) -> Floats:
        """The log density (c,) of the whole: fitted kernels, prior and those beside them, normalised.

        Per unit of u on smooth axes; on coarse grids and categoricals it is a probability.
        """
        total = self.kernels.weight.sum()
        query = self.kernels.query(points)
        log_sum = self.kernels.log_sum(query)
        if beside is not None:
            total += beside.weight.sum()
            log_sum = np.logaddexp(log_sum, beside.log_sum(query))
        log_density: Floats = log_sum - np.log(total)
        return log_density


def fit_mixture(
    layout: Layout,
    points: Points,
    family: NormalFamily,
    *,
    weight: Floats | None = None,
    prior_weight: float = PRIOR_WEIGHT,
    rule: BandwidthRule | None = None,
    distances: Mapping[int, Floats] | None = None,
) -> Mixture:
    """The mixture of n finished trials in trial order, with weights (n,) by age unless others are given."""
    bandwidth, neighbours = fit_bandwidths(points.unit, rule)
    unit, bandwidth = _with_column(points.unit, np.nan), _with_column(bandwidth, PRIOR_BANDWIDTH)
    choice = np.append(points.choice, np.full((len(points.choice), 1), MISSING), axis=1)
    counts = (np.count_nonzero(points.choice >= 0, axis=1)[:, np.newaxis] + 1) / prior_weight
    kernels = Kernels(
        np.append(weights_by_age(len(points)) if weight is None else weight, prior_weight),
        family.kernels(unit, bandwidth),
        categoricals(choice, counts, layout.sizes, distances),
        family,
    )
    return Mixture(kernels, neighbours, distances or {}, counts)


def _log_sum_exp(each: NDArray[np.floating], weight: Floats) -> Floats:
    """The log of the weighted sums of exp(each) (c, kernels), which it overwrites."""
    largest = each.max(axis=1)
    each -= largest[:, np.newaxis]
    log_sum: Floats = largest + np.log(np.exp(each, out=each) @ weight)
    return log_sum


def _with_column(rows: Floats, value: float) -> Floats:
    """The rows (d, n) with one more column (d, n + 1), the prior's."""
    return np.append(rows, np.full((len(rows), 1), value), axis=1)
