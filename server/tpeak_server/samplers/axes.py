"""Numeric parameters seen as unit intervals, so that every kind of range is one case for the samplers.

| symbol | shape | meaning |
|---|---|---|
| d | | numeric parameters |
| x | (d, n) | internal values, in the parameters' own units |
| s | (d, n) | x on its axis's scale: log x if the axis is logarithmic, else x |
| u | (d, n) | ((s - origin) / unit + lead) / cells: 0 .. 1 over the range, NaN where there is no value |
| k | | index of a value on a linear grid, 0 .. cells - 1 |

A discrete range reaches half a step beyond its ends, and each value owns the cell of all u that are nearer to it than
to its neighbours: [k, k + 1] / cells on a linear grid, log(x - 1/2) to log(x + 1/2) for logarithmic integers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tpeak_server.domain.distributions import FloatDistribution, IntDistribution
from tpeak_server.domain.observations import Floats

Numeric: TypeAlias = FloatDistribution | IntDistribution

NARROWEST_LOG = 1e-6
"""A logarithmic range with log(high / low) below this is taken as linear: there the two agree to about this much, and
with large values a float's logarithm no longer tells neighbours apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """The cells of grid values, in u: where the value itself is, the left edge and the size; each (n,)."""

    centre: Floats
    left: Floats
    size: Floats


