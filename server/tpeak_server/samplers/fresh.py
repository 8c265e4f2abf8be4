"""Points of a discrete space that nobody has tried, for samplers that would draw the same one twice."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from tpeak_server.domain.distributions import Space
from tpeak_server.domain.observations import Floats, Suggestion, View
from tpeak_server.domain.trial import TrialState
from tpeak_server.samplers.layout import layout_of
from tpeak_server.samplers.seam import Stream
from tpeak_server.samplers.tree import Tree, Values

Draw: TypeAlias = Callable[[Mapping[str, Floats], Sequence[Stream]], list[Suggestion]]
"""A sampler's own suggestions, given what is pending."""

DRAWS = 64
"""How many points are drawn before the tree is asked for one."""


class Fresh:
    """Replaces points that were tried; safe for threads.

    A point was tried if a trial has gone its way to the end, whatever it ended as, or if one under way has the same
    values. The space is exhausted when nothing is left of the tree that ended trials have shown. With `deduplicate`
    false nothing is replaced, nor where the view does not know what was tried.
    """

    def __init__(self, *, deduplicate: bool = True) -> None:
        self._deduplicate = deduplicate
        self._lock = threading.Lock()
        self._tree = Tree()

    def suggest(
        self,
        view: View,
        space: Space,
        pending: Mapping[str, Floats],
        streams: Sequence[Stream],
        given: Mapping[str, float],
        draw: Draw,
    ) -> list[Suggestion]:
        """What is drawn, with points that were tried replaced; fewer where nothing is left, or where the rest is with
        trials under way.
        """
        tries = view.tried
        if not self._deduplicate or tries is None or any(stream.parameter for stream in streams):
            return draw(pending, streams)
        found: list[Suggestion] = []
        drawn: list[Suggestion] = []
        waiting = [tries.known(one) for one in tries.trials.values() if one.state is TrialState.WAITING]
        for at, stream in enumerate(streams):
            if not drawn:
                drawn = draw(pending, streams[at:])
            own = drawn.pop(0)
            with self._lock:
                self._tree.update(tries)
                values = _Look(self._tree, space, pending, waiting, given).fresh(own.values, stream)
            if values is None:
                return found
            if values is not own.values:
                drawn = []  # they were drawn in sight of the one that is replaced
            found.append(replace(own, values=values))
            pending = {
                name: np.append(column, values.get(name, given.get(name, np.nan))) for name, column in pending.items()
            }
        return found


@dataclass(frozen=True, slots=True)
class _Look:
    """One look for a point: `given` is part of it, what is `pending` or `waiting` is not to be tried again."""

    tree: Tree
    space: Space
    pending: Mapping[str, Floats]
    waiting: Sequence[Values]
    given: Mapping[str, float]

    def fresh(self, values: Mapping[str, float], stream: Stream) -> Mapping[str, float] | None:
        """The values, or others if these were tried; None where there are none."""
        held = {name: self.space[name].to_external(value) for name, value in self.given.items()}
        # A trial that showed no parameter at all says nothing of the space.
        if self.tree.root.name is not None and not self.tree.left(held):
            return None
        if not self._tried(values):
            return values
        layout, generator = layout_of(self.space), stream("fresh")
        for _ in range(DRAWS):
            drawn = layout.values(layout.uniform(generator.random(layout.dimensions)))
            values = {name: value for name, value in drawn.items() if name not in self.given}
            if not self._tried(values):
                return values
        with self.tree.beside([*self._under_way(), *self.waiting]):
            way = self.tree.walk(generator, held)
        if way is None:
            return None
        found = {name: value for name, _, value in way if name in values}
        return {**values, **found}

    def _tried(self, values: Mapping[str, float]) -> bool:
        point = {name: (self.space[name], value) for name, value in {**self.given, **values}.items()}
        node = self.tree.at(point)
        if self.tree.root.name is not None and node is not None and self.tree.is_leaf(node):
            return True
        equal = [self.pending[name] == value for name, (_, value) in point.items()]
        if equal and bool(np.logical_and.reduce(equal).any()):
            return True
        return any(all(one.get(name) == point[name] for name in point) for one in self.waiting)

    def _under_way(self) -> Iterator[Values]:
        for row in range(max((len(column) for column in self.pending.values()), default=0)):
            yield {
                name: (self.space[name], float(column[row]))
                for name, column in self.pending.items()
                if not np.isnan(column[row])
            }
