"""Which points of a space lie nearest to one of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tpeak_server.domain.distributions import Space
from tpeak_server.domain.observations import Floats
from tpeak_server.samplers.layout import layout_of


def distances(space: Space, columns: Mapping[str, Floats], count: int, values: Mapping[str, float]) -> Floats:
    """The distance (count,) of each point in `columns` from the one at `values`, all of them internal.

    Euclidean over unit coordinates; other choices are 1 apart, and so is what one of the two lacks.
    """
    layout = layout_of(space)
    points, point = layout.points(columns, count), layout.point(values)
    apart = np.nan_to_num(points.unit - point.unit, nan=1.0)
    other: NDArray[np.bool_] = (points.choice != point.choice) | (points.choice < 0)
    found: Floats = np.sqrt(np.sum(apart**2, axis=0) + np.sum(other, axis=0))
    return found
