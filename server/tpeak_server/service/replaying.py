"""What a pruning rule would have done to a study: its reports, decided on once more in the order in which they came."""

from __future__ import annotations

import asyncio
import math
from array import array
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Any, TypeVar

from tpeak_server.domain.errors import Overloaded, StudyNotFound
from tpeak_server.domain.observations import Curve
from tpeak_server.domain.study import Study
from tpeak_server.domain.trial import TrialState
from tpeak_server.pruners.agreement import check_objective
from tpeak_server.pruners.registry import resolve
from tpeak_server.service.curves import Curves
from tpeak_server.service.reporting import Pruning
from tpeak_server.storage import curves, studies
from tpeak_server.storage.curves import Counting, Ended
from tpeak_server.storage.database import Database

T = TypeVar("T")

MAX_REPLAYING = 8
"""Replays that may be under way: one at a time holds the reports of a whole study, the others wait for it."""

SLICE = 5_000
"""Reports that are decided on before the server may do something else, as to end."""

NO_RULE = {"name": "nop"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A trial that would have been pruned after its report at `step`, and what it really became.

    `value` is what it has of the objective that the rule looks at, None where it has none.
    """

    number: int
    step: int
    reason: str | None
    state: TrialState
    value: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """The trial with the best value."""

    number: int
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What the rule would have done: of `trials` with `reports` those of `decisions` would have ended early, which
    would have `saved` so many reports. The costs are sums of those reported, None where there are none.

    `best` is the best complete and feasible trial of the objective that the rule looks at, `best_kept` the best of
    those that would have been complete with the rule, too.
    """

    trials: int
    reports: int
    saved: int
    cost: float | None
    cost_saved: float | None
    best: Best | None
    best_kept: Best | None
    decisions: Sequence[Cut]


@dataclass(slots=True, kw_only=True)
class Reports:
    """Reports by seq (r,) as columns: a number in them takes eight bytes, and no object."""

    seqs: array[int] = field(default_factory=lambda: array("q"))
    numbers: array[int] = field(default_factory=lambda: array("q"))
    steps: array[int] = field(default_factory=lambda: array("q"))
    values: array[float] = field(default_factory=lambda: array("d"))
    costs: array[float] = field(default_factory=lambda: array("d"))

    def __len__(self) -> int:
        return len(self.seqs)

    def take(self, rows: Iterable[Sequence[Any]], counting: Counting) -> None:
        """Adds those rows of seq, number, epoch, step, value and cost that count."""
        for seq, number, epoch, step, value, cost in rows:
            if counting.counts(number, epoch, step):
                self.seqs.append(seq)
                self.numbers.append(number)
                self.steps.append(step)
                self.values.append(value)
                self.costs.append(cost)

    def rows(self, first: int, last: int) -> Iterator[tuple[int, int, int, float, float]]:
        """The rows from `first` up to before `last`."""
        columns = (self.seqs, self.numbers, self.steps, self.values, self.costs)
        return zip(*(column[first:last] for column in columns), strict=True)


class Replaying:
    """Replays pruning rules on studies of one database, one at a time: never from a cache, and in nobody's way."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._turn = asyncio.Lock()
        self._under_way = 0

    async def replay(self, study_id: int, pruner: Mapping[str, Any]) -> Replayed:
        """What the rule would have done. Raises StudyNotFound, Overloaded, and Invalid for settings that are wrong."""
        settings = resolve(pruner)
        if self._under_way >= MAX_REPLAYING:
            raise Overloaded(f"{MAX_REPLAYING} replays are under way on this server; try again later")
        self._under_way += 1
        try:
            async with self._turn:
                return await self._replay(study_id, settings)
        finally:
            self._under_way -= 1

    async def _replay(self, study_id: int, settings: Mapping[str, Any]) -> Replayed:
        async with self._database.reading() as connection:
            study = await studies.by_id(connection, study_id)
            if study is None:
                raise StudyNotFound("there is no such study; it may have been made on another database")
            check_objective(settings, len(study.directions))
            place = replace(study, pruner=settings).pruned_objective
            ended = await curves.ended(connection, study_id)
            counting = await curves.counting(connection, study_id)
        reports = await self._read(study_id, counting, place or 0)
        course = await asyncio.to_thread(Course, _looking_at(study, settings, place), place, ended, reports)
        for first in range(0, len(reports), SLICE):
            await asyncio.to_thread(course.follow, first, first + SLICE)
        return await asyncio.to_thread(course.replayed)

    async def _read(self, study_id: int, counting: Counting, place: int) -> Reports:
        """The reports that count. No connection is held, and no snapshot, for longer than a page of them takes."""
        reports = Reports()
        for after in range(0, counting.seq, curves.PAGE):
            async with self._database.reading() as connection:
                page = await curves.page(connection, study_id, counting, after=after, place=place)
            await asyncio.to_thread(reports.take, page, counting)
        return reports


class Course:
    """The study's course under a rule, report by report.

    The study is one of a single objective: the one that is found at `place` in the trials' values; None for no rule.
    """

    def __init__(self, study: Study, place: int | None, ended: Sequence[Ended], reports: Reports) -> None:
        self._study = study
        self._sign = study.signs[0]
        self._reports = reports
        self._states = {one.trial.number: one.trial.state for one in ended}
        self._values = {one.trial.number: _value(one, place) for one in ended}
        self._exempt = {one.trial.number for one in ended if one.trial.exempt}
        self._counting = {one.trial.number for one in ended if _counts(one, place)}
        last = {number: seq for seq, number, *_ in reports.rows(0, len(reports))}
        self._reporting = len(last)
        # What came from outside is complete before its reports: here it is with the last of them.
        completions = (
            (max(one.seq, last.get(one.trial.number, 0)), one.trial.number)
            for one in ended
            if one.trial.state is TrialState.COMPLETE
        )
        self._completions = deque(sorted(completions))
        self._pruning = Pruning()
        self._curves = Curves(study)
        self._costly = any(cost > 0.0 for cost in reports.costs)
        self._going: dict[int, tuple[Curve, tuple[float, ...]]] = {}
        """What trials that may still be pruned have reported, and the cost of each report."""
        self._cuts: dict[int, Cut] = {}
        self._saved = array("d")

    def follow(self, first: int, last: int) -> None:
        """Decides on the reports from `first` up to before `last`."""
        for seq, number, step, value, cost in self._reports.rows(first, last):
            self._complete_before(seq)
            if number in self._cuts:
                self._saved.append(cost)
            else:
                self._decide(number, step, value, cost)

    def replayed(self) -> Replayed:
        """What came of it, after all reports."""
        cost = _sum(self._reports.costs)
        return Replayed(
            trials=self._reporting,
            reports=len(self._reports),
            saved=len(self._saved),
            cost=cost,
            cost_saved=None if cost is None else _sum(self._saved) or 0.0,
            best=self._best(self._counting),
            best_kept=self._best(self._counting - self._cuts.keys()),
            decisions=list(self._cuts.values()),
        )

    def _complete_before(self, seq: int) -> None:
        """Counts the trials as complete that were by then, unless they were cut."""
        while self._completions and self._completions[0][0] < seq:
            _, number = self._completions.popleft()
            self._going.pop(number, None)
            if number not in self._cuts:
                value = self._values[number] if number in self._counting else None
                self._curves.finish(number, None if value is None else (value,))

    def _decide(self, number: int, step: int, value: float, cost: float) -> None:
        """As the server decides on a report that comes by itself."""
        self._study, rule = self._pruning.rule(self._study, self._curves)
        grown = self._grown(number, step, self._sign * value, cost)
        decision = rule.decide(grown, self._curves, sign=self._sign)
        self._curves.add(number, step, (value,), grown.spent)
        if decision.prune and number not in self._exempt:
            del self._going[number]
            state, final = self._states[number], self._values[number]
            self._cuts[number] = Cut(number=number, step=step, reason=decision.reason, state=state, value=final)

    def _grown(self, number: int, step: int, loss: float, cost: float) -> Curve:
        """The trial's curve with one more report."""
        known, costs = self._going.get(number, (Curve(number=number, steps=(), losses=()), ()))
        at = bisect_left(known.steps, step)
        before = known.steps if at == len(known.steps) else known.steps[:-1]
        cost = 0.0 if math.isnan(cost) else cost
        costs = _inserted(costs, at, cost) if self._costly else ()
        grown = Curve(
            number=number,
            steps=_inserted(known.steps, at, step),
            losses=_inserted(known.losses, at, loss),
            before=before[-1] if before else None,
            spent=_summed(known.spent, costs, at) if self._costly else (),
            known_step=known.steps[-1] if known.steps else None,
            known_cost=known.spent[-1] if known.spent else 0.0,
        )
        self._going[number] = grown, costs
        return grown

    def _best(self, numbers: Iterable[int]) -> Best | None:
        """The best of these trials, the lowest number among equals; only finite values count."""
        values = ((self._values[number], number) for number in numbers)
        ranked = [
            (self._sign * value, number) for value, number in values if value is not None and math.isfinite(value)
        ]
        if not ranked:
            return None
        loss, number = min(ranked)
        return Best(number=number, value=self._sign * loss)


def _inserted(row: tuple[T, ...], at: int, one: T) -> tuple[T, ...]:
    return (*row[:at], one, *row[at:])


def _summed(spent: tuple[float, ...], costs: tuple[float, ...], at: int) -> tuple[float, ...]:
    """The sums of the costs up to each, of which those before the place `at` are known."""
    return (*spent[: at - 1], *accumulate(costs[at:], initial=spent[at - 1])) if at else tuple(accumulate(costs))


def _looking_at(study: Study, settings: Mapping[str, Any], place: int | None) -> Study:
    """The study with this rule, as if the objective that it looks at was the only one; without one it looks at none."""
    rule = NO_RULE if place is None else {name: value for name, value in settings.items() if name != "objective"}
    return replace(study, directions=(study.directions[place or 0],), pruner=rule, pruner_auto={})


def _value(one: Ended, place: int | None) -> float | None:
    values = one.trial.values
    return None if values is None or place is None or place >= len(values) else values[place]


def _counts(one: Ended, place: int | None) -> bool:
    """Whether the trial may be the best one."""
    complete = one.trial.state is TrialState.COMPLETE and _value(one, place) is not None
    return complete and one.trial.violation == 0.0


def _sum(costs: Iterable[float]) -> float | None:
    """The sum of the costs that are there, None where there is none."""
    there = array("d", (cost for cost in costs if not math.isnan(cost)))
    return sum(there) if there else None
