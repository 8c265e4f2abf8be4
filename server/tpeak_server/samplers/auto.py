"""The sampler that chooses: a Gaussian process while trials are few, the tree-structured Parzen estimator beyond."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from tpeak_server.domain.distributions import Space
from tpeak_server.domain.observations import Floats, Outcome, Suggestion, View
from tpeak_server.samplers.gp import GPSampler
from tpeak_server.samplers.seam import Explanation, Stream
from tpeak_server.samplers.tpe import TPESampler
from tpeak_server.samplers.tpe.split import finished
from tpeak_server.samplers.tpe.warm import strengths

MOST_TRIALS, MOST_COORDINATES = 250, 5_000
"""Trials, and trials times parameters, above which a Gaussian process takes more than 20 ms a suggestion."""

MOST_PENDING = 250

MOST_PRUNED = 0.25
"""The share of pruned trials above which these are worth TPE, which ranks them: without reports the process cannot."""

LEAST_STRENGTH = 1.0
"""As many own trials as other studies must count for to be worth TPE, which takes them into account."""


class AutoSampler:
    """Expected improvement while it is affordable, TPE after that; a suggestion's origin says which, and why."""

    version = f"auto-3 {GPSampler.version} {TPESampler.version}"

    def __init__(self, *, n_startup_trials: int = 10, deduplicate: bool = True) -> None:
        self._gp = GPSampler(n_startup_trials=n_startup_trials, deduplicate=deduplicate)
        self._tpe = TPESampler(n_startup_trials=n_startup_trials, deduplicate=deduplicate)

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
        sampler, reason = self._chosen(view, space, pending)
        found = sampler.suggest(view, space, pending, streams, fixed=fixed)
        return [_with_reason(suggestion, reason) for suggestion in found]

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
        sampler, reason = self._chosen(view, space, pending)
        found = sampler.explain(view, space, pending, stream, fixed=fixed)
        return replace(found, suggestion=_with_reason(found.suggestion, reason))

    def labours(self, view: View, space: Space, pending: Mapping[str, Floats]) -> bool:
        """Whether a suggestion takes much longer than one of TPE; see the seam."""
        sampler, _ = self._chosen(view, space, pending)
        return sampler is self._gp and self._gp.labours(view, space, pending)

    def batches(self, view: View, space: Space) -> bool:
        """Whether several points take much less than as many single ones; see the seam."""
        return self._tpe.batches(view, space)

    def _chosen(self, view: View, space: Space, pending: Mapping[str, Floats]) -> tuple[GPSampler | TPESampler, str]:
        trials = len(view.numbers)
        if trials > MOST_TRIALS or trials * len(space) > MOST_COORDINATES:
            return self._tpe, "many trials"
        if len(next(iter(pending.values()), ())) > MOST_PENDING:
            return self._tpe, "many running"
        if view.reports is None and np.count_nonzero(view.outcome == Outcome.PRUNED) > MOST_PRUNED * trials:
            return self._tpe, "many pruned"
        if view.warm is not None and strengths(view.warm, finished(view)).sum() >= LEAST_STRENGTH:
            return self._tpe, "warm start"
        return self._gp, "few trials"


def _with_reason(suggestion: Suggestion, reason: str) -> Suggestion:
    drawn = suggestion.origin in ("gp", "tpe")
    return replace(suggestion, origin=f"{suggestion.origin} ({reason})") if drawn else suggestion
