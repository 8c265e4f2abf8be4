"""Where proposals come from: samples drawn ahead of the transaction, and under the lock where that came to nothing.

The proposal of number n depends on the study's seed, n, the history at a seq W, what was running at W, and the numbers
created after W and below n; on nothing else. W is stored with the trial. It may lag behind by a fiftieth of the
history: a sampler's model of it is then worth keeping, and one trial in fifty changes it little. A sampler that counts
the trials of a generation sees all there are: it would go on drawing from one that is over.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from tpeak_server.domain.distributions import Distribution
from tpeak_server.domain.errors import Invalid
from tpeak_server.domain.observations import Floats, Suggestion, View
from tpeak_server.domain.study import Study
from tpeak_server.domain.trial import Interned, TrialRecord
from tpeak_server.samplers.registry import build
from tpeak_server.samplers.seam import Counts, Labours, Sampler, Stream, innermost, walks
from tpeak_server.service.commands import Ask, Suggest
from tpeak_server.service.history import KEPT_PROPOSALS, History, translated
from tpeak_server.service.ledger import Ledger
from tpeak_server.service.prepared import Point, Prepared

LAG = 0.02
MAX_LAG = 100
"""How many finished trials, as a share of those seen and at most, a scene may miss before it is set anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What a sampler sees for one space: the view as of one seq, when `first` was the next number, and as pending what
    ran then and every number from there up to `next`. It is over once more than `forgotten` was forgotten.
    """

    seq: int
    first: int
    next: int
    forgotten: int
    space: Mapping[str, Distribution]
    view: View
    pending: Mapping[str, Floats]


class Sampling:
    """Draws for one study; keeps its sampler, whose memo is worth keeping, until the settings change."""

    def __init__(self) -> None:
        self._settings: Mapping[str, object] | None = None
        self._sampler: Sampler | None = None
        self._walks = False
        self._lag = LAG
        self._labours: Labours | None = None
        self._scene: Scene | None = None

    def plan(
        self, history: History, asks: Sequence[Ask], suggests: Sequence[Suggest], in_flight: Sequence[Prepared]
    ) -> Plan:
        """Fixes on the event loop what a thread will draw: everything in it is immutable or a copy.

        `in_flight` was drawn before and is on its way to be committed: its points are pending, its numbers taken.
        """
        study = history.study
        if self.walks(study):
            return Plan(sampler=self.sampler(study), seed=study.seed)
        left = sum(ask.count for ask in asks) - len(history.waiting())
        if study.max_trials is not None:
            left = min(left, study.max_trials - history.clock.handed)
        scenes: list[tuple[Scene, int]] = []
        for ask in reversed(asks):
            count = min(ask.count, left)
            if count > 0:
                scenes.insert(0, (self.scene(history, space_of(study, history.current(), ask.distributions)), count))
                left -= count
        late = [
            (suggest, known_values(history.unfinished[suggest.number], history.interned, suggest.name))
            for suggest in suggests
            if suggest.number in history.unfinished
        ]
        return Plan(
            sampler=self.sampler(study),
            labours=self._labours,
            seed=study.seed,
            first=max([history.clock.next_number, *(prepared.end for prepared in in_flight)]),
            ahead=list(in_flight),
            before=[point for prepared in in_flight for point in prepared.after(history.clock.next_number)],
            scenes=scenes,
            late=[
                (suggest, known, late_scene(history, history.unfinished[suggest.number], suggest, known))
                for suggest, known in late
            ],
        )

    def sampler(self, study: Study) -> Sampler:
        """The study's sampler."""
        if self._sampler is None or self._settings != study.sampler:
            self._settings = study.sampler
            self._sampler = build(study.sampler)
            # Whether something is of a protocol takes longer to find out than an ask may wait each time.
            self._walks = walks(self._sampler)
            drawing = innermost(self._sampler)
            self._lag = 0.0 if isinstance(drawing, Counts) else LAG
            self._labours = drawing if isinstance(drawing, Labours) else None
        return self._sampler

    def walks(self, study: Study) -> bool:
        """Whether the study's sampler must see every trial as it is: nothing is drawn ahead for it."""
        self.sampler(study)
        return self._walks

    def scene(self, history: History, space: Mapping[str, Distribution]) -> Scene:
        """The scene for new points: the last one while it is fresh enough, with what was created since as pending."""
        if self.walks(history.study):
            return walkers_scene(history, space)
        scene = self._scene
        if scene is None or scene.space != space or _outdated(scene, history, self._lag):
            scene = scene_of(history, space)
        elif scene.next < history.clock.next_number:
            since = history.proposed_since(scene.next, space)
            pending = {name: np.concatenate([scene.pending[name], since[name]]) for name in space}
            scene = replace(scene, next=history.clock.next_number, pending=pending)
        self._scene = scene
        return scene

    def points_under_lock(self, ledger: Ledger, first: int, count: int, space: Mapping[str, Distribution]) -> Prepared:
        """Points for that many numbers from `first` on, which see the trials that this batch has created.

        Fewer where nothing is left: that is never said of a scene which is not the latest.
        """
        scene = self.scene(ledger.history, space)
        points = self._points(ledger, scene, first, 1 if self.walks(ledger.study) else count)
        if len(points) < count and scene.seq != ledger.history.clock.seq:
            self._scene = None
            points = self._points(ledger, self.scene(ledger.history, space), first, count)
        return Prepared(first=first, points=points)

    def _points(self, ledger: Ledger, scene: Scene, first: int, count: int) -> list[Point]:
        created = [ledger.record(n) for n in sorted(ledger.changes.created)]
        pending = _with_created(scene, created, ledger.interned)
        sampler = self.sampler(ledger.study)
        streams = [Stream(ledger.study.seed, number) for number in range(first, first + count)]
        drawn = sampler.suggest(scene.view, scene.space, pending, streams)
        return [_point(suggestion, scene, sampler) for suggestion in drawn]

    def value_under_lock(self, ledger: Ledger, suggest: Suggest, known: Mapping[str, float]) -> float:
        """A value for a late parameter, conditional on what the trial has."""
        scene = late_scene(ledger.history, ledger.record(suggest.number), suggest, known)
        if self.walks(ledger.study):
            scene = walkers_scene(ledger.history, scene.space)
        return draw_late(self.sampler(ledger.study), ledger.study.seed, suggest, known, scene)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to draw: in order, for each scene that many new points, and each late parameter."""

    sampler: Sampler
    labours: Labours | None = None
    """The same, if it takes its time for a suggestion."""
    seed: int
    first: int = 0
    ahead: Sequence[Prepared] = ()
    before: Sequence[Point] = ()
    scenes: Sequence[tuple[Scene, int]] = ()
    late: Sequence[tuple[Suggest, Mapping[str, float], Scene]] = ()

    @property
    def work(self) -> float:
        """How much there is to do, in kernels times parameters times suggestions; infinite for what takes its time."""
        drawn = [*self.scenes, *((scene, 1) for *_, scene in self.late)]
        labours = self.labours
        if labours is not None and any(labours.labours(scene.view, scene.space) for scene, _ in drawn):
            return math.inf
        return sum(len(scene.view.numbers) * len(scene.space) * count for scene, count in drawn)

    def draw(self) -> Prepared:
        """Draws everything; may run in a thread."""
        points: list[Point] = []
        for scene, count in self.scenes:
            numbers = range(self.first + len(points), self.first + len(points) + count)
            streams = [Stream(self.seed, number) for number in numbers]
            pending = _with_points(scene, [*self.before, *points])
            drawn = self.sampler.suggest(scene.view, scene.space, pending, streams)
            points += [_point(suggestion, scene, self.sampler) for suggestion in drawn]
        return Prepared(first=self.first, points=points, late=self._draw_late(), ahead=self.ahead)

    def _draw_late(self) -> dict[tuple[int, str], tuple[tuple[Mapping[str, float], Distribution], float]]:
        late = {}
        for suggest, known, scene in self.late:
            # Who asks for what cannot be is told so when it is drawn once more, and the others get theirs.
            with suppress(Invalid):
                value = draw_late(self.sampler, self.seed, suggest, known, scene)
                late[suggest.number, suggest.name] = ((known, suggest.distribution), value)
        return late


def space_of(
    study: Study, current: Mapping[str, Interned], distributions: Mapping[str, Distribution]
) -> dict[str, Distribution]:
    """The space of an ask: what the study declares, what its trials were last given, what the ask adds."""
    seen = {name: interned.distribution for name, interned in current.items()}
    return {**(study.space or {}), **seen, **distributions}


def scene_of(history: History, space: Mapping[str, Distribution]) -> Scene:
    """What a sampler sees of the study as of the cache."""
    return Scene(
        seq=history.clock.seq,
        first=history.clock.next_number,
        next=history.clock.next_number,
        forgotten=history.forgotten,
        space=space,
        view=history.view(space),
        pending=history.pending(space),
    )


def walkers_scene(history: History, space: Mapping[str, Distribution]) -> Scene:
    """What a sampler sees that must see every trial."""
    scene = scene_of(history, space)
    return replace(scene, view=replace(scene.view, tried=history.tries()))


def _outdated(scene: Scene, history: History, lag: float) -> bool:
    if scene.forgotten != history.forgotten:
        return True
    seen = len(scene.view.numbers)
    missed, created = history.teaching() - seen, history.clock.next_number - scene.first
    return missed > min(MAX_LAG, lag * seen) or created > KEPT_PROPOSALS // 2


def known_values(record: TrialRecord, interned: Mapping[int, Interned], wanted: str) -> dict[str, float]:
    """What the trial has fixed already, by name, in internal values; the wanted name aside."""
    return {name: value for name, (_, value) in record.known(interned).items() if name != wanted}


def late_scene(history: History, record: TrialRecord, suggest: Suggest, known: Mapping[str, float]) -> Scene:
    """What a sampler sees for one late parameter: its space is what the trial has, and that parameter."""
    ids = record.known(history.interned)
    space = {name: history.interned[ids[name][0]].distribution for name in known}
    return scene_of(history, {**space, suggest.name: suggest.distribution})


def draw_late(sampler: Sampler, seed: int, suggest: Suggest, known: Mapping[str, float], scene: Scene) -> float:
    """A late parameter's internal value, from a stream of its own."""
    stream = Stream(seed, suggest.number, suggest.name)
    drawn = sampler.suggest(scene.view, scene.space, scene.pending, [stream], fixed=known)
    return drawn[0].values[suggest.name]


