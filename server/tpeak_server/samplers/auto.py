"""The sampler that chooses: a Gaussian process while trials are few, the tree-structured Parzen estimator beyond."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tpeak_server.domain.distributions import Space
from tpeak_server.domain.observations import Floats, Suggestion, View
from tpeak_server.samplers.gp import GPSampler
from tpeak_server.samplers.seam import Explanation, Stream
from tpeak_server.samplers.tpe import TPESampler

MOST_TRIALS = 250
MOST_PARAMETERS = 60
MOST_PENDING = 300
"""Where a Gaussian process begins to take more than 20 ms a suggestion."""


class AutoSampler:
    """Expected improvement while it is affordable, TPE after that; a suggestion's origin says which, and why."""

    version = f"auto-1+{GPSampler.version}+{TPESampler.version}"

    def __init__(self, *, n_startup_trials: int = 10, deduplicate: bool = True) -> None:
        self._few = GPSampler(n_startup_trials=n_startup_trials, deduplicate=deduplicate)
        self._many = TPESampler(n_startup_trials=n_startup_trials, deduplicate=deduplicate)

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
        return self._sampler(view, space, pending).suggest(view, space, pending, streams, fixed=fixed)

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
        return self._sampler(view, space, pending).explain(view, space, pending, stream, fixed=fixed)

    def _sampler(self, view: View, space: Space, pending: Mapping[str, Floats]) -> GPSampler | TPESampler:
        running = len(next(iter(pending.values()))) if pending else 0
        few = len(view.numbers) <= MOST_TRIALS and len(space) <= MOST_PARAMETERS and running <= MOST_PENDING
        return self._few if few else self._many
