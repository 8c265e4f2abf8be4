"""Where proposals come from: samples drawn ahead of the transaction, and under the lock where that came to nothing.

The proposal of number n depends on the study's seed, n, the history at a seq W, what was running at W, and the numbers
created after W and below n; on nothing else. W is stored with the trial. It may lag behind by a fiftieth of the
history, and twice that while a thread fits the model of a later one: a sampler's model is then worth keeping, and one
trial in fifty changes it little. A sampler that counts the trials of a generation sees all there are: it would go on
drawing from one that is over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from tpeak_server.domain.distributions import Distribution
from tpeak_server.domain.observations import View
from tpeak_server.domain.study import Study, StudyState
from tpeak_server.domain.trial import TrialRecord
from tpeak_server.samplers.registry import build
from tpeak_server.samplers.seam import Batches, Counts, Labours, Sampler, Stream, innermost, walks
from tpeak_server.service.commands import Ask, Suggest
from tpeak_server.service.history import KEPT_PROPOSALS, History
from tpeak_server.service.ledger import Ledger
from tpeak_server.service.plan import LIGHT, PORTION, Plan, draw_late, point_of, takes_time
from tpeak_server.service.prepared import Point, Prepared
from tpeak_server.service.scenes import (
    Scene,
    known_values,
    late_scene,
    scene_of,
    space_of,
    walkers_scene,
    with_created,
)
from tpeak_server.service.stock import Stock

SLOW_AHEAD = 64
"""Suggestions that take their time and are drawn ahead for a group of asks, at most: with 10 parameters a Gaussian
process was seen to take 0.4 s for them with 250 trials, and 2.4 s with 1,000."""

LAG = 0.02
MAX_LAG = 250
"""How many finished trials, as a share of those seen and at most, a scene may miss before it is set anew."""


class TakesTime(Exception):
    """What was to be drawn under the lock, for numbers from `first` on, takes longer than the loop may be away."""

    def __init__(self, first: int) -> None:
        super().__init__(first)
        self.first = first


class Sampling:
    """Draws for one study; keeps its sampler, whose memo is worth keeping, until the settings change."""

    def __init__(self) -> None:
        self._settings: Mapping[str, object] | None = None
        self._sampler: Sampler | None = None
        self._walks = False
        self._lag = LAG
        self._labours: Labours | None = None
        self._batches: Batches | None = None
        self._scene: Scene | None = None
        self._next: Scene | None = None
        """What a thread fits a model of, to take the scene's place."""
        self._fitted: View | None = None
        self._stock: Stock | None = None

    def plan(
        self,
        history: History,
        asks: Sequence[Ask],
        suggests: Sequence[Suggest],
        in_flight: Sequence[Prepared],
        *,
        first: int | None = None,
        alone: bool = True,
    ) -> Plan:
        """Fixes on the event loop what a thread will draw: everything in it is immutable or a copy.

        `in_flight` was drawn before and is on its way to be committed: its points are pending, its numbers taken. Under
        the lock no number below `first` is free. More than wanted is drawn where nobody else takes numbers: `alone`.
        """
        study = history.study
        if self.walks(study):
            return Plan(sampler=self.sampler(study), seed=study.seed)
        # Under the lock the batch itself may have opened the study.
        handing_out = study.state is StudyState.OPEN or first is not None
        wanted, share = self._wanted(history, asks) if handing_out else ([], None)
        scenes = _together(wanted)
        stocking = first is None and alone and share is None
        first = max([first or 0, history.clock.next_number, *(prepared.end for prepared in in_flight)])
        stocked, beyond = self._in_stock(history, scenes, first, in_flight) if stocking else ((), 0)
        fitted, self._fitted = self._fitted, scenes[-1][0].view if scenes else self._fitted
        late = [
            (suggest, known_values(history.unfinished[suggest.number], history.interned, suggest.name))
            for suggest in suggests
            if suggest.number in history.unfinished
        ]
        return Plan(
            sampler=self.sampler(study),
            labours=self._labours,
            fitted=fitted,
            seed=study.seed,
            first=first,
            ahead=list(in_flight),
            before=[point for prepared in in_flight for point in prepared.after(history.clock.next_number)],
            scenes=scenes,
            stocked=stocked,
            beyond=beyond,
            share=share,
            late=[
                (suggest, known, late_scene(history, history.unfinished[suggest.number], suggest, known))
                for suggest, known in late
            ],
        )

    def keep(self, plan: Plan, prepared: Prepared) -> None:
        """Keeps what the plan drew beyond what was wanted, for the numbers that come next."""
        if plan.scenes:
            self._stock = Stock(sampler=plan.sampler, scene=plan.scenes[-1][0], group=prepared)

    def _in_stock(
        self, history: History, scenes: Sequence[tuple[Scene, int]], first: int, in_flight: Sequence[Prepared]
    ) -> tuple[Sequence[Point], int]:
        """The points that were drawn before, and how many more than wanted to draw now: what fills a portion, and not
        more than will be handed out before the scene is outdated, if every trial ends as the next begins.
        """
        if len(scenes) != 1 or self._batches is None:
            return (), 0
        ((scene, count),) = scenes
        stock = self._stock
        stocked = stock.points(self.sampler(history.study), scene, first, in_flight) if stock is not None else ()
        if len(stocked) >= count or not self._batches.batches(scene.view, scene.space):
            return stocked, 0
        left = int(_allowed(scene, self._lag)) - _missed(scene, history)
        return stocked, max(0, min((len(stocked) - count) % PORTION, left))

    def _wanted(self, history: History, asks: Sequence[Ask]) -> tuple[list[tuple[Scene, int]], int | None]:
        """How many new points of which scene, in order; and the share of each ask, where they take their time."""
        study, waiting = history.study, len(history.waiting())
        left = sum(ask.count for ask in asks) - waiting
        if study.max_trials is not None:
            left = min(left, study.max_trials - history.clock.handed)
        if left <= 0:
            return [], None
        current = history.current()
        scenes = [self.scene(history, space_of(study, current, ask.distributions)) for ask in asks]
        slow = any(takes_time(self._labours, scene) for scene, _ in _together((scene, 0) for scene in scenes))
        share = _share(asks) if slow else None
        wanted = []
        for ask, scene in zip(asks, scenes, strict=True):
            handed = min(ask.count, waiting)
            count = min(ask.count - handed, left, ask.count if share is None else share)
            if count > 0:
                wanted.append((scene, count))
            waiting, left = waiting - handed, left - count
        return wanted, share

    def draft(self, history: History) -> Plan | None:
        """A draw for the sake of the model that it takes: of the scene that is to come next, which `take_up` makes the
        one to draw from.

        None where that is not due, or a model is no work for a thread.
        """
        scene = self._scene
        if scene is None or self._next is not None or not self._lag or scene.cells <= LIGHT:
            return None
        if scene.forgotten != history.forgotten or _missed(scene, history) <= _allowed(scene, self._lag):
            return None
        upcoming = scene_of(history, scene.space)
        if takes_time(self._labours, upcoming):
            return None
        self._next = upcoming
        return Plan(
            sampler=self.sampler(history.study), seed=history.study.seed, first=upcoming.next, scenes=[(upcoming, 1)]
        )

    def take_up(self, *, drawn: bool) -> None:
        """Ends the draft; where it was drawn, its scene takes the place of an older one."""
        upcoming, self._next = self._next, None
        if drawn and upcoming is not None and self._scene is not None and self._scene.seq < upcoming.seq:
            self._scene, self._fitted = upcoming, upcoming.view

    def sampler(self, study: Study) -> Sampler:
        """The study's sampler."""
        if self._sampler is None or self._settings != study.sampler:
            self._settings = study.sampler
            self._next = self._fitted = self._stock = None
            self._sampler = build(study.sampler)
            # Whether something is of a protocol takes longer to find out than an ask may wait each time.
            self._walks = walks(self._sampler)
            drawing = innermost(self._sampler)
            self._lag = 0.0 if isinstance(drawing, Counts) else LAG
            self._labours = drawing if isinstance(drawing, Labours) else None
            self._batches = self._sampler if isinstance(self._sampler, Batches) else None
        return self._sampler

    def walks(self, study: Study) -> bool:
        """Whether the study's sampler must see every trial as it is: nothing is drawn ahead for it."""
        self.sampler(study)
        return self._walks

    def labours(self, history: History) -> bool:
        """Whether a suggestion most likely takes much longer than one of TPE."""
        self.sampler(history.study)
        if self._labours is None:
            return False
        return takes_time(
            self._labours, self._scene or scene_of(history, space_of(history.study, history.current(), {}))
        )

    def scene(self, history: History, space: Mapping[str, Distribution]) -> Scene:
        """The scene for new points: the last one while it is fresh enough, with what was created since as pending."""
        if self.walks(history.study):
            return walkers_scene(history, space)
        scene = self._scene
        if scene is None or scene.space != space or self._outdated(scene, history):
            scene = scene_of(history, space)
        elif scene.next < history.clock.next_number:
            since = history.proposed_since(scene.next, space)
            pending = {name: np.concatenate([scene.pending[name], since[name]]) for name in space}
            scene = replace(scene, next=history.clock.next_number, pending=pending)
        self._scene = scene
        return scene

    def _outdated(self, scene: Scene, history: History) -> bool:
        if scene.forgotten != history.forgotten or history.clock.next_number - scene.first > KEPT_PROPOSALS // 2:
            return True
        allowed = _allowed(scene, self._lag)
        return _missed(scene, history) > (allowed if self._next is None else 2 * allowed)

    def points_under_lock(
        self, ledger: Ledger, first: int, count: int, space: Mapping[str, Distribution], *, at_last: bool
    ) -> Prepared:
        """Points for that many numbers from `first` on, which see the trials that this batch has created.

        Fewer where nothing is left: that is never said of a scene which is not the latest. Raises TakesTime, unless a
        thread has drawn under this lock `at_last`, and even that did not foresee these numbers.
        """
        scene = self.scene(ledger.history, space)
        if not at_last and takes_time(self._labours, scene):
            raise TakesTime(min([first, *(n for n in ledger.changes.created if _sampled(ledger.record(n)))]))
        points = self._points(ledger, scene, first, 1 if self.walks(ledger.study) else count)
        if len(points) < count and scene.seq != ledger.history.clock.seq:
            self._scene = None
            points = self._points(ledger, self.scene(ledger.history, space), first, count)
        return Prepared(first=first, points=points)

    def _points(self, ledger: Ledger, scene: Scene, first: int, count: int) -> list[Point]:
        created = [ledger.record(n) for n in sorted(ledger.changes.created)]
        pending = with_created(scene, created, ledger.interned)
        sampler = self.sampler(ledger.study)
        streams = [Stream(ledger.study.seed, number) for number in range(first, first + count)]
        drawn = sampler.suggest(scene.view, scene.space, pending, streams)
        return [point_of(suggestion, scene, sampler) for suggestion in drawn]

    def value_under_lock(self, ledger: Ledger, suggest: Suggest, known: Mapping[str, float], *, at_last: bool) -> float:
        """A value for a late parameter, conditional on what the trial has. Raises TakesTime as `points_under_lock`."""
        scene = late_scene(ledger.history, ledger.record(suggest.number), suggest, known)
        if not at_last and takes_time(self._labours, scene):
            raise TakesTime(ledger.next_number)
        if self.walks(ledger.study):
            scene = walkers_scene(ledger.history, scene.space)
        return draw_late(self.sampler(ledger.study), ledger.study.seed, suggest, known, scene)


def _share(asks: Sequence[Ask]) -> int:
    """How many points each ask may have, one at least, so that all of them have no more than SLOW_AHEAD."""
    counts = [ask.count for ask in asks]
    return next((n for n in range(SLOW_AHEAD, 1, -1) if sum(min(count, n) for count in counts) <= SLOW_AHEAD), 1)


def _sampled(record: TrialRecord) -> bool:
    return record.trial.sampled_at_seq is not None


def _missed(scene: Scene, history: History) -> int:
    """How many finished trials a scene does not show."""
    return history.teaching() - len(scene.view.numbers)


def _allowed(scene: Scene, lag: float) -> float:
    """How many it may miss."""
    return min(MAX_LAG, lag * len(scene.view.numbers))


def _together(scenes: Iterable[tuple[Scene, int]]) -> list[tuple[Scene, int]]:
    """The same scene in a row as one: many points drawn at once cost a small part of as many draws."""
    merged: list[tuple[Scene, int]] = []
    for scene, count in scenes:
        if merged and merged[-1][0] is scene:
            merged[-1] = (scene, merged[-1][1] + count)
        else:
            merged.append((scene, count))
    return merged
