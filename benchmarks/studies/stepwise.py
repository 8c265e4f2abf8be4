"""A study of learning curves run to its end, step by step, by workers whose clock is simulated.

A step takes the seconds that it took when the curve was measured; the services take none.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from problems.curves import Curve, CurveProblem
from problems.problem import Trial
from studies.simulation import NothingLeft

T = TypeVar("T", bound=Trial)

MOST_TIMES = 6
"""A study that prunes has no more than so many times the trials of one that does not."""


class SteppedStudy(Protocol[T]):
    """A study of either service, of which larger values are better."""

    def ask(self) -> T:
        """A new trial, running. Raises NothingLeft."""
        ...

    def report(self, trial: T, value: float, step: int) -> bool:
        """Reports a step; whether the trial is to be pruned."""
        ...

    def tell(self, trial: T, value: float | None) -> None:
        """Finishes the trial with its value, or as pruned."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A trial at its end: its value, None if it was pruned, and what its whole curve would have come to.

    Until then all trials had trained so many epochs, which took so many seconds of the processor; `at` is the simulated
    time in seconds.
    """

    value: float | None
    final: float
    epochs: int
    seconds: float
    at: float


def run(study: SteppedStudy[T], problem: CurveProblem, *, trials: int, workers: int = 1) -> Iterator[Finished]:
    """Every trial in the order in which they finish: so many, and more until all have had the epochs of so many whole
    curves, since what is pruned makes room for others; fewer where nothing is left to be tried.
    """
    training = Training(study, problem)
    while True:
        while len(training) < workers and _wanting(training, trials, trials * problem.steps):
            try:
                training.begin(study.ask())
            except NothingLeft:
                break
        if not len(training):
            return
        finished = training.step()
        if finished is not None:
            yield finished


def _wanting(training: Training[T], trials: int, epochs: int) -> bool:
    """Whether there are too few trials, or the epochs are not spent yet."""
    return training.begun < trials or (training.epochs < epochs and training.begun < MOST_TIMES * trials)


@dataclass(slots=True, kw_only=True)
class Running(Generic[T]):
    """A trial and how many of its curve's steps are done."""

    trial: T
    curve: Curve
    done: int = 0


class Training(Generic[T]):
    """The trials under way, the time, and what was spent."""

    def __init__(self, study: SteppedStudy[T], problem: CurveProblem) -> None:
        self._study = study
        self._problem = problem
        self.begun = 0
        self.epochs = 0
        self._now = 0.0
        self._seconds = 0.0
        self._queue: list[tuple[float, int, Running[T]]] = []
        """When each trial's next step ends, and which one it is."""

    def __len__(self) -> int:
        return len(self._queue)

    def begin(self, trial: T) -> None:
        """Begins the trial's first step."""
        self.begun += 1
        self._await(self.begun, Running(trial=trial, curve=self._problem.curve(trial)))

    def step(self) -> Finished | None:
        """Ends the step that ends next; the trial, if that was its last one."""
        self._now, number, running = heapq.heappop(self._queue)
        curve, trial = running.curve, running.trial
        value = curve.values[running.done]
        self.epochs += 1
        self._seconds += curve.seconds[running.done]
        running.done += 1
        pruned = self._study.report(trial, value, running.done) and running.done < len(curve.values)
        if not pruned and running.done < len(curve.values):
            self._await(number, running)
            return None
        self._study.tell(trial, None if pruned else value)
        return Finished(
            value=None if pruned else value,
            final=curve.final,
            epochs=self.epochs,
            seconds=self._seconds,
            at=self._now,
        )

    def _await(self, number: int, running: Running[T]) -> None:
        heapq.heappush(self._queue, (self._now + running.curve.seconds[running.done], number, running))
