"""One drawing: candidates from a model, their scores, and the best of each suggestion's, each pending to the next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tpeak_server.domain.observations import Floats
from tpeak_server.samplers.layout import Points
from tpeak_server.samplers.tpe.contest import DIGITS, Contest
from tpeak_server.samplers.tpe.mixture import Kernels, Precision
from tpeak_server.samplers.tpe.model import Model
from tpeak_server.samplers.tpe.mutations import mutated, rows_of_mutation
from tpeak_server.samplers.tpe.rules import Rules

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

    def draw(self, uniforms: Sequence[Uniforms]) -> Iterator[dict[str, float]]:
        """The internal values of the best candidate for each of the `uniforms_of` some streams, in order."""
        if not self.model.structure.levels:
            yield from self._draw(uniforms, self._given_point)
            return
        for one in uniforms:
            yield from self._draw([one], self._branch(one))

    def _draw(self, uniforms: Sequence[Uniforms], given: Points | None) -> Iterator[dict[str, float]]:
        raw = self._candidates(uniforms, given)
        points = self.model.structure.active(raw)
        barred = self._visited.has(points) if self._visited else None
        contest = self._contest(points, blocks=len(uniforms), barred=barred)
        if len(uniforms) > 1:
            # Most often one of these is chosen, and pending to the suggestions after it.
            shortlist = contest.highest()
            lies = self._beside(points.take(shortlist)).log_each(contest.query)
        for number, one in enumerate(uniforms):
            block = contest.block(number)
            if number and self._visited:
                contest.barred[block] |= self._visited.has(points.take(block))
            best = contest.winner(number)
            chosen, fresh = raw.take(slice(best, best + 1)), bool(contest.barred[best])
            if fresh:
                chosen = self._fresh(chosen, one.joint)
            yield {**self.model.layout.values(chosen), **self._given}
            liar = self._take(chosen)
            if block.stop == len(points):
                continue
            place = (shortlist == best).nonzero()[0]
            if len(place) and not fresh:
                contest.add_lies(lies[block.stop :, place[0]], block.stop)
            else:
                rest = contest.query.take(slice(block.stop, None))
                contest.add_lies(self._beside(liar).log_sum(rest), block.stop)

    def _contest(self, points: Points, *, blocks: int = 1, barred: NDArray[np.bool_] | None = None) -> Contest:
        good, bad = self.model.good.kernels, self.model.bad.kernels
        query = good.query(points)
        return Contest(query, good, bad, self._liars, blocks=blocks, barred=barred, precision=self._precision)

    def log_ratio(self, points: Points) -> Floats:
        """The score log l - log g (c,) of active points, to the last digits."""
        return self.model.log_ratio(points, self._liars)

    def weighed(self, uniforms: Uniforms) -> tuple[list[dict[str, float]], Floats]:
        """The internal values and the score (c,) of each of one suggestion's candidates."""
        given = self._branch(uniforms) if self.model.structure.levels else self._given_point
        raw = self._candidates([uniforms], given)
        layout = self.model.layout
        return [layout.values(raw, at) for at in range(len(raw))], self.log_ratio(self.model.structure.active(raw))

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
            best = self._contest(points).winner()
            given = points.take(slice(best, best + 1))
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

    def _take(self, raw: Points) -> Points:
        """The active coordinates of a point, which is pending from now on."""
        chosen = self.model.structure.active(raw)
        self._taken.append(chosen)
        if self._visited:
            self._visited = self._visited.with_points(chosen)
        return chosen


def uniforms_of(model: Model, rules: Rules, generator: np.random.Generator) -> Uniforms:
    """The randomness of one suggestion."""
    size = model.layout.dimensions
    return Uniforms(
        generator.random((len(model.structure.levels), 1 + size, rules.n_candidates)),
        generator.random((1 + size, rules.n_candidates)),
    )
