"""What trials have shown of a define-by-run space: a tree whose nodes are parameters, whose branches are their values.

A node is *open* where no trial has shown what comes next. A trial that ends at an open node makes it a leaf: nothing
comes next there. What is left of a node is how many of its leaves and open nodes nobody has, or has had: no guess, as
every further node can only be found below an open one. Where trials contradict each other the latest is right, and what
does not agree with it is on no branch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np

from tpeak_server.domain.distributions import Distribution
from tpeak_server.domain.observations import Tried, Tries
from tpeak_server.domain.trial import TrialState
from tpeak_server.samplers.indices import ENDLESS, index_of, index_of_external, size_of, value_at

FAILURES = frozenset({TrialState.FAILED, TrialState.LOST})

Way: TypeAlias = Sequence[tuple[str, Distribution, float]]
"""A trial's parameters in the order that they came, with internal values."""

Values: TypeAlias = Mapping[str, tuple[Distribution, float]]
"""The same by name."""


class Node:
    """One parameter, once a trial has shown it, with the branches that were taken, by the index of the value.

    `below` is what is left of the branches; `here` counts the trials under way that stop at this node, `failed` those
    that failed here, `ended` all others that ended here.
    """

    __slots__ = ("below", "branches", "by", "distribution", "ended", "failed", "here", "name")

    def __init__(self) -> None:
        self.name: str | None = None
        self.distribution: Distribution | None = None
        self.by = -1
        self.branches: dict[int, Node] = {}
        self.below = 0
        self.here = self.failed = self.ended = 0

    def left(self, failures: int) -> int:
        """What is left: an open node is tried until it has shown something, or failed so many times."""
        if self.name is not None:
            return max(0, self.below - self.here)
        return 0 if self.here or self.ended or self.failed >= failures else 1


class Contradiction(Exception):
    """A later trial shows another parameter, or another range, at a node."""


