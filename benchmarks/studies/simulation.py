"""A study run to its end, with workers that take their time: an event queue instead of clocks and threads."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from typing import Generic, Protocol, TypeVar

import numpy as np

from problems.problem import Problem, Trial, scale_of
from studies.scoring import Score

SPREAD = 0.5
"""Standard deviation of the logarithm of a trial's duration: one in six takes 1.6 times the median."""

T = TypeVar("T", bound=Trial)


class NothingLeft(Exception):
    """Raised by an ask where all points were handed out; those that run may show further ones."""


class Study(Protocol[T]):
    """A study of either service: trials are asked for in order, and told in the order in which they finish."""

    def ask(self) -> T:
        """A new trial, running. Raises NothingLeft."""
        ...

    def tell(self, trial: T, value: float | Sequence[float]) -> None:
        """Finishes the trial, with a value for each objective."""
        ...


def run(study: Study[T], problem: Problem, seed: int, trials: int) -> Iterator[tuple[float, float]]:
    """(value told, value without noise) of every trial, in the order in which they finish; where there are several
    objectives or constraints, what the trial counts for, twice.

    How long a trial takes and what noise it meets depend on the problem, the seed and its number alone, so that all
    samplers meet the same. No more than `problem.workers` trials run at a time. The trials are fewer where nothing is
    left to be tried.
    """
    rng = np.random.default_rng([seed, *problem.name.encode()])
    durations = rng.lognormal(0.0, SPREAD, trials)
    noise = rng.normal(0.0, 1.0, trials) * (problem.noise * scale_of(problem).typical if problem.noise else 0.0)
    running = Running(study, problem, noise)
    number = 0
    while number < trials:
        if len(running) == problem.workers:
            yield running.finish_next()
        try:
            trial = study.ask()
        except NothingLeft:
            if not len(running):
                return
            yield running.finish_next()
            continue
        running.begin(trial, number, durations[number])
        number += 1
    while len(running):
        yield running.finish_next()


class Running(Generic[T]):
    """The trials under way, and the time."""

    def __init__(self, study: Study[T], problem: Problem, noise: np.ndarray) -> None:
        self._study = study
        self._problem = problem
        self._noise = noise
        self._score = Score(problem)
        self._now = 0.0
        self._queue: list[tuple[float, int, T, float | tuple[float, ...]]] = []

    def __len__(self) -> int:
        return len(self._queue)

    def begin(self, trial: T, number: int, duration: float) -> None:
        """Evaluates the trial, which ends later."""
        heapq.heappush(self._queue, (self._now + duration, number, trial, self._problem.objective(trial)))

    def finish_next(self) -> tuple[float, float]:
        """Tells the trial that ends next; its values."""
        self._now, number, trial, value = heapq.heappop(self._queue)
        constraints = trial.constraints if self._problem.constrained else {}
        if isinstance(value, tuple):
            self._study.tell(trial, list(value))
            score = self._score.of(value, constraints)
            return score, score
        told = float(value + self._noise[number])
        self._study.tell(trial, told)
        return self._score.of(told, constraints), self._score.of(value, constraints)
