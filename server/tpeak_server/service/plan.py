"""A group of asks as what is to be drawn for it: fixed on the event loop, drawn there in portions or in a thread."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from tpeak_server.domain.distributions import Distribution
from tpeak_server.domain.errors import Invalid
from tpeak_server.domain.observations import Suggestion, View
from tpeak_server.samplers.seam import Labours, Sampler, Stream
from tpeak_server.service.commands import Suggest
from tpeak_server.service.prepared import Point, Prepared
from tpeak_server.service.scenes import Scene, with_points

PORTION = 8
"""Suggestions drawn before others get a turn: with a model at hand TPE takes 2 to 15 ms for them."""

LIGHT = 50_000
"""Trials times parameters of a history that a sampler has not seen yet, up to which it is no work for a thread: TPE
fits a model of it in less than 10 ms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to draw: in order, for each scene that many new points, and each late parameter.

    The first points are `stocked`: drawn before. After the last scene's up to `beyond` more are drawn with it. The
    sampler has drawn from the view `fitted` before. Each ask gets its `share` of the points at most.
    """

    sampler: Sampler
    labours: Labours | None = None
    """The same, if it takes its time for a suggestion."""
    fitted: View | None = None
    seed: int
    first: int = 0
    ahead: Sequence[Prepared] = ()
    before: Sequence[Point] = ()
    scenes: Sequence[tuple[Scene, int]] = ()
    stocked: Sequence[Point] = ()
    beyond: int = 0
    share: int | None = None
    late: Sequence[tuple[Suggest, Mapping[str, float], Scene]] = ()

    @property
    def heavy(self) -> bool:
        """Whether a portion takes so long that it is work for a thread."""
        drawn = [*(scene for scene, _ in self.scenes), *(scene for *_, scene in self.late)]
        if any(takes_time(self.labours, scene) for scene in drawn):
            return True
        return any(scene.cells > LIGHT for scene in drawn if scene.view is not self.fitted)

    def draw(self) -> Prepared:
        """Draws everything; may run in a thread."""
        *_, prepared = self.portions()
        return prepared

    def draw_under_lock(self, share: int) -> Prepared:
        """The same, where the study's lock was held since before it was planned: so many for each ask."""
        return replace(self.draw(), share=share, under_lock=True)

    def portions(self) -> Iterator[Prepared]:
        """Draws everything, and gives after each portion what there is then: everything at last."""
        points, end = [*self.stocked], 0
        for scene, count in self.scenes:
            end += count
            for start in range(min(len(points), end), end, PORTION):
                beyond = self.beyond if scene is self.scenes[-1][0] else 0
                points += self._points(scene, points, min(PORTION, end + beyond - start))
                yield self._prepared(points[:end])
        yield replace(self._prepared(points[:end]), spare=points[end:], late=self._draw_late())

    def _prepared(self, points: Sequence[Point]) -> Prepared:
        return Prepared(first=self.first, points=points, ahead=self.ahead, share=self.share)

    def _points(self, scene: Scene, drawn: Sequence[Point], count: int) -> list[Point]:
        """Points for the numbers after those drawn, in sight of them."""
        first = self.first + len(drawn)
        streams = [Stream(self.seed, number) for number in range(first, first + count)]
        pending = with_points(scene, [*self.before, *drawn])
        suggestions = self.sampler.suggest(scene.view, scene.space, pending, streams)
        return [point_of(suggestion, scene, self.sampler) for suggestion in suggestions]

    def _draw_late(self) -> dict[tuple[int, str], tuple[tuple[Mapping[str, float], Distribution], float]]:
        late = {}
        for suggest, known, scene in self.late:
            # Who asks for what cannot be is told so when it is drawn once more, and the others get theirs.
            with suppress(Invalid):
                value = draw_late(self.sampler, self.seed, suggest, known, scene)
                late[suggest.number, suggest.name] = ((known, suggest.distribution), value)
        return late


def takes_time(labours: Labours | None, scene: Scene) -> bool:
    """Whether a suggestion for the scene takes much longer than one of TPE."""
    return labours is not None and labours.labours(scene.view, scene.space, scene.pending)


def draw_late(sampler: Sampler, seed: int, suggest: Suggest, known: Mapping[str, float], scene: Scene) -> float:
    """A late parameter's internal value, from a stream of its own."""
    stream = Stream(seed, suggest.number, suggest.name)
    drawn = sampler.suggest(scene.view, scene.space, scene.pending, [stream], fixed=known)
    return drawn[0].values[suggest.name]


def point_of(suggestion: Suggestion, scene: Scene, sampler: Sampler) -> Point:
    """The suggestion with what is needed to draw it again."""
    return Point(
        space=scene.space,
        values=suggestion.values,
        origin=suggestion.origin,
        seq=scene.seq,
        version=sampler.version,
        distributions=suggestion.distributions,
        fixed=suggestion.fixed,
    )
