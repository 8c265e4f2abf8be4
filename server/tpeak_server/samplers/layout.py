"""A search space as coordinates: numeric parameters on unit intervals, categorical ones as indices.

| symbol | shape | meaning |
|---|---|---|
| n | | points |
| d, e | | numeric and categorical parameters that have more than one value |
| unit | (d, n) | numeric coordinates in 0 .. 1, NaN where a point lacks the parameter |
| choice | (e, n) | indices of choices, -1 where a point lacks the parameter |

The order of names is alphabetical, so that the order in which a study met its parameters changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tpeak_server.domain.distributions import CategoricalDistribution, Space
from tpeak_server.domain.observations import Floats
from tpeak_server.samplers.axes import Axes, axes_of

MISSING = -1


@dataclass(frozen=True, slots=True)
class Points:
    """n points of a space, as coordinates."""

    unit: Floats
    choice: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.unit.T)

    def take(self, which: NDArray[np.int64] | slice) -> Points:
        """The points at these indices."""
        return Points(self.unit[:, which], self.choice[:, which])

    def joined(self, *others: Points) -> Points:
        """These points followed by the other ones."""
        return Points(
            np.concatenate([self.unit, *(other.unit for other in others)], axis=1),
            np.concatenate([self.choice, *(other.choice for other in others)], axis=1),
        )

    def where_given(self, given: Points) -> Points:
        """These points, with the coordinates that the one given point has in place of theirs."""
        return Points(
            np.where(np.isnan(given.unit), self.unit, given.unit),
            np.where(given.choice < 0, self.choice, given.choice),
        )

    @property
    def known(self) -> NDArray[np.bool_]:
        """What the points have (d + e, n)."""
        return np.concatenate([~np.isnan(self.unit), self.choice >= 0])

    def only(self, coordinates: NDArray[np.bool_]) -> Points:
        """The points with these coordinates (d + e, n or 1) alone."""
        d = len(self.unit)
        return Points(np.where(coordinates[:d], self.unit, np.nan), np.where(coordinates[d:], self.choice, MISSING))

    @property
    def complete(self) -> NDArray[np.bool_]:
        """Which points (n,) lack nothing."""
        lacking = np.count_nonzero(np.isnan(self.unit), axis=0) + np.count_nonzero(self.choice < 0, axis=0)
        whole: NDArray[np.bool_] = np.equal(lacking, 0)
        return whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Which coordinate is which parameter. `singles` are the parameters with one value only: they have none."""

    axes: Axes
    numeric_names: tuple[str, ...]
    categorical_names: tuple[str, ...]
    sizes: NDArray[np.int64]
    """(e, 1): how many choices each categorical has."""
    singles: Mapping[str, float]

    @property
    def dimensions(self) -> int:
        """How many coordinates a point has."""
        return len(self.numeric_names) + len(self.categorical_names)

    def points(self, columns: Mapping[str, Floats], count: int) -> Points:
        """The coordinates of `count` points from internal values by name; what is no value of the range is missing."""
        return self.points_of_rows(self.rows(columns, count))

    def rows(self, columns: Mapping[str, Floats], count: int) -> Floats:
        """Internal values by name as rows (d + e, count), NaN for a name that is not there."""
        names = [*self.numeric_names, *self.categorical_names]
        rows = np.full((len(names), count), np.nan)
        for row, name in zip(rows, names, strict=True):
            if name in columns:
                row[:] = columns[name]
        return rows

    def points_of_rows(self, rows: Floats) -> Points:
        """The coordinates of points from internal values (d + e, n)."""
        d = len(self.numeric_names)
        return self._points(rows[:d], rows[d:])

    def point(self, values: Mapping[str, float]) -> Points:
        """The coordinates of one point; the names that `values` lacks are missing."""
        names = [*self.numeric_names, *self.categorical_names]
        return self.points_of_rows(np.array([values.get(name, np.nan) for name in names])[:, np.newaxis])

    def snapped(self, points: Points) -> Points:
        """The points, moved to the places of the values that they stand for."""
        return Points(self.axes.snapped(points.unit), points.choice)

    def uniform(self, fractions: Floats) -> Points:
        """The one point at these fractions of its ranges, (d + e,) in [0, 1): numeric coordinates first."""
        d = len(self.axes)
        return Points(
            unit=fractions[:d, np.newaxis],
            choice=(fractions[d:, np.newaxis] * self.sizes).astype(np.int64),
        )

    def values(self, point: Points) -> dict[str, float]:
        """One point's internal values by name, the singles included; in range and on the grid."""
        (values,) = self.all_values(point)
        return values

    def all_values(self, points: Points) -> list[dict[str, float]]:
        """The points' internal values by name, each as `values` has them."""
        numeric = zip(*self.axes.values(points.unit), strict=True) if len(self.axes) else [()] * len(points)
        return [
            {
                **self.singles,
                **dict(zip(self.numeric_names, row, strict=True)),
                **dict(zip(self.categorical_names, choice, strict=True)),
            }
            for row, choice in zip(numeric, points.choice.T.astype(np.float64).tolist(), strict=True)
        ]

    def _points(self, numeric: Floats, index: Floats) -> Points:
        return Points(
            unit=self.axes.units(numeric),
            choice=np.where((index >= 0) & (index < self.sizes), index, MISSING).astype(np.int64),
        )


def layout_of(space: Space) -> Layout:
    """The layout of a space; an empty space has no coordinates."""
    numeric, categorical, singles = {}, {}, {}
    for name, distribution in sorted(space.items()):
        if isinstance(distribution, CategoricalDistribution):
            if distribution.single:
                singles[name] = 0.0
            else:
                categorical[name] = len(distribution.choices)
        elif distribution.single:
            singles[name] = float(distribution.low)
        else:
            numeric[name] = distribution
    return Layout(
        axes=axes_of(tuple(numeric.values())),
        numeric_names=tuple(numeric),
        categorical_names=tuple(categorical),
        sizes=np.array(list(categorical.values()), dtype=np.int64).reshape(-1, 1),
        singles=singles,
    )