def _point(suggestion: Suggestion, scene: Scene, sampler: Sampler) -> Point:
    return Point(
        space=scene.space,
        values=suggestion.values,
        origin=suggestion.origin,
        seq=scene.seq,
        version=sampler.version,
        distributions=suggestion.distributions,
        fixed=suggestion.fixed,
    )


def _with_points(scene: Scene, points: Sequence[Point]) -> Mapping[str, Floats]:
    if not points:
        return scene.pending
    proposed = [{name: (point.distribution(name), value) for name, value in point.values.items()} for point in points]
    return _beside(scene, proposed)


def _with_created(
    scene: Scene, created: Sequence[TrialRecord], interned: Mapping[int, Interned]
) -> Mapping[str, Floats]:
    """As the cache will have them: `History.proposed_since`."""
    trials = [record.trial for record in created]
    proposed = [
        {interned[i].name: (interned[i].distribution, value) for i, value in trial.proposed.items()}
        for trial in trials
        if trial.sampled_at_seq is not None and not trial.deleted
    ]
    return _beside(scene, proposed) if proposed else scene.pending


def _beside(scene: Scene, proposed: Sequence[Mapping[str, tuple[Distribution, float]]]) -> Mapping[str, Floats]:
    """The scene's pending trials followed by others, of which the internal value and its distribution are given."""
    return {
        name: np.append(
            column, [translated(scene.space[name], *one[name]) if name in one else np.nan for one in proposed]
        )
        for name, column in scene.pending.items()
    }
