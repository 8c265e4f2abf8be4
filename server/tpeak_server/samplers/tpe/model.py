"""Both mixtures of one history, and the memo that keeps them from one suggestion to the next."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tpeak_server.domain.distributions import Space
from tpeak_server.domain.observations import Floats, View
from tpeak_server.samplers.layout import Layout, layout_of
from tpeak_server.samplers.tpe.mixture import Kernels, Mixture, fit_mixture
from tpeak_server.samplers.tpe.normal import family_of
from tpeak_server.samplers.tpe.split import split


@dataclass(frozen=True, slots=True)
class Model:
    """What the finished trials teach about one space."""

    layout: Layout
    good: Mixture
    bad: Mixture

    def liars(self, columns: Mapping[str, Floats]) -> Kernels | None:
        """The kernels of pending trials, from internal values (m,) by name; None if there are none."""
        count = len(next(iter(columns.values()))) if columns else 0
        return self.bad.beside(self.layout.points(columns, count)) if count else None

    def more_liars(self, liars: Kernels | None, came: Sequence[Mapping[str, float]]) -> Kernels | None:
        """The kernels of pending trials and of those that came after them."""
        for values in came:
            liar = self.bad.beside(self.layout.point(values))
            liars = liars.joined(liar) if liars else liar
        return liars

    def best_of_each(
        self, uniforms: Sequence[Floats], given: Mapping[str, float], liars: Kernels | None
    ) -> list[dict[str, float]]:
        """The internal values of the best candidate for each suggestion.

        The values `given` are part of each, and condition the rest. Suggestions come in order, and each is pending to
        those after it. `uniforms` has (1 + d + e, c) for each; what does not depend on the order is computed for the
        candidates of all of them at once.
        """
        width = uniforms[0].shape[1]
        candidates = self.good.kernels.sample(np.concatenate(uniforms, axis=1), self.layout.point(given))
        good, bad = self.good.kernels.log_sum(candidates), self.bad.kernels.log_sum(candidates)
        if liars is not None:
            bad = np.logaddexp(bad, liars.log_sum(candidates))
        found: list[dict[str, float]] = []
        for start in range(0, len(good), width):
            # The mixtures' total weights are the same for all candidates: they cannot change which is the best.
            best = start + int(np.argmax(good[start : start + width] - bad[start : start + width]))
            found.append({**self.layout.values(candidates, best), **given})
            after = slice(start + width, None)
            if start + width < len(good):
                liar = self.bad.beside(self.layout.point(found[-1]))
                bad[after] = np.logaddexp(bad[after], liar.log_sum(candidates.take(after)))
        return found


def fit(view: View, space: Space) -> Model:
    """The model of a view."""
    layout = layout_of(space)
    family = family_of(layout.axes)
    points = layout.points(view.columns, len(view.numbers))
    good, bad = split(view)
    return Model(
        layout,
        fit_mixture(layout, points.take(good), family),
        fit_mixture(layout, points.take(bad), family),
    )


class Memo:
    """The models of the last few (view, space) pairs. Safe for threads; two may fit the same model at once."""

    KEPT = 4

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: list[tuple[View, Space, Model]] = []

    def model(self, view: View, space: Space) -> Model:
        """The model of this very view object and an equal space."""
        with self._lock:
            kept = list(self._kept)
        for known_view, known_space, model in kept:
            if known_view is view and known_space == space:
                return model
        model = fit(view, space)
        with self._lock:
            self._kept = [(view, dict(space), model), *self._kept[: self.KEPT - 1]]
        return model
