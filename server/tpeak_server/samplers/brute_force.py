"""Exhaustive search of a define-by-run space: down the tree that the trials show, each leaf once."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from tpeak_server.domain.distributions import Distribution, FloatDistribution, Space
from tpeak_server.domain.errors import InvalidDistribution
from tpeak_server.domain.observations import Floats, Suggestion, Tried, Tries, View
from tpeak_server.samplers.seam import Stream
from tpeak_server.samplers.tree import Tree, Values

ORIGIN = "brute force"

TWICE = 2
"""How often a way is gone before failures alone end it, if the search must not stop early."""


class BruteForceSampler:
    """Every leaf once, whatever its trial ends as; then there is nothing left.

    A new trial gets the way to a leaf or to a node of which nobody knows what comes next, as far as it is known, and
    the rest one by one; nobody else is sent to that node meanwhile. With `avoid_premature_stop` a way on which a trial
    failed is gone once more: it may have failed before it came to a parameter.
    """

    version = "brute-force-1"
    walks = True

    def __init__(self, *, avoid_premature_stop: bool = False, held: Mapping[str, Any] | None = None) -> None:
        self._strict = avoid_premature_stop
        self._held = held or {}
        self._lock = threading.Lock()
        self._tree = Tree(growing=ORIGIN, failures=TWICE if avoid_premature_stop else 1)

    def holding(self, values: Mapping[str, Any]) -> BruteForceSampler:
        """The search of the leaves that have these external values."""
        return BruteForceSampler(avoid_premature_stop=self._strict, held={**values, **self._held})

    def suggest(
        self,
        view: View,
        space: Space,
        pending: Mapping[str, Floats],
        streams: Sequence[Stream],
        *,
        fixed: Mapping[str, float] | None = None,
    ) -> list[Suggestion]:
        """One way for a new trial, whatever the space, or the value of one late parameter; see the seam."""
        assert view.tried is not None, "it is shown every trial"
        stream = streams[0]
        tries = view.tried
        others = [one for number, one in tries.trials.items() if not (number == stream.number or self._tree.shows(one))]
        ended = (_used(tries, one) for one in others if one.ended)
        under_way = (tries.known(one) for one in others if not one.ended)
        with self._lock:
            self._tree.update(tries)
            with self._tree.beside(under_way, ended):
                if stream.parameter:
                    return [self._late(view, space[stream.parameter], stream)]
                way = self._tree.walk(stream("way"), self._held)
        if way is None:
            return []
        return [
            Suggestion(
                values={name: value for name, _, value in way},
                origin=ORIGIN,
                distributions={name: distribution for name, distribution, _ in way},
            )
        ]

    def _late(self, view: View, distribution: Distribution, stream: Stream) -> Suggestion:
        check_discrete(stream.parameter, distribution, "/distribution")
        assert view.tried is not None, "it is shown every trial"
        own = view.tried.trials.get(stream.number)
        known = view.tried.known(own) if own is not None else {}
        known = {name: one for name, one in known.items() if name != stream.parameter}
        value = self._tree.late(stream.parameter, distribution, known, stream("way"))
        return Suggestion(values={stream.parameter: value}, origin=ORIGIN)


def _used(tries: Tries, tried: Tried) -> Values:
    known = tries.known(tried)
    return known if tried.used is None else {name: known[name] for name in tried.used if name in known}


def check_discrete(name: str, distribution: Distribution, where: str) -> None:
    """Raises InvalidDistribution for a parameter whose values have no end."""
    if isinstance(distribution, FloatDistribution) and distribution.step is None and not distribution.single:
        raise InvalidDistribution(
            f"the sampler brute_force tries every value, and {name!r} is continuous: give it a step", where=where
        )
