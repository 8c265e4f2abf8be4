"""What studies of learning curves cost until they have found something, and in all.

| term | meaning |
|---|---|
| reached | of a mark: a trial that was not pruned has returned it, or a better value |
| trials, epochs, seconds | those of all trials until the end of that one; a study that never reaches the mark |
| | counts as all of its trials, trained to the end, at what a random one costs |
| at | the simulated time then |
| efficiency | the share of a study's trials at points among the best tenth of the space, were they trained to the end |
| way | of the best value found: the share of the way from the median of random points to the best one known |
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from problems.curves import Marks
from studies.stepwise import Finished


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """One study: of each trial, in the order in which they finish, the fields of `Finished`."""

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
        """What the study was. Its length is part of it: a grid depends on that."""
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
    """What all trials of a study came to."""

    complete: float
    epochs: float
    seconds: float
    at: float
    efficiency: float
    way: float


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
    seconds = course.trials * marks.full_seconds
    return Count(
        reached=False,
        trials=course.trials,
        epochs=course.trials * steps,
        seconds=seconds,
        at=seconds / course.workers,
    )


def total(course: Course, marks: Marks) -> Total:
    """What all trials came to; a study without a complete one has found the typical value."""
    complete = [value for value in course.values if value is not None]
    return Total(
        complete=len(complete),
        epochs=course.epochs[-1],
        seconds=course.seconds[-1],
        at=course.at[-1],
        efficiency=sum(final >= marks.good for final in course.finals) / len(course.finals),
        way=marks.way(max(complete, default=marks.typical)),
    )


def ratios(own: Mapping[str, Sequence[float]], other: Mapping[str, Sequence[float]]) -> list[float]:
    """How many times more the other needs, by problem: the quotient of the means over the seeds."""
    return [statistics.fmean(other[name]) / statistics.fmean(each) for name, each in own.items()]
