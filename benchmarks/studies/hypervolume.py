"""The volume that points dominate below a reference point, grown point by point.

| symbol | shape | meaning |
|---|---|---|
| k | | objectives, each to be small |
| boxes | (n, k) | the extents of what each point dominates: reference less values |
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Dominated:
    """What the points added so far dominate; `volume` is exact."""

    def __init__(self, reference: Sequence[float]) -> None:
        self.volume = 0.0
        self._reference = np.array(reference)
        self._boxes = np.empty((0, len(reference)))

    def add(self, values: Sequence[float]) -> None:
        """Adds a point; one that is not below the reference in every objective dominates nothing there."""
        box = self._reference - values
        if not (box > 0.0).all() or (self._boxes >= box).all(axis=1).any():
            return
        self.volume += float(box.prod()) - _union(np.minimum(self._boxes, box))
        kept = self._boxes[(self._boxes > box).any(axis=1)]
        self._boxes = np.vstack([kept, box])


def _union(boxes: Floats) -> float:
    """The volume of the union of boxes that share a corner.

    Ordered by their first extents, the largest first, each box adds a slab of its own first extent: of the other ones,
    what the boxes before it have left (While et al. 2012).
    """
    boxes = _maximal(boxes)
    if boxes.shape[1] == 2:
        lower = np.append(0.0, boxes[:-1, 1])
        return float((boxes[:, 0] * (boxes[:, 1] - lower)).sum())
    volume = 0.0
    for count, (first, *rest) in enumerate(boxes):
        volume += first * (float(np.prod(rest)) - _union(np.minimum(boxes[:count, 1:], rest)))
    return volume


def _maximal(boxes: Floats) -> Floats:
    """The boxes that lie in no other one, each once, the largest first extents first."""
    ordered = boxes[np.lexsort(-boxes.T[::-1])]
    kept: list[int] = []
    for index, box in enumerate(ordered):
        if not (ordered[kept, 1:] >= box[1:]).all(axis=1).any():
            kept.append(index)
    return ordered[kept]
