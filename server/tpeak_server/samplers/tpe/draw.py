"""One drawing: candidates from a model, their scores, and the best of each suggestion's, each pending to the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tpeak_server.domain.observations import Floats
from tpeak_server.samplers.layout import Points
from tpeak_server.samplers.mutations import mutated, rows_of_mutation
from tpeak_server.samplers.tpe.contest import DIGITS, Contest
from tpeak_server.samplers.tpe.mixture import Kernels, Precision
from tpeak_server.samplers.tpe.model import Model
from tpeak_server.samplers.tpe.rules import Rules
from tpeak_server.samplers.visited import Visited

FRESH = 64
"""How many neighbours are looked at where every candidate was tried before."""


class Uniforms(NamedTuple):
    """The uniform numbers behind one suggestion, a column for each candidate.

    For the choices on each level of branches (levels, 1 + d + e, c), then for the whole point (1 + d + e, c).
    """

    branches: Floats
    joint: Floats


class Drawing:
    """Suggestions from one model, beside these pending trials and those drawn before them.

    `given` are internal values that are part of each suggestion, and condition the rest.
    """

    def __init__(self, model: Model, rules: Rules, pending: Mapping[str, Floats], given: Mapping[str, float]) -> None:
        self.model = model
        self._rules = rules
        self._given = given
        taken, self._known_liars = model.pending(pending)
        self._taken: list[Points] = []
        self._visited = model.visited.with_points(taken) if model.visited else None

    def draw(self, uniforms: Sequence[Uniforms]) -> list[dict[str, float]]:
        """The internal values of the best candidate for each of the `uniforms_of` some streams, in order."""
        if not self.model.structure.levels:
            return self._draw(uniforms, self._given_point)
        return [values for one in uniforms for values in self._draw([one], self._branch(one))]

    def _draw(self, uniforms: Sequence[Uniforms], given: Points | None) -> list[dict[str, float]]:
        if not uniforms:
            return []
        raw = self._candidates(uniforms, given)
        points = self.model.structure.active(raw)
        winners = self._winners(points, len(uniforms), self._visited)
        new = self._new(points.take(winners))
        chosen = self._take(raw.take(winners[:new]))
        if new == len(uniforms):
            return chosen
        fresh = self._fresh(raw.take(winners[new : new + 1]), uniforms[new].joint)
        return [*chosen, *self._take(fresh), *self._draw(uniforms[new + 1 :], given)]

    def _winners(self, points: Points, blocks: int = 1, visited: Visited | None = None) -> NDArray[np.intp]:
        """The best of each block of active candidates, none of them visited; each is pending to the ones after it."""
        good, bad = self.model.good.kernels, self.model.bad.kernels
        contest = Contest(
            good.query(points),
            good,
            bad,
            self._liars,
            blocks=blocks,
            barred=visited.has(points) if visited else None,
            identity=visited.identities(points) if visited else None,
            precision=self._precision,
        )
        return contest.winners(lambda which: self._beside(points.take(which)))

    def _new(self, points: Points) -> int:
        """How many of the points come before the first one that was tried before, or repeats another."""
        if not self._visited:
            return len(points)
        tried = self._visited.has(points)
        identities = self._visited.identities(points).tolist()
        return next((at for at, one in enumerate(identities) if tried[at] or one in identities[:at]), len(points))

    def log_ratio(self, points: Points) -> Floats:
        """The score log l - log g (c,) of active points, to the last digits."""
        return self.model.log_ratio(points, self._liars)

    def weighed(self, uniforms: Uniforms) -> tuple[list[dict[str, float]], Floats]:
        """The internal values and the score (c,) of each of one suggestion's candidates."""
        given = self._branch(uniforms) if self.model.structure.levels else self._given_point
        raw = self._candidates([uniforms], given)
        layout = self.model.layout
        return layout.all_values(raw), self.log_ratio(self.model.structure.active(raw))

    def marginals(self, values: Mapping[str, float]) -> dict[str, tuple[float, float]]:
        """The log density of each parameter's value by itself, in the good mixture and in the bad one."""
        found = {}
        for name, value in values.items():
            point = self.model.layout.point({name: value})
            good, bad = self.model.good.log_density(point), self.model.bad.log_density(point, self._liars)
            found[name] = (float(good[0]), float(bad[0]))
        return found

    @property
    def _precision(self) -> Precision:
        return np.float64 if self._rules.exact else np.float32

    @property
    def _given_point(self) -> Points | None:
        return self.model.layout.point(self._given) if self._given else None

    def _branch(self, uniforms: Uniforms) -> Points:
        """One point that has, beside what is given, the choices that decide which other parameters there are.

        They are made level by level, by themselves: how well what lies below a choice is known says nothing about the
        choice.
        """
        structure, kernels = self.model.structure, self.model.good.kernels
        given = self.model.layout.point(self._given)
        for level, numbers in zip(structure.levels, uniforms.branches, strict=True):
            wanted = given.known | level
            points = structure.active(kernels.sample(numbers, given)).only(wanted)
            given = points.take(self._winners(points))
        return given

    def _candidates(self, uniforms: Sequence[Uniforms], given: Points | None) -> Points:
        """Every suggestion's candidates, side by side."""
        joint = [one.joint for one in uniforms]
        return self.model.good.kernels.sample(joint[0] if len(joint) == 1 else np.concatenate(joint, axis=1), given)

    def _beside(self, points: Points) -> Kernels:
        """The kernels that active points have while they are pending."""
        return self.model.bad.beside(self.model.layout.snapped(points))

    @property
    def _liars(self) -> Kernels | None:
        """The kernels of all that is pending, those drawn included: made where anybody asks for them."""
        if self._taken:
            liars = self._beside(self._taken[0].joined(*self._taken[1:]))
            self._known_liars = self._known_liars.joined(liars) if self._known_liars else liars
            self._taken.clear()
        return self._known_liars

    def _fresh(self, chosen: Points, uniforms: Floats) -> Points:
        """The best neighbour of a point that was tried before; the point itself if all neighbours were."""
        layout = self.model.layout
        seed = np.random.SeedSequence(np.frombuffer(uniforms[0, :2].tobytes(), dtype=np.uint32).tolist())
        numbers = np.random.Generator(np.random.PCG64(seed)).random((rows_of_mutation(layout), FRESH))
        raw = mutated(layout, chosen, numbers).where_given(layout.point(self._given))
        points = self.model.structure.active(raw)
        new = np.flatnonzero(~self._visited.has(points)) if self._visited else np.arange(FRESH)
        if not len(new):
            return chosen
        best = int(new[np.argmax(self.log_ratio(points.take(new)).round(DIGITS))])
        return raw.take(slice(best, best + 1))

    def _take(self, raw: Points) -> list[dict[str, float]]:
        """The values of these points, whose active coordinates are pending from now on."""
        chosen = self.model.structure.active(raw)
        if len(chosen):
            self._taken.append(chosen)
        if self._visited:
            self._visited = self._visited.with_points(chosen)
        return [{**values, **self._given} for values in self.model.layout.all_values(raw)]


def uniforms_of(model: Model, rules: Rules, generator: np.random.Generator) -> Uniforms:
    """The randomness of one suggestion."""
    size = model.layout.dimensions
    return Uniforms(
        generator.random((len(model.structure.levels), 1 + size, rules.n_candidates)),
        generator.random((1 + size, rules.n_candidates)),
    )
