"""The sampler: generations, their parents, and one child of these for each trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tpeak_server.domain.distributions import Space
from tpeak_server.domain.observations import Floats, Outcome, Suggestion, View, origin_in
from tpeak_server.samplers.generations import Memo, grouped, next_generation
from tpeak_server.samplers.latin import draw_latin
from tpeak_server.samplers.layout import layout_of
from tpeak_server.samplers.nsgaii.children import Rules, child
from tpeak_server.samplers.nsgaii.selection import LOSSES, NUMBER, survivors
from tpeak_server.samplers.seam import Stream


class NSGAIISampler:
    """NSGA-II with asynchronous generations; the arguments are those of Optuna 5.0's."""

    version = "nsgaii-1"
    kind = "nsgaii"

    def __init__(self, *, population_size: int = 50, rules: Rules | None = None) -> None:
        self.population_size = population_size
        self.rules = rules or Rules()
        self._memo: Memo[Floats] = Memo()

    def suggest(
        self,
        view: View,
        space: Space,
        pending: Mapping[str, Floats],
        streams: Sequence[Stream],
        *,
        fixed: Mapping[str, float] | None = None,
    ) -> list[Suggestion]:
        """Draws one point a stream; see the seam. A late parameter is inherited like all others."""
        given = {name: value for name, value in (fixed or {}).items() if name in space}
        generation, numbers = self._parents(view)
        origin = origin_in(self.kind, generation)
        if not len(numbers):
            return draw_latin(space, streams, given, self.population_size, origin=origin)
        layout = layout_of(space)
        rows = view.numbers.searchsorted(numbers)
        parents = layout.points({name: view.columns[name][rows] for name in space}, len(rows))
        several = view.loss.shape[1] > 1
        suggestions = []
        for stream in streams:
            values = layout.values(child(layout, parents, self.rules, stream("nsgaii"), several=several))
            drawn = {name: value for name, value in values.items() if name not in given}
            suggestions.append(Suggestion(values=drawn, origin=origin))
        return suggestions

    def _parents(self, view: View) -> tuple[int, Floats]:
        """The generation that is under way, and the numbers of its parents, the best one first."""
        labels = view.generations.get(self.kind, np.zeros(len(view.numbers), dtype=np.int32))
        generations = grouped(np.maximum(labels, 0), view.outcome == Outcome.COMPLETE)
        generation = next_generation(generations, self.population_size)
        table = np.column_stack([view.numbers, view.violation, view.loss])
        before = [table[rows] for label, rows in generations if label < generation]
        parents = self._memo.folded(b"", lambda: np.empty((0, LOSSES + view.loss.shape[1])), before, self._survivors)
        return generation, parents[:, NUMBER].astype(np.int64)

    def _survivors(self, parents: Floats, children: Floats) -> Floats:
        return survivors(np.concatenate([parents, children]), self.population_size)
