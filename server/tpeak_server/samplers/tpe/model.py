"""Both mixtures of one history, and the memo that keeps them from one suggestion to the next."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from tpeak_server.domain.distributions import Space
from tpeak_server.domain.observations import Floats, Outcome, View
from tpeak_server.samplers.distances import scaled
from tpeak_server.samplers.layout import Layout, Points, layout_of
from tpeak_server.samplers.structure import Structure, learn
from tpeak_server.samplers.tpe.bandwidth import BandwidthRule
from tpeak_server.samplers.tpe.mixture import Kernels, Mixture, fit_mixture
from tpeak_server.samplers.tpe.normal import NormalFamily, family_of
from tpeak_server.samplers.tpe.rules import Rules
from tpeak_server.samplers.tpe.split import split
from tpeak_server.samplers.tpe.volume import weights_of_several
from tpeak_server.samplers.tpe.warm import weights
from tpeak_server.samplers.tpe.weights import weights_by_age, weights_by_rank
from tpeak_server.samplers.visited import Visited, visited


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What the finished trials teach about one space; `visited` is None where points cannot repeat."""

    layout: Layout
    structure: Structure
    good: Mixture
    bad: Mixture
    visited: Visited | None
    _pending: list[tuple[Floats, Points, Kernels]] = field(default_factory=list, repr=False)

    def points(self, columns: Mapping[str, Floats]) -> Points:
        """The active coordinates of pending trials, from internal values (m,) by name."""
        count = len(next(iter(columns.values()))) if columns else 0
        return self.structure.active(self.layout.points(columns, count))

    def pending(self, columns: Mapping[str, Floats]) -> tuple[Points, Kernels | None]:
        """The active coordinates of pending trials, and their kernels beside the bad ones.

        Most often they are those of the last call and a few more: what is known of these is not computed again.
        """
        count = len(next(iter(columns.values()))) if columns else 0
        if not count:
            return self.points({}), None
        rows = self.layout.rows(columns, count)
        known = self._pending[0] if self._pending else None
        seen = len(known[0].T) if known else 0
        if known is None or rows[:, :seen].tobytes() != known[0].tobytes():
            known, seen = None, 0
        if known is None or seen < count:
            points = self.structure.active(self.layout.points_of_rows(rows[:, seen:]))
            kernels = self.bad.beside(points)
            known = (
                (rows, points, kernels) if known is None else (rows, known[1].joined(points), known[2].joined(kernels))
            )
            self._pending[:] = [known]
        return known[1], known[2]

    def log_ratio(self, points: Points, liars: Kernels | None) -> Floats:
        """The score log l - log g (c,) of active points, both normalised, to the last digits."""
        return self.good.log_density(points) - self.bad.log_density(points, liars)


def fit(view: View, space: Space, rules: Rules, pending: Mapping[str, Floats] | None = None) -> Model:
    """The model of a view, with these pending trials among the bad ones."""
    layout = layout_of(space)
    family = family_of(layout.axes, exact=rules.exact)
    points = layout.points(view.columns, len(view.numbers))
    distances = _distances(layout, rules)
    best, bad = split(view, rules)
    weight = _weight_of_good(view, best, rules)
    good_mixture = _mixture(layout, points.take(np.sort(best)), family, rules, distances, weight, good=True)
    bad_points = _bad_points(layout, points.take(bad), pending)
    bad_mixture = _mixture(layout, bad_points, family, rules, distances, None, good=False)
    good_mixture, bad_mixture = _warmed(view, layout, rules, distances, good_mixture, bad_mixture)
    # A pending trial stands among all that finished: it is to be as narrow as they are dense there.
    neighbours = bad_mixture.neighbours.joined(good_mixture.neighbours)
    return Model(
        layout=layout,
        structure=Structure(layout, ()) if rules.reference else learn(layout, points),
        good=good_mixture,
        bad=replace(bad_mixture, neighbours=neighbours),
        visited=None if rules.reference else visited(layout, points),
    )


def _warmed(
    view: View, layout: Layout, rules: Rules, distances: Mapping[int, Floats], good: Mixture, bad: Mixture
) -> tuple[Mixture, Mixture]:
    """Both mixtures with what the study began with, as far as it still counts."""
    weight = weights(view, rules)
    if view.warm is None or weight is None:
        return good, bad
    points = layout.points(view.warm.columns, len(view.warm.source))
    return (
        _joined(good, layout, points, weight[0], rules, rules.good_bandwidth, distances),
        _joined(bad, layout, points, weight[1], rules, rules.bad_bandwidth, distances),
    )