@dataclass(frozen=True, kw_only=True)
class Axes:
    """d numeric parameters with more than one value each; every array but `log` is (d, 1)."""

    numerics: tuple[Numeric, ...]
    log: NDArray[np.bool_]
    low: Floats
    high: Floats
    origin: Floats
    unit: Floats
    lead: Floats
    cells: Floats

    def __len__(self) -> int:
        return len(self.numerics)

    def units(self, values: Floats) -> Floats:
        """Unit coordinates (d, n) of internal values (d, n); NaN for NaN, infinities and what is out of range."""
        scaled = np.where((values >= self.low) & (values <= self.high), values, np.nan)
        if self.log.any():
            scaled[self.log] = np.log(scaled[self.log])
        return ((scaled - self.origin) / self.unit + self.lead) / self.cells

    def values(self, units: Floats) -> list[list[float]]:
        """The internal values at these u (d, n), by axis."""
        linear = np.minimum(np.maximum(self.origin + units * self.unit, self.low), self.high).tolist()
        return [
            row if numeric.step is None and not log else [self.value(axis, u) for u in units[axis].tolist()]
            for axis, (numeric, row, (log, *_)) in enumerate(zip(self.numerics, linear, self._scales, strict=True))
        ]

    def value(self, axis: int, u: float) -> float:
        """The internal value at u of one axis: in the range and on the grid, whatever the rounding."""
        numeric = self.numerics[axis]
        log, low, high, origin, unit = self._scales[axis]
        if numeric.step is not None and not log:
            return self._grid_value(axis, u)
        value = origin + u * unit
        if log:
            # Rounding may lead beyond log(high), and from there exp() may overflow.
            value = math.exp(min(value, math.log(high)))
        if numeric.step is not None:
            value = float(round(value))
        return min(max(value, low), high)

    @cached_property
    def _scales(self) -> list[tuple[bool, float, float, float, float]]:
        """(log, low, high, origin, unit) of each axis."""
        columns = (self.log, *(column[:, 0] for column in (self.low, self.high, self.origin, self.unit)))
        return list(zip(*(column.tolist() for column in columns), strict=True))

    def snapped(self, units: Floats) -> Floats:
        """Where the values at these u (d, n) are, themselves: on a grid, and as floats, there are not that many."""
        values = self.origin + units * self.unit
        if self.log.any():
            values[self.log] = np.exp(values[self.log])
        snapped = self.units(np.clip(values, self.low, self.high))
        rows = self._discrete
        if len(rows):
            snapped[rows] = self._centres(rows, self.grid_indices(rows, units[rows]))
        return snapped

    def grid_size(self, axis: int) -> float:
        """How many values a discrete axis has; infinite if the parameter is continuous."""
        numeric = self.numerics[axis]
        return math.inf if numeric.step is None else round((numeric.high - numeric.low) / numeric.step) + 1.0

    @cached_property
    def _discrete(self) -> list[int]:
        return [axis for axis, numeric in enumerate(self.numerics) if numeric.step is not None]

    def grid_index(self, axis: int, units: Floats) -> Floats:
        """Which values, counted from the lowest, of one discrete axis hold these u: whole numbers, NaN for NaN."""
        index: Floats = self.grid_indices([axis], units[np.newaxis])[0]
        return index

    def grid_indices(self, rows: Sequence[int], units: Floats) -> Floats:
        """The same (p, n) on p discrete axes."""
        log, count = self.log[rows], self.cells[rows]
        index: Floats = np.clip(np.floor(units * count), 0.0, count - 1)
        if log.any():
            low, high, origin, unit = (column[rows][log] for column in (self.low, self.high, self.origin, self.unit))
            index[log] = np.clip(np.rint(np.exp(origin + units[log] * unit)), low, high) - low
        return index

    def _centres(self, rows: Sequence[int], index: Floats) -> Floats:
        """Where the values with these indices (p, n) on p discrete axes are."""
        log = self.log[rows]
        centres: Floats = (index + 0.5) / self.cells[rows]
        if log.any():
            centres[log] = self.log_cells(np.array(rows)[log], index[log]).centre
        return centres

    def cells_at(self, axis: int, index: Floats) -> Cells:
        """The cells of the values with these indices on one discrete axis."""
        if not self.log[axis]:
            count = self.cells[axis, 0]
            return Cells(centre=(index + 0.5) / count, left=index / count, size=np.full_like(index, 1.0 / count))
        cells = self.log_cells([axis], index[np.newaxis])
        return Cells(centre=cells.centre[0], left=cells.left[0], size=cells.size[0])

    def log_cells(self, rows: Sequence[int] | NDArray[np.int64], index: Floats) -> Cells:
        """The cells of the values with these indices (p, n) on p discrete axes that are logarithmic."""
        origin, unit = self.origin[rows], self.unit[rows]
        x = self.low[rows] + index
        return Cells(
            centre=(np.log(x) - origin) / unit,
            left=(np.log(x - 0.5) - origin) / unit,
            size=np.log1p(1.0 / (x - 0.5)) / unit,
        )

    def largest_cell(self, axis: int) -> float:
        """The size in u of one axis's largest cell; 0 if the parameter is continuous."""
        if self.numerics[axis].step is None:
            return 0.0
        return float(self.cells_at(axis, np.zeros(1)).size[0])

    def _grid_value(self, axis: int, u: float) -> float:
        numeric = self.numerics[axis]
        count = int(self.cells[axis, 0])
        k = min(max(math.floor(u * count), 0), count - 1)
        if isinstance(numeric, IntDistribution):
            # In integers: low + k * step may need more than the 53 bits of a float on its way.
            return float(min(numeric.low + k * numeric.step, numeric.high))
        return min(numeric.low + k * float(numeric.step or 0.0), numeric.high)


def axes_of(numerics: Sequence[Numeric]) -> Axes:
    """The axes of ranges that hold more than one value each."""
    rows = [_row(numeric) for numeric in numerics]
    table = np.array([row[1:] for row in rows], dtype=np.float64).reshape(len(rows), 6)
    low, high, origin, unit, lead, cells = (table[:, [column]] for column in range(6))
    return Axes(
        numerics=tuple(numerics),
        log=np.array([row[0] for row in rows], dtype=bool),
        low=low,
        high=high,
        origin=origin,
        unit=unit,
        lead=lead,
        cells=cells,
    )


def _row(numeric: Numeric) -> tuple[bool, float, float, float, float, float, float]:
    """(log, low, high, origin, unit, lead, cells) of one range."""
    low, high = float(numeric.low), float(numeric.high)
    if numeric.log and math.log(high) - math.log(low) >= NARROWEST_LOG:
        margin = 0.5 if isinstance(numeric, IntDistribution) else 0.0
        origin = math.log(low - margin)
        return True, low, high, origin, math.log(high + margin) - origin, 0.0, 1.0
    if numeric.step is None:
        return False, low, high, low, high - low, 0.0, 1.0
    return False, low, high, low, float(numeric.step), 0.5, round((high - low) / numeric.step) + 1.0
