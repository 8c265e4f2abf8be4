"""Quasi-Monte Carlo: points that fill the space more evenly than random ones (Sobol 1967, Halton 1960).

The point of a trial is the sequence's point of its number, whoever asks for it and when. The sequence's dimensions are
the parameters that are known when the trial is asked for, in the layout's order; a parameter that comes late has none,
and is drawn by itself.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import qmc

from tpeak_server.domain.distributions import Space
from tpeak_server.domain.observations import Floats, Suggestion, View
from tpeak_server.samplers.layout import layout_of
from tpeak_server.samplers.seam import Sampler, Stream

ORIGIN = "qmc"

BLOCK = 256
"""Consecutive points that are computed at once: a power of two, as a Sobol sequence is balanced over these."""

KEPT = 8
"""Blocks that are kept."""


class QMCSampler:
    """The points of one sequence, with the arguments of Optuna's; only a scrambled one depends on the seed."""

    version = "qmc-1"

    def __init__(self, *, qmc_type: str, scramble: bool, independent_sampler: Sampler) -> None:
        self._type = qmc_type
        self._scramble = scramble
        self._independent = independent_sampler
        self._lock = threading.Lock()
        self._blocks: dict[tuple[int, int, int], Floats] = {}

    def suggest(
        self,
        view: View,
        space: Space,
        pending: Mapping[str, Floats],
        streams: Sequence[Stream],
        *,
        fixed: Mapping[str, float] | None = None,
    ) -> list[Suggestion]:
        """One point a stream, without the fixed names; see the seam."""
        if streams and streams[0].parameter:
            return self._independent.suggest(view, space, pending, streams, fixed=fixed)
        layout = layout_of({name: space[name] for name in space if name not in (fixed or {})})
        return [
            Suggestion(values=layout.values(layout.uniform(self._point(stream, layout.dimensions))), origin=ORIGIN)
            for stream in streams
        ]

    def _point(self, stream: Stream, dimensions: int) -> Floats:
        """The sequence's point (dimensions,) in [0, 1)."""
        if not dimensions:
            return np.empty(0)
        block, place = divmod(stream.number, BLOCK)
        key = (stream.seed, dimensions, block)
        with self._lock:
            if key not in self._blocks:
                if len(self._blocks) >= KEPT:
                    self._blocks.pop(next(iter(self._blocks)))
                self._blocks[key] = self._computed(stream, dimensions, block * BLOCK)
            point: Floats = self._blocks[key][place]
            return point

    def _computed(self, stream: Stream, dimensions: int, first: int) -> Floats:
        engine: Any = {"sobol": qmc.Sobol, "halton": qmc.Halton}[self._type]
        sequence = engine(dimensions, scramble=self._scramble, rng=stream.of_study(f"qmc {self._type}"))
        if first:
            sequence.fast_forward(first)
        # Rounding may lead to the end of the range, which belongs to no part of it.
        points: Floats = np.minimum(sequence.random(BLOCK), np.nextafter(1.0, 0.0))
        return points
