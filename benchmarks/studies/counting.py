"""What studies of learning curves cost until they have found something, and in all.

| term | meaning |
|---|---|
| reached | of a mark: a trial that was not pruned has returned it, or a better value |
| budget | the trials that were asked for, 100, and the epochs of as many whole curves; a study that prunes goes on, |
| | with more trials, until it has spent those (`stepwise.run`) |
| trials, epochs, seconds | those of all trials until the end of that one; a study that never reaches the mark |
| | counts as what it spent or as the whole budget, at what a random trial costs, whichever is more |
| at | the simulated time then, and likewise |
| efficiency | the share of the trials at points among the best tenth of the space, were they trained to the end |
| way | of the best value found: the share of the way from the median of random points to the best one known |
| total | of the budget's trials, the first 100 to finish; `whole_way` is the way of all that there are |
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from problems.curves import Marks
from studies.stepwise import Finished


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """One study: of each trial, in the order in which they finish, the fields of `Finished`; `trials` is the budget."""

    arm: str
    version: str
    problem: str
    fingerprint: str
    seed: int
    workers: int
    trials: int
    values: list[float | None]
    finals: list[float]
    epochs: list[int]
    seconds: list[float]
    at: list[float]

    @property
    def key(self) -> tuple[str | int, ...]:
        """What the study was. The budget is part of it: a grid depends on that."""
        return self.arm, self.version, self.problem, self.fingerprint, self.seed, self.workers, self.trials


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """What it took to reach a mark."""

    reached: bool
    trials: float
    epochs: float
    seconds: float
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """What the budget's trials came to, and all of them in `whole_way`."""

    complete: float
    epochs: float
    seconds: float
    at: float
    efficiency: float
    way: float
    whole_way: float


def columns(finished: Iterable[Finished]) -> dict[str, list[float | None]]:
    """The trials as a `Course` keeps them."""
    rows = [(one.value, one.final, one.epochs, one.seconds, one.at) for one in finished]
    names = ("values", "finals", "epochs", "seconds", "at")
    return {name: [row[place] for row in rows] for place, name in enumerate(names)}


def count(course: Course, mark: float, marks: Marks, steps: int) -> Count:
    """What it took to reach the mark, of a problem with so many steps a curve."""
    for place, value in enumerate(course.values):
        if value is not None and value >= mark:
            return Count(
                reached=True,
                trials=place + 1,
                epochs=course.epochs[place],
                seconds=course.seconds[place],
                at=course.at[place],
            )
    seconds = max(course.seconds[-1], course.trials * marks.full_seconds)
    return Count(
        reached=False,
        trials=max(len(course.values), course.trials),
        epochs=max(course.epochs[-1], course.trials * steps),
        seconds=seconds,
        at=max(course.at[-1], seconds / course.workers),
    )


def total(course: Course, marks: Marks) -> Total:
    """What the budget's trials came to; where none of them is complete, the typical value is what was found."""
    trials = min(course.trials, len(course.values))
    return Total(
        complete=sum(value is not None for value in course.values[:trials]),
        epochs=course.epochs[trials - 1],
        seconds=course.seconds[trials - 1],
        at=course.at[trials - 1],
        efficiency=sum(final >= marks.good for final in course.finals[:trials]) / trials,
        way=_way(course.values[:trials], marks),
        whole_way=_way(course.values, marks),
    )


def _way(values: Sequence[float | None], marks: Marks) -> float:
    return marks.way(max((value for value in values if value is not None), default=marks.typical))


def ratios(own: Mapping[str, Sequence[float]], other: Mapping[str, Sequence[float]]) -> list[float]:
    """How many times more the other needs, by problem: the quotient of the means over the seeds."""
    return [statistics.fmean(other[name]) / statistics.fmean(each) for name, each in own.items()]
