"""Small changes of a point that was tried before: where every candidate was, one of these is tried instead.

Mutations change few parameters at a time, and walk through grids and choices cell by cell.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from tpeak_server.domain.observations import Floats
from tpeak_server.samplers.layout import Layout, Points

WIDEST, NARROWEST = 0.2, 0.005
"""Bounds of a mutation's standard deviation, a share of the range; drawn evenly on a logarithmic scale."""

CHANGED = 2.0
"""How many coordinates change on average, where there are as many."""


def rows_of_mutation(layout: Layout) -> int:
    """How many uniform numbers one mutation takes."""
    return 2 + 2 * layout.dimensions


def mutated(layout: Layout, parents: Points, uniforms: Floats) -> Points:
    """One mutation (d + e, c) of a parent a column of `uniforms` (2 + 2 (d + e), c); earlier parents more often."""
    chosen = (len(parents) * uniforms[0] ** 2).astype(np.int64)
    sigma = WIDEST * (NARROWEST / WIDEST) ** uniforms[1]
    return changed(layout, parents.take(chosen), sigma, uniforms[2:], share=CHANGED / max(layout.dimensions, 1))


def changed(layout: Layout, points: Points, sigma: Floats | float, uniforms: Floats, *, share: float) -> Points:
    """The points (d + e, c), each changed by a column of `uniforms` (2 (d + e), c).

    A `share` of the coordinates changes on average, one at least. Numeric ones move by a normal step of deviation
    `sigma` (c,), on grids by one cell at least, and are reflected at the ends; another choice is as likely as any. What
    a point lacks is drawn anew.
    """
    d, size = len(layout.axes), layout.dimensions
    fate, change = uniforms[:size], uniforms[size:]
    changes = fate < share
    changes |= fate == fate.min(axis=0, initial=1.0)
    return Points(
        _moved(layout, points.unit, changes[:d], change[:d], sigma),
        _rechosen(layout, points.choice, changes[d:], change[d:]),
    )


def _moved(layout: Layout, unit: Floats, changes: NDArray[np.bool_], change: Floats, sigma: Floats | float) -> Floats:
    missing = np.isnan(unit)
    step = ndtri(np.clip(change, 1e-12, 1.0 - 1e-12)) * sigma
    for axis in range(len(unit)):
        if np.isfinite(layout.axes.grid_size(axis)):
            cell = layout.axes.cells_at(axis, layout.axes.grid_index(axis, np.nan_to_num(unit[axis], nan=0.5)))
            step[axis] = np.copysign(np.maximum(np.abs(step[axis]), cell.size), step[axis])
    moved = np.abs(np.where(changes, unit + step, unit))
    reflected: Floats = np.clip(np.where(moved > 1.0, 2.0 - moved, moved), 0.0, 1.0)
    return np.where(missing, change, reflected)


def _rechosen(
    layout: Layout, choice: NDArray[np.int64], changes: NDArray[np.bool_], change: Floats
) -> NDArray[np.int64]:
    sizes = layout.sizes
    others = (choice + 1 + np.minimum((change * (sizes - 1)).astype(np.int64), sizes - 2)) % sizes
    anything = np.minimum((change * sizes).astype(np.int64), sizes - 1)
    return np.where(choice < 0, anything, np.where(changes, others, choice))
