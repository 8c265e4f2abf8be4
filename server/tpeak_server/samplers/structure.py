"""Which parameters appear together, learned from the trials: a conditional space is a tree, whoever declared it.

A parameter depends on another one, its parent, if it was there for some of the parent's values and never for the other
ones. Where the parent's value says that the parameter is not there, its coordinate says nothing about the point.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tpeak_server.samplers.layout import MISSING, Layout, Points

MOST_CODES = 64
"""A parent has few values: a parameter that depends on a finer one would never be learned."""


@dataclass(frozen=True, slots=True)
class Dependence:
    """The coordinate `child` is there only where the coordinate `parent` has one of the codes that are `active`."""

    child: int
    parent: int
    active: NDArray[np.bool_]


@dataclass(frozen=True)
class Structure:
    """The dependences of a space, parents first. Coordinates are counted numeric ones first."""

    layout: Layout
    dependences: tuple[Dependence, ...]

    @cached_property
    def levels(self) -> tuple[NDArray[np.bool_], ...]:
        """The coordinates (d + e, 1) that others depend on: those at the root, then those of its branches, ..."""
        depth: dict[int, int] = {}
        for dependence in self.dependences:
            depth.setdefault(dependence.parent, 0)
            depth[dependence.child] = depth[dependence.parent] + 1
        parents = {dependence.parent for dependence in self.dependences}
        found = [np.zeros((self.layout.dimensions, 1), dtype=bool) for _ in range(max(depth.values(), default=0))]
        for parent in parents:
            found[depth[parent]][parent] = True
        return tuple(found)

    def active(self, points: Points) -> Points:
        """The points (d + e, c) without the coordinates that are not there."""
        if not self.dependences:
            return points
        unit, choice = points.unit.copy(), points.choice.copy()
        d = len(unit)
        for dependence in self.dependences:
            code = _codes(self.layout, Points(unit, choice), dependence.parent)
            absent = (code < 0) | ~dependence.active[code]
            if dependence.child < d:
                unit[dependence.child, absent] = np.nan
            else:
                choice[dependence.child - d, absent] = MISSING
        return Points(unit, choice)


def learn(layout: Layout, points: Points) -> Structure:
    """The structure of n finished trials (d + e, n)."""
    present = np.concatenate([~np.isnan(points.unit), points.choice >= 0])
    partly = np.flatnonzero(present.any(axis=1) & ~present.all(axis=1))
    if not len(partly):
        return Structure(layout, ())
    parents = {at: _codes(layout, points, at) for at in _possible_parents(layout)}
    found = {}
    for child in partly:
        options = [
            (len(active), parent, active)
            for parent, codes in parents.items()
            if parent != child and (active := _explained(present[child], codes, _size(layout, parent))) is not None
        ]
        if options:
            _, parent, active = min(options, key=lambda option: option[:2])
            found[int(child)] = Dependence(int(child), parent, active)
    return Structure(layout, tuple(_parents_first(found)))


def _explained(present: NDArray[np.bool_], codes: NDArray[np.int64], size: int) -> NDArray[np.bool_] | None:
    """For which codes a parameter is there, if that depends on the code alone and not all codes agree.

    A code that no trial has had is taken to have it.
    """
    known = codes >= 0
    if (present & ~known).any():
        return None
    has = np.bincount(codes[known & present], minlength=size) > 0
    lacks = np.bincount(codes[known & ~present], minlength=size) > 0
    return ~lacks if lacks.any() and has.any() and not (has & lacks).any() else None


def _parents_first(found: dict[int, Dependence]) -> Iterator[Dependence]:
    def depth(child: int) -> int:
        steps = 0
        while child in found and steps <= len(found):
            child, steps = found[child].parent, steps + 1
        return steps

    # Two that explain each other would go round for ever: neither tells anything.
    depths = {child: depth(child) for child in found}
    return (found[child] for child in sorted(found, key=depths.__getitem__) if depths[child] <= len(found))


def _possible_parents(layout: Layout) -> Sequence[int]:
    d = len(layout.axes)
    grids = [axis for axis in range(d) if layout.axes.grid_size(axis) <= MOST_CODES]
    return [*grids, *(d + at for at, size in enumerate(layout.sizes[:, 0]) if size <= MOST_CODES)]


def _size(layout: Layout, coordinate: int) -> int:
    d = len(layout.axes)
    return int(layout.axes.grid_size(coordinate) if coordinate < d else layout.sizes[coordinate - d, 0])


def _codes(layout: Layout, points: Points, coordinate: int) -> NDArray[np.int64]:
    """Which of its values (n,) each point has on a coordinate, negative where none."""
    d = len(points.unit)
    if coordinate >= d:
        chosen: NDArray[np.int64] = points.choice[coordinate - d]
        return chosen
    index = layout.axes.grid_index(coordinate, points.unit[coordinate])
    return np.where(np.isnan(index), MISSING, index).astype(np.int64)