def _joined(
    own: Mixture,
    layout: Layout,
    points: Points,
    weight: Floats,
    rules: Rules,
    rule: BandwidthRule,
    distances: Mapping[int, Floats],
) -> Mixture:
    """The mixture of own trials, and beside it one of others that weighs as much as their weights (w,) say.

    It is fitted by itself, and so narrow as they are dense: the own trials' kernels stay what they are without it.
    """
    counting = np.flatnonzero(weight)
    if not len(counting):
        return own
    scale, weight = weight[counting].mean(), weight[counting] / weight[counting].mean()
    other = fit_mixture(
        layout,
        points.take(counting),
        own.kernels.family,
        weight=weight,
        prior_weight=rules.prior_weight,
        rule=rule,
        distances=distances,
    )
    kernels = replace(other.kernels, weight=other.kernels.weight * scale)
    neighbours = own.neighbours.joined(other.neighbours)
    return replace(own, kernels=own.kernels.joined(kernels), neighbours=neighbours)


def _weight_of_good(view: View, best: NDArray[np.int64], rules: Rules) -> Floats | None:
    """What the good trials weigh, in trial order; None where they weigh the same."""
    if not rules.rank_power:
        return None
    if view.loss.shape[1] == 1:
        return weights_by_rank(np.argsort(best).astype(np.float64), rules.rank_power)
    good = np.sort(best)
    comparable = (view.outcome[good] == Outcome.COMPLETE) & (view.violation[good] <= 0)
    return weights_of_several(view.loss[good]) if comparable.all() else None


def _bad_points(layout: Layout, points: Points, pending: Mapping[str, Floats] | None) -> Points:
    count = len(next(iter(pending.values()))) if pending else 0
    return points.joined(layout.points(pending or {}, count)) if count else points


def _distances(layout: Layout, rules: Rules) -> dict[int, Floats]:
    """The distances between choices, by categorical coordinate."""
    found = {}
    for row, name in enumerate(layout.categorical_names):
        if name in rules.distances:
            distance = scaled(rules.distances[name], int(layout.sizes[row, 0]))
            if distance is not None:
                found[row] = distance
    return found


def _mixture(
    layout: Layout,
    points: Points,
    family: NormalFamily,
    rules: Rules,
    distances: Mapping[int, Floats],
    weight: Floats | None,
    *,
    good: bool,
) -> Mixture:
    if rules.reference:
        points = points.take(np.flatnonzero(points.complete))
        weight = np.ones(len(points)) if good else None
    elif len(points) > rules.most_kernels:
        kept, weight = _thinned(len(points), rules.most_kernels)
        points = points.take(kept)
    rule = rules.good_bandwidth if good else rules.bad_bandwidth
    return fit_mixture(
        layout,
        points,
        family,
        weight=weight,
        prior_weight=rules.prior_weight,
        rule=rule,
        distances=distances,
    )


def _thinned(count: int, most: int) -> tuple[NDArray[np.int64], Floats]:
    """Which of `count` trials stand for all, evenly spaced in their weights by age, and what each weighs then."""
    cumulative = np.cumsum(weights_by_age(count))
    each = cumulative[-1] / most
    kept = np.unique(cumulative.searchsorted((np.arange(most) + 0.5) * each))
    return kept, np.full(len(kept), cumulative[-1] / len(kept))


class Memo:
    """The models of the latest view, one a space, and the last few of others.

    Safe for threads; two may fit the same model at once.
    """

    KEPT = 3

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._lock = threading.Lock()
        self._kept: Sequence[tuple[View, Space, Model]] = ()

    def model(self, view: View, space: Space) -> Model:
        """The model of this very view object and an equal space."""
        known = self.known(view, space)
        if known is not None:
            return known
        model = fit(view, space, self._rules)
        with self._lock:
            of_view = [one for one in self._kept if one[0] is view]
            others = [one for one in self._kept if one[0] is not view]
            self._kept = ((view, dict(space), model), *of_view, *others[: self.KEPT])
        return model

    def known(self, view: View, space: Space) -> Model | None:
        """The same if it was asked for before."""
        return next((model for seen, its, model in self._kept if seen is view and its == space), None)