class Tree:
    """The tree of some tries, kept between calls: it is the same whether it grew or was made at once.

    All that have ended show the tree, with the ranges that their values were drawn from; the objective may have asked
    for others that hold these values, too, so that a parameter which had several ranges has no end. With `growing`,
    only trials show it whose parameters came one by one, or along the tree, from the sampler of this origin: of these
    order and ranges are certain, while they are under way, too. An open node where `failures` trials failed is a leaf.
    """

    def __init__(self, *, growing: str | None = None, failures: int = 1) -> None:
        self.root = Node()
        self._growing = growing
        self._failures = failures
        self._tries: Tries | None = None
        self._unsure: frozenset[str] = frozenset()
        self._ways: dict[int, tuple[Tried, Way]] = {}

    def update(self, tries: Tries) -> None:
        """Takes the trials as they are now."""
        if tries is self._tries:
            return
        self._tries = tries
        changed = [
            (number, tried)
            for number, tried in tries.trials.items()
            if number not in self._ways or self._ways[number][0] is not tried
        ]
        changed = [(number, tried) for number, tried in changed if number in self._ways or self.shows(tried)]
        before, self._unsure = self._unsure, self._ranges_differ(tries)
        try:
            if before != self._unsure or any(number not in tries.trials for number in self._ways):
                raise Contradiction
            for number, tried in changed:
                self._change(number, tried, tries)
        except Contradiction:
            self._anew(tries)

    def left(self, held: Mapping[str, Any] | None = None) -> int:
        """How many leaves and open nodes nobody has, of those with the `held` external values."""
        return self._left(self.root, held or {})

    def walk(self, generator: np.random.Generator, held: Mapping[str, Any] | None = None) -> Way | None:
        """The way to one of what is left, None where nothing is; evenly over branches and over what is left of each."""
        held = held or {}
        node, way = self.root, list[tuple[str, Distribution, float]]()
        if not self._left(node, held):
            return None
        while node.name is not None and node.distribution is not None:
            index = self._branch(node, held, generator)
            if index is None:
                break
            way.append((node.name, node.distribution, value_at(node.distribution, index)))
            node = node.branches.get(index) or Node()
        return way

    def at(self, values: Values) -> Node | None:
        """The node where these values lead to, in whatever order; None where they are on no branch."""
        node = self.root
        while node.name is not None and node.distribution is not None and node.name in values:
            index = index_of(node.distribution, *values[node.name])
            if index is None:
                return None
            node = node.branches.get(index) or Node()
        return node

    def is_leaf(self, node: Node) -> bool:
        """Whether trials have ended at the node, and none has gone further."""
        return node.name is None and bool(node.ended or node.failed >= self._failures)

    def late(self, name: str, distribution: Distribution, known: Values, generator: np.random.Generator) -> float:
        """An internal value for the parameter that comes after the known ones: one below which something is left.

        Any other where nothing is, or where the tree has no such parameter there.
        """
        node = self.at(known)
        index = None
        if node is not None and (node.name, node.distribution) == (name, distribution):
            index = self._branch(node, {}, generator)
        return value_at(distribution, int(generator.integers(size_of(distribution))) if index is None else index)

    @contextmanager
    def beside(self, under_way: Iterable[Values], ended: Iterable[Values] = ()) -> Iterator[None]:
        """Within, trials with these values are under way, too, and nobody is sent where the others ended."""
        made: list[tuple[Node, int]] = []
        found = [nodes for values in under_way if (nodes := self._descend(values, made=made)) is not None]
        for values in ended:
            nodes = self._descend(values, made=made)
            # Each node but the last one took one of the values.
            if nodes is not None and nodes[-1].name is None and len(nodes) == len(values) + 1:
                found.append(nodes)
        self._count(found, 1)
        try:
            yield
        finally:
            self._count(found, -1)
            for node, index in made:
                del node.branches[index]

    def _count(self, found: Sequence[list[Node]], change: int) -> None:
        for nodes in found:
            before = nodes[-1].left(self._failures)
            nodes[-1].here += change
            self._pass_on(nodes, before)

    def shows(self, tried: Tried) -> bool:
        """Whether the order of its parameters is known."""
        if self._growing is None:
            return tried.ended
        return not tried.proposed or tried.origin == self._growing

    def _ranges_differ(self, tries: Tries) -> frozenset[str]:
        """The names of which it is not certain what they were asked for."""
        if self._growing is not None:
            return frozenset()
        counts = Counter(name for name, _ in tries.ranges.values())
        return frozenset(name for name, count in counts.items() if count > 1)

    def _size(self, name: str, distribution: Distribution) -> int:
        return ENDLESS if name in self._unsure else size_of(distribution)

    def _way(self, tried: Tried, tries: Tries) -> Way:
        known = tries.known(tried)
        names = tried.used if tried.ended and tried.used is not None else known
        return [(name, *known[name]) for name in names if name in known]

    def _change(self, number: int, tried: Tried, tries: Tries) -> None:
        before = self._ways.get(number)
        way = self._way(tried, tries)
        if before is not None:
            if not self.shows(tried) or list(way[: len(before[1])]) != list(before[1]):
                raise Contradiction
            self._put(number, *before, -1)
        self._put(number, tried, way, 1)
        self._ways[number] = (tried, way)

    def _put(self, number: int, tried: Tried, way: Way, change: int) -> None:
        """Counts the trial where its way ends, showing what it knows."""
        values = {name: (distribution, value) for name, distribution, value in way}
        nodes = self._descend(values, way, number)
        if nodes is None:
            return
        last, before = nodes[-1], nodes[-1].left(self._failures)
        if not tried.ended:
            last.here += change
        elif tried.state in FAILURES:
            last.failed += change
        else:
            last.ended += change
        self._pass_on(nodes, before)

    def _descend(
        self, values: Values, way: Way = (), number: int = -1, made: list[tuple[Node, int]] | None = None
    ) -> list[Node] | None:
        """The nodes from the root to where the values end; None where they are on no branch.

        Open ones show what comes next on the `way`. The nodes that are `made` are noted.
        """
        node, nodes, met = self.root, [self.root], set[str]()
        while True:
            following = next((one for one in way if one[0] not in met), None)
            if following is not None:
                self._show(nodes, following, number)
            if node.name is None or node.distribution is None:
                return nodes
            if node.name not in values:
                # A trial may stop at any node; one that has gone on otherwise is on no branch.
                return None if following is not None else nodes
            met.add(node.name)
            index = index_of(node.distribution, *values[node.name])
            if index is None:
                return None
            if index not in node.branches:
                node.branches[index] = Node()
                if made is not None:
                    made.append((node, index))
            node = node.branches[index]
            nodes.append(node)

    def _show(self, nodes: list[Node], following: tuple[str, Distribution, float], number: int) -> None:
        node, (name, distribution, _) = nodes[-1], following
        if node.name is None:
            before = node.left(self._failures)
            node.name, node.distribution, node.by, node.below = (
                name,
                distribution,
                number,
                self._size(name, distribution),
            )
            self._pass_on(nodes, before)
        elif number > node.by:
            if (node.name, node.distribution) != (name, distribution):
                raise Contradiction
            node.by = number

    def _pass_on(self, nodes: list[Node], before: int) -> None:
        """Has the nodes above the last one know that something else is left of it than before."""
        for above, node in zip(reversed(nodes[:-1]), reversed(nodes[1:]), strict=True):
            change = node.left(self._failures) - before
            if not change:
                return
            before = above.left(self._failures)
            above.below += change

    def _anew(self, tries: Tries) -> None:
        """The tree from nothing, the latest trial first: it is right."""
        self.root, self._ways = Node(), {}
        for number in sorted(tries.trials, reverse=True):
            tried = tries.trials[number]
            if self.shows(tried):
                self._change(number, tried, tries)

    def _left(self, node: Node, held: Mapping[str, Any]) -> int:
        if not held or node.name is None or node.distribution is None:
            return node.left(self._failures)
        if node.name in held:
            index = index_of_external(node.distribution, held[node.name])
            if index is None:
                return 0
            below = node.branches.get(index)
            left = 1 if below is None else self._left(below, held)
        else:
            left = self._size(node.name, node.distribution) - len(node.branches)
            left += sum(self._left(below, held) for below in node.branches.values())
        return max(0, left - node.here)

    def _branch(self, node: Node, held: Mapping[str, Any], generator: np.random.Generator) -> int | None:
        """The index of a value below which something is left, None for a continuous parameter or where nothing is.

        Half of the weight goes evenly to the branches, half to what is left of each.
        """
        assert node.name is not None, "an open node has no branches"
        assert node.distribution is not None, "an open node has no branches"
        if node.name in held:
            return index_of_external(node.distribution, held[node.name])
        size = self._size(node.name, node.distribution)
        if size == ENDLESS:
            return None
        taken = sorted(node.branches)
        left = [self._left(node.branches[index], held) for index in taken]
        fresh = size - len(taken)
        branches = fresh + sum(1 for one in left if one)
        total = fresh + sum(left)
        if not branches:
            return None
        weights = np.array([1 / branches + one / total if one else 0.0 for one in left])
        at = float(generator.random()) * 2.0
        place = int(np.searchsorted(np.cumsum(weights), at, side="right"))
        if place < len(taken):
            return taken[place]
        if not fresh:
            return taken[max(at for at, one in enumerate(left) if one)]
        return _not_taken(taken, min(fresh - 1, int(generator.random() * fresh)))


def _not_taken(taken: Sequence[int], which: int) -> int:
    """The index that comes after so many others which are not among the ascending ones that are taken."""
    for index in taken:
        if index > which:
            break
        which += 1
    return which
