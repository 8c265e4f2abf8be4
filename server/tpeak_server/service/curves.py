"""The intermediate losses of a study's trials, by trial and by step: what a pruning rule compares with.

They are kept by change, so that a decision reads no report again: the losses of complete trials at each step, and what
every trial had when it first reached a step, or a cost, that some rule has asked about, in ascending arrays.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from tpeak_server.domain.finished import Alike, Finished, Stepwise
from tpeak_server.domain.observations import Curve, Reports
from tpeak_server.domain.study import Study
from tpeak_server.domain.trial import TrialRecord, TrialState
from tpeak_server.pruners.resource import Resource
from tpeak_server.service.reported import NOTHING, Reported, each_reported, reported_in


@dataclass(slots=True)
class Rung:
    """What trials had at the first step at or beyond an amount, by number and ascending."""

    amount: float
    resource: Resource
    members: Callable[[int], bool] | None
    of: dict[int, float] = field(default_factory=dict)
    losses: array[float] = field(default_factory=lambda: array("d"))

    def put(self, number: int, loss: float) -> None:
        """What this trial has there: NaN for nothing."""
        before = self.of.get(number)
        if before == loss:
            return
        if before is not None:
            del self.of[number]
            _remove(self.losses, before)
        if not math.isnan(loss):
            self.of[number] = loss
            insort(self.losses, loss)


class Curves:
    """Curves by trial number. They are losses of the objective that the study's rule looks at.

    `length` is how many reports they have together.
    """

    def __init__(self, study: Study) -> None:
        self.length = 0
        self._of: dict[int, Reported] = {}
        self._final: dict[int, tuple[float, ...] | None] = {}
        """The values of complete trials, None where these do not count as the best."""
        self._rule = (study.pruner, study.pruner_auto)
        self._place, self._sign = _looked_at(study)
        self._costs: dict[int, float] = {}
        """What the reports of complete trials cost together, of those whose reports have a cost above 0."""
        self._by_step: dict[int, array[float]] = {}
        self._rungs: dict[tuple[Resource, float, int], Rung] = {}
        self._best: Curve | None = None
        self._best_is_known = False

    @property
    def complete(self) -> int:
        """How many trials are complete."""
        return len(self._final)

    @property
    def deepest(self) -> int | None:
        """The last step of all that complete trials have; None where none has any."""
        steps = (self._of[number].steps[-1] for number in self._final if number in self._of)
        return max(steps, default=None)

    @property
    def deepest_cost(self) -> float | None:
        """The greatest cost that a complete trial's reports have together; None where none has any."""
        return max(self._costs.values(), default=None)

    @property
    def best(self) -> Curve | None:
        """The curve of the complete and feasible trial with the least final loss, the earliest of them."""
        if not self._best_is_known:
            losses = {number: self._final_loss(number) for number in self._final}
            counting = [(loss, number) for number, loss in losses.items() if not math.isnan(loss)]
            self._best = self._curve(min(counting)[1]) if counting else None
            self._best_is_known = True
        return self._best

    def reports(self, numbers: Sequence[int], most: int) -> Reports | None:
        """What these trials reported of their only objective; None where that is more than so many reports."""
        found = [self._of.get(number, NOTHING) for number in numbers]
        starts = np.cumsum([0, *(len(reported.steps) for reported in found)])
        if starts[-1] > most:
            return None
        steps, losses = array("q"), array("d")
        for reported in found:
            steps += reported.steps
            losses += reported.values[0]
        return Reports(
            starts=starts,
            steps=np.frombuffer(steps, dtype=np.int64),
            losses=self._sign * np.frombuffer(losses, dtype=np.float64),
        )

    def losses_at(self, step: int) -> Sequence[float]:
        """The losses of the complete trials at the step, ascending, without NaN."""
        return self._by_step.get(step, ())

    def reached(
        self,
        amount: float,
        without: int,
        *,
        resource: Resource = Resource.STEP,
        bracket: int = 0,
        members: Callable[[int], bool] | None = None,
    ) -> Sequence[float]:
        """What the members had at the first step at or beyond this amount, ascending; see the seam."""
        rung = self._rungs.get((resource, amount, bracket))
        if rung is None:
            rung = self._rungs[resource, amount, bracket] = Rung(amount, resource, members)
            rung.of = {
                number: loss
                for number, reported in self._of.items()
                if not math.isnan(loss := self._loss_at(rung, number, reported))
            }
            rung.losses = array("d", sorted(rung.of.values()))
        if without not in rung.of:
            return rung.losses
        others = rung.losses[:]
        _remove(others, rung.of[without])
        return others

    def follow(self, study: Study) -> None:
        """Looks at what the study's rule looks at from here on."""
        rule = (study.pruner, study.pruner_auto)
        if self._rule == rule:
            return
        self._rule = rule
        self._rungs.clear()
        looked_at = _looked_at(study)
        if (self._place, self._sign) != looked_at:
            self._place, self._sign = looked_at
            self._by_step.clear()
            self._best_is_known = False
            for number in self._final:
                self._count(number)

    def put(self, record: TrialRecord, *, feasible: bool) -> None:
        """Takes over what a trial has reported, and whether it is complete."""
        number, complete = record.trial.number, record.trial.state is TrialState.COMPLETE
        if complete and number in self._final and len(record.curve) <= len(self._of.get(number, NOTHING).steps):
            return  # its curve is what it was: it only grows, by an import that brings it in parts
        self.drop(number, climbed=False)
        if record.curve:
            self._of[number] = reported = reported_in(record.curve, record.costs)
            self.length += len(reported.steps)
            for rung in self._rungs.values():
                rung.put(number, self._loss_at(rung, number, reported))
        else:
            self._leave_rungs(number)
        if complete:
            self.finish(number, record.trial.values if feasible else None)

    def fill(self, finished: Finished) -> None:
        """Takes over finished trials that it does not know yet, as `put` does one by one."""
        for number, reported in each_reported(finished.reports):
            self._of[number] = reported
            self.length += len(reported.steps)
            for rung in self._rungs.values():
                rung.put(number, self._loss_at(rung, number, reported))
        for alike in finished.groups:
            if alike.state is TrialState.COMPLETE:
                self._fill_complete(alike)
        self._count_all(finished.reports)

    def _fill_complete(self, alike: Alike) -> None:
        numbers = alike.numbers.tolist()
        self._final.update(dict.fromkeys(numbers))
        if alike.values is not None:
            rows = zip(numbers, alike.values.tolist(), (alike.violations() == 0.0).tolist(), strict=True)
            self._final.update((number, tuple(values)) for number, values, feasible in rows if feasible)
        self._best_is_known = False
        spent = ((number, self._of[number].spent) for number in numbers if number in self._of)
        self._costs.update((number, sums[-1]) for number, sums in spent if sums and sums[-1] > 0.0)

    def _count_all(self, reports: Stepwise) -> None:
        """As `_count` of each complete trial among these."""
        if self._place >= len(reports.values) or not len(reports.numbers):
            return
        complete = np.fromiter((number in self._final for number in reports.numbers.tolist()), dtype=np.bool_)
        losses = self._sign * reports.values[self._place]
        known = np.repeat(complete, np.diff(reports.starts)) & ~np.isnan(losses)
        # Sorting keeps the order of equal ones, -0.0 and 0.0, as inserting them one by one does.
        order = np.argsort(reports.steps[known], kind="stable")
        steps, losses = reports.steps[known][order], losses[known][order]
        starts = np.flatnonzero(np.diff(steps, prepend=steps[:1] - 1))
        for first, more in zip(starts.tolist(), np.split(losses, starts)[1:], strict=True):
            at_step = self._by_step.setdefault(int(steps[first]), array("d"))
            at_step.frombytes(more.tobytes())
            np.frombuffer(at_step).sort(kind="stable")

    def add(self, number: int, step: int, values: Sequence[float], spent: Sequence[float] = ()) -> None:
        """Takes over one more report of a trial that is not complete, at a step that had none; see `Reported`."""
        reported = self._of.get(number)
        if reported is None:
            reported = self._of[number] = Reported(array("q"), tuple(array("d") for _ in values))
        reported.insert(step, values, spent)
        self.length += 1
        for rung in self._rungs.values():
            rung.put(number, self._loss_at(rung, number, reported))

    def finish(self, number: int, values: tuple[float, ...] | None) -> None:
        """Counts a trial as complete, with these values: None where they do not count as the best."""
        self._final[number] = values
        self._best_is_known = self._best_is_known and not self._is_best(number)
        reported = self._of.get(number)
        if reported is not None and reported.spent and reported.spent[-1] > 0.0:
            self._costs[number] = reported.spent[-1]
        self._count(number)

    def drop(self, number: int, *, climbed: bool = True) -> None:
        """Forgets the trial; with `climbed` false its rungs are seen to by the caller."""
        if number in self._final:
            for step, loss in self._steps(number):
                _remove(self._by_step[step], loss)
            del self._final[number]
            self._costs.pop(number, None)
            self._best_is_known = False
        self.length -= len(self._of.pop(number, NOTHING).steps)
        if climbed:
            self._leave_rungs(number)

    def _leave_rungs(self, number: int) -> None:
        for rung in self._rungs.values():
            rung.put(number, math.nan)

    def _count(self, number: int) -> None:
        """Adds a complete trial's losses to the others at each step."""
        for step, loss in self._steps(number):
            insort(self._by_step.setdefault(step, array("d")), loss)

    def _steps(self, number: int) -> list[tuple[int, float]]:
        reported = self._of.get(number)
        if reported is None:
            return []
        pairs = zip(reported.steps, reported.losses(self._place, self._sign), strict=True)
        return [(step, loss) for step, loss in pairs if not math.isnan(loss)]

    def _loss_at(self, rung: Rung, number: int, reported: Reported) -> float:
        """What the trial had when it first reached the rung; NaN for nothing, and for who is no member."""
        at = reported.first_at(rung.amount, rung.resource)
        if at is None or self._place >= len(reported.values):
            return math.nan
        if rung.members is not None and not rung.members(number):
            return math.nan
        return self._sign * reported.values[self._place][at]

    def _final_loss(self, number: int) -> float:
        values = self._final[number]
        return math.nan if values is None or self._place >= len(values) else self._sign * values[self._place]

    def _is_best(self, number: int) -> bool:
        """Whether the trial takes the place of the best one that is known."""
        loss = self._final_loss(number)
        if math.isnan(loss) or self._best is None:
            return not math.isnan(loss)
        return (loss, number) < (self._final_loss(self._best.number), self._best.number)

    def _curve(self, number: int) -> Curve:
        reported = self._of.get(number)
        if reported is None:
            return Curve(number=number, steps=(), losses=())
        losses = tuple(reported.losses(self._place, self._sign))
        return Curve(number=number, steps=tuple(reported.steps), losses=losses)


def _looked_at(study: Study) -> tuple[int, float]:
    """The place in a report, and its sign."""
    place = study.pruned_objective or 0
    return place, study.signs[place]


def _remove(losses: array[float], loss: float) -> None:
    """Takes one of these losses out of ascending ones."""
    del losses[bisect_left(losses, loss)]
