"""Both mixtures of one history, and the memo that keeps them from one suggestion to the next."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tpeak_server.domain.distributions import Space
from tpeak_server.domain.observations import Floats, View
from tpeak_server.samplers.layout import Layout, Points, layout_of
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

    def one_more(self, liars: Kernels | None, values: Mapping[str, float]) -> Kernels:
        """The kernels of pending trials and of one that came after them."""
        liar = self.bad.beside(self.layout.point(values))
        return liars.joined(liar) if liars else liar

    def best(self, uniforms: Floats, given: Points, liars: Kernels | None) -> dict[str, float]:
        """The internal values of the best of the candidates that `uniforms` (1 + d + e, c) stand for."""
        candidates = self.good.kernels.sample(uniforms, given)
        scores = self.good.log_density(candidates) - self.bad.log_density(candidates, liars)
        return self.layout.values(candidates, int(np.argmax(scores)))


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
