"""The sampler: random points at first, then the best of some candidates from the good mixture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tpeak_server.domain.distributions import Space
from tpeak_server.domain.observations import Floats, Suggestion, View
from tpeak_server.samplers.random import draw_uniform
from tpeak_server.samplers.seam import Explanation, Stream
from tpeak_server.samplers.tpe.model import Memo
from tpeak_server.samplers.tpe.split import finished

AT_ONCE = 16
"""Suggestions whose candidates are computed together: more would only need memory."""


class TPESampler:
    """Multivariate TPE that sees pending trials.

    While fewer than `n_startup_trials` are complete or pruned, points are uniform; after that each is the best of
    `n_ei_candidates`.
    """

    version = "tpe-1"

    def __init__(self, *, n_startup_trials: int = 10, n_ei_candidates: int = 24) -> None:
        self.n_startup_trials = n_startup_trials
        self.n_ei_candidates = n_ei_candidates
        self._memo = Memo()

    def suggest(
        self,
        view: View,
        space: Space,
        pending: Mapping[str, Floats],
        streams: Sequence[Stream],
        *,
        fixed: Mapping[str, float] | None = None,
    ) -> list[Suggestion]:
        """Draws one point a stream; see the seam. A fixed value that its range does not hold conditions nothing."""
        given = {name: value for name, value in (fixed or {}).items() if name in space}
        if finished(view) < self.n_startup_trials:
            return draw_uniform(space, streams, given, origin="startup")
        model = self._memo.model(view, space)
        liars = model.liars({name: pending[name] for name in space})
        shape = (1 + model.layout.dimensions, self.n_ei_candidates)
        suggestions: list[Suggestion] = []
        found: list[dict[str, float]] = []
        for start in range(0, len(streams), AT_ONCE):
            uniforms = [stream("joint").random(shape) for stream in streams[start : start + AT_ONCE]]
            liars = model.more_liars(liars, found)
            found = model.best_of_each(uniforms, given, liars)
            suggestions += [_suggestion(values, given) for values in found]
        return suggestions

    def explain(
        self,
        view: View,
        space: Space,
        pending: Mapping[str, Floats],
        stream: Stream,
        *,
        fixed: Mapping[str, float] | None = None,
    ) -> Explanation:
        """The suggestion for this stream, drawn again, and why; see the seam."""
        (suggestion,) = self.suggest(view, space, pending, [stream], fixed=fixed)
        if suggestion.origin == "startup":
            return Explanation(suggestion=suggestion, candidates=(), scores=np.empty(0), chosen=None, good={}, bad={})
        given = {name: value for name, value in (fixed or {}).items() if name in space}
        model = self._memo.model(view, space)
        layout = model.layout
        uniforms = stream("joint").random((1 + layout.dimensions, self.n_ei_candidates))
        points = model.good.kernels.sample(uniforms, layout.point(given))
        liars = model.liars({name: pending[name] for name in space})
        scores = model.good.log_density(points) - model.bad.log_density(points, liars)
        marginals = {name: layout.point({name: value}) for name, value in suggestion.values.items()}
        return Explanation(
            suggestion=suggestion,
            candidates=[layout.values(points, which) for which in range(len(points))],
            scores=scores,
            chosen=int(np.argmax(scores)),
            good={name: float(model.good.log_density(point)[0]) for name, point in marginals.items()},
            bad={name: float(model.bad.log_density(point, liars)[0]) for name, point in marginals.items()},
        )


def _suggestion(values: Mapping[str, float], given: Mapping[str, float]) -> Suggestion:
    return Suggestion(values={name: value for name, value in values.items() if name not in given}, origin="tpe")
