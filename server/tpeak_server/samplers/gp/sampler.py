"""The sampler: points that cover the space at first, then those that are expected to improve most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tpeak_server.domain.distributions import Space
from tpeak_server.domain.observations import Floats, Suggestion, View
from tpeak_server.samplers.fresh import Fresh
from tpeak_server.samplers.gp.fit import NO_NOISE, NOISE
from tpeak_server.samplers.gp.search import Search
from tpeak_server.samplers.gp.surrogate import Surrogate, Surrogates
from tpeak_server.samplers.latin import draw_latin
from tpeak_server.samplers.layout import Points
from tpeak_server.samplers.seam import NOTHING_LEFT, Explanation, Stream, without_reasons
from tpeak_server.samplers.tpe.split import finished

BEST = 5
"""The best trials whose mutations are candidates."""


class GPSampler:
    """Expected improvement under a Gaussian process, for one objective or several, with constraints.

    While fewer than `n_startup_trials` are complete or pruned, points fill the space evenly. With
    `deterministic_objective` losses are taken to be without noise. With `deduplicate` no point of a discrete space is
    proposed twice, and an exhausted one has none left.
    """

    version = "gp-3"

    def __init__(
        self, *, n_startup_trials: int = 10, deterministic_objective: bool = False, deduplicate: bool = True
    ) -> None:
        self.n_startup_trials = n_startup_trials
        self._surrogates = Surrogates(NO_NOISE if deterministic_objective else NOISE)
        self._fresh = Fresh(deduplicate=deduplicate)

    def suggest(
        self,
        view: View,
        space: Space,
        pending: Mapping[str, Floats],
        streams: Sequence[Stream],
        *,
        fixed: Mapping[str, float] | None = None,
    ) -> list[Suggestion]:
        """Draws one point a stream; see the seam."""
        given = {name: value for name, value in (fixed or {}).items() if name in space}
        return self._fresh.suggest(
            view, space, pending, streams, given,
            lambda pending, some: self._draw(view, space, pending, some, given),
        )  # fmt: skip

    def labours(self, view: View, space: Space, pending: Mapping[str, Floats]) -> bool:
        """Whether a suggestion takes much longer than one of TPE; see the seam."""
        return finished(view) >= self.n_startup_trials and not _has_one_point(space)

    def _draw(
        self,
        view: View,
        space: Space,
        pending: Mapping[str, Floats],
        streams: Sequence[Stream],
        given: Mapping[str, float],
    ) -> list[Suggestion]:
        if finished(view) < self.n_startup_trials:
            return draw_latin(space, streams, given, self.n_startup_trials, origin="startup")
        if _has_one_point(space):
            return draw_latin(space, streams, given, self.n_startup_trials, origin="gp")
        surrogate = self._surrogates.of(view, space, pending)
        found = []
        for stream in streams:
            points, _ = _searched(surrogate, given, stream)
            chosen = points.take(slice(1))
            drawn = {n: value for n, value in surrogate.layout.values(chosen).items() if n not in given}
            found.append(Suggestion(values=drawn, origin="gp"))
            surrogate = surrogate.beside(surrogate.structure.active(chosen))
        return found

    def explain(
        self,
        view: View,
        space: Space,
        pending: Mapping[str, Floats],
        stream: Stream,
        *,
        fixed: Mapping[str, float] | None = None,
    ) -> Explanation:
        """The suggestion for this stream, drawn again, with the candidates of the last round; see the seam."""
        suggestions = self.suggest(view, space, pending, [stream], fixed=fixed)
        if not suggestions:
            return without_reasons(NOTHING_LEFT)
        (suggestion,) = suggestions
        candidates: list[dict[str, float]] = []
        scores = np.empty(0)
        if suggestion.origin == "gp" and not _has_one_point(space):
            surrogate = self._surrogates.of(view, space, pending)
            given = {name: value for name, value in (fixed or {}).items() if name in space}
            points, scores = _searched(surrogate, given, stream)
            whole = surrogate.layout.all_values(points)
            candidates = [{name: one[name] for name in suggestion.values} for one in whole]
        chosen = next((at for at, candidate in enumerate(candidates) if candidate == suggestion.values), None)
        return Explanation(suggestion=suggestion, candidates=candidates, scores=scores, chosen=chosen, good={}, bad={})


def _has_one_point(space: Space) -> bool:
    return all(distribution.single for distribution in space.values())


def _searched(surrogate: Surrogate, given: Mapping[str, float], stream: Stream) -> tuple[Points, Floats]:
    """The last candidates of one suggestion (d + e, c), the best first, and their scores (c,)."""
    rng = stream("joint")
    search = Search(
        layout=surrogate.layout,
        best=surrogate.best.take(slice(BEST)),
        good=surrogate.good,
        given=surrogate.layout.point(given),
        score=surrogate.scorer(rng),
    )
    return search.run(rng)
