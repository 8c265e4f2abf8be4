"""All that is kept of a view: the fitted processes, TPE's good density, and what was visited.

The scales of n trials are those of the first w of them, w growing by a fifteenth from one rung to the next. So most
trials cost a factorization and no fit, and what is found depends on the view alone. As many of the newest trials are
left out as older ones are not finished: when these are, they most often come after the w.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from tpeak_server.domain.distributions import Space
from tpeak_server.domain.observations import Floats, View
from tpeak_server.samplers.gp.extrapolation import extrapolated
from tpeak_server.samplers.gp.fit import fit_scales
from tpeak_server.samplers.gp.improvement import log_expected_improvement, log_feasible, log_scalarised_improvement
from tpeak_server.samplers.gp.kernel import Inputs, Scales, inputs_of
from tpeak_server.samplers.gp.losses import Shaped, excess, shaped, violated
from tpeak_server.samplers.gp.posterior import Posterior
from tpeak_server.samplers.layout import Layout, Points
from tpeak_server.samplers.structure import Structure
from tpeak_server.samplers.tpe.mixture import Kernels
from tpeak_server.samplers.tpe.model import Memo
from tpeak_server.samplers.tpe.rules import OWN
from tpeak_server.samplers.tpe.split import ranking
from tpeak_server.samplers.visited import Visited

FIRST_RUNG, GROWTH = 5, 15

MOST_LEFT_OUT = 3
"""Not more than a third of the trials are left out, however many have failed or run for long."""

KEPT_SCALES = 32
KEPT_SURROGATES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Surrogate:
    """What is expected of any point of a space; `best` are all trials, the best first.

    `losses` has a process for each objective, `violation` one for the constraints if any trial violates them. While
    none is feasible there is one loss only, by how much they are violated. Of one loss, gains below `worthwhile` do not
    count.
    """

    layout: Layout
    structure: Structure
    best: Points
    good: Kernels
    losses: tuple[Posterior, ...]
    worthwhile: float
    violation: Posterior | None
    visited: Visited | None

    def beside(self, pending: Points) -> Surrogate:
        """The same with active points that are under way: none of them is suggested again, or close to."""
        if not len(pending):
            return self
        inputs = inputs_of(self.layout, pending)
        return replace(
            self,
            losses=tuple(posterior.beside(inputs) for posterior in self.losses),
            violation=self.violation.beside(inputs) if self.violation else None,
            visited=self.visited.with_points(pending) if self.visited else None,
        )

    def scorer(self, rng: np.random.Generator) -> Callable[[Points], Floats]:
        """The logarithm of what a point (d + e, c) is worth (c,): one suggestion's, which weighs several objectives."""
        improvement = self._improvement(rng)

        def score(points: Points) -> Floats:
            active = self.structure.active(points)
            inputs = inputs_of(self.layout, active)
            found = improvement(inputs)
            if self.violation:
                found += log_feasible(*self.violation.at(inputs))
            if self.visited:
                found[self.visited.has(active)] = -np.inf
            return found

        return score

    def _improvement(self, rng: np.random.Generator) -> Callable[[Inputs], Floats]:
        if len(self.losses) == 1:
            (posterior,) = self.losses
            least = float(posterior.mean.min()) - self.worthwhile
            return lambda inputs: log_expected_improvement(*posterior.at(inputs), least)
        weights = rng.dirichlet(np.ones(len(self.losses)))
        means = np.stack([posterior.mean for posterior in self.losses])

        def improvement(inputs: Inputs) -> Floats:
            expected = [posterior.at(inputs) for posterior in self.losses]
            mean, deviation = (np.stack(rows) for rows in zip(*expected, strict=True))
            return log_scalarised_improvement(mean, deviation, means, weights)

        return improvement


class Surrogates:
    """The surrogates of the last few (view, space) pairs, and the scales that were fitted. Safe for threads.

    `noise` is the prior of the noise.
    """

    def __init__(self, noise: tuple[float, float]) -> None:
        self._noise = noise
        self._models = Memo(OWN)
        self._lock = threading.Lock()
        self._kept: Sequence[tuple[View, Space, Surrogate]] = ()
        self._scales: dict[bytes, Scales] = {}

    def of(self, view: View, space: Space, pending: Mapping[str, Floats]) -> Surrogate:
        """What this very view object says of an equal space, beside pending trials."""
        surrogate = self._known(view, space) or self._fitted(view, space)
        columns = {name: pending[name] for name in space}
        points = surrogate.layout.points(columns, len(next(iter(columns.values()), ())))
        return surrogate.beside(surrogate.structure.active(points))

    def _known(self, view: View, space: Space) -> Surrogate | None:
        for known_view, known_space, surrogate in self._kept:
            if known_view is view and known_space == space:
                return surrogate
        return None

    def _fitted(self, seen: View, space: Space) -> Surrogate:
        view, first = extrapolated(seen), extrapolated(_first(seen, _rung(seen)))
        model = self._models.model(view, space)
        layout, structure = model.layout, model.structure
        points = structure.active(layout.points(view.columns, len(view.numbers)))
        inputs = inputs_of(layout, points)

        def process(losses_of_first: Floats, losses: Floats) -> Posterior:
            return Posterior(self._fit(inputs.take(slice(len(first.numbers))), losses_of_first), inputs, losses)

        feasible = bool((view.violation <= 0).any())
        shapes: list[Callable[[View], Shaped]] = (
            [partial(shaped, objective=k) for k in range(view.loss.shape[1])] if feasible else [excess]
        )
        wanted = [shape(view) for shape in shapes]
        surrogate = Surrogate(
            layout=layout,
            structure=structure,
            best=points.take(ranking(view)),
            good=model.good.kernels,
            losses=tuple(process(shape(first).losses, one.losses) for shape, one in zip(shapes, wanted, strict=True)),
            worthwhile=wanted[0].worthwhile,
            violation=process(violated(first), violated(view)) if (view.violation > 0).any() and feasible else None,
            visited=model.visited,
        )
        with self._lock:
            self._kept = ((seen, dict(space), surrogate), *self._kept[: KEPT_SURROGATES - 1])
        return surrogate

    def _fit(self, inputs: Inputs, loss: Floats) -> Scales:
        key = inputs.unit.tobytes() + inputs.choice.tobytes() + loss.tobytes()
        scales = self._scales.get(key)
        if scales is None:
            scales = fit_scales(inputs, loss, self._noise)
            with self._lock:
                self._scales[key] = scales
                for oldest in list(self._scales)[:-KEPT_SCALES]:
                    del self._scales[oldest]
        return scales


def _rung(view: View) -> int:
    """How many trials the scales are fitted to."""
    n = len(view.numbers)
    unfinished = int(view.numbers[-1]) + 1 - n
    reached = n - min(unfinished, n // MOST_LEFT_OUT)
    rung = FIRST_RUNG
    while (above := rung + max(1, rung // GROWTH)) <= reached:
        rung = above
    return min(rung, n)


def _first(view: View, count: int) -> View:
    """The view of the first trials alone, without their parameters."""
    return replace(
        view,
        numbers=view.numbers[:count],
        outcome=view.outcome[:count],
        loss=view.loss[:count],
        last_step=view.last_step[:count],
        last_loss=view.last_loss[:count],
        violation=view.violation[:count],
        columns={},
        reports=view.reports.first(count) if view.reports is not None else None,
    )
