"""A study run to its end, with workers that take their time: an event queue instead of clocks and threads."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Protocol, TypeVar

import numpy as np

from problems.problem import Problem, Trial, scale_of

SPREAD = 0.5
"""Standard deviation of the logarithm of a trial's duration: one in six takes 1.6 times the median."""

T = TypeVar("T", bound=Trial)


class Study(Protocol[T]):
    """A study of either service: trials are asked for in order, and told in the order in which they finish."""

    def ask(self) -> T:
        """A new trial, running."""
        ...

    def tell(self, trial: T, value: float) -> None:
        """Finishes the trial."""
        ...


def run(study: Study[T], problem: Problem, seed: int, trials: int) -> Iterator[tuple[float, float]]:
    """(value told, value without noise) of every trial, in the order in which they finish.

    How long a trial takes and what noise it meets depend on the problem, the seed and its number alone, so that all
    samplers meet the same. No more than `problem.workers` trials run at a time.
    """
    rng = np.random.default_rng([seed, *problem.name.encode()])
    durations = rng.lognormal(0.0, SPREAD, trials)
    noise = rng.normal(0.0, 1.0, trials) * (problem.noise * scale_of(problem).typical if problem.noise else 0.0)
    now = 0.0
    running: list[tuple[float, int, T, float]] = []
    for number in range(trials):
        if len(running) == problem.workers:
            now, yielded = _finish_next(study, running, noise)
            yield yielded
        trial = study.ask()
        heapq.heappush(running, (now + durations[number], number, trial, problem.objective(trial)))
    while running:
        _, yielded = _finish_next(study, running, noise)
        yield yielded


def _finish_next(
    study: Study[T], running: list[tuple[float, int, T, float]], noise: np.ndarray
) -> tuple[float, tuple[float, float]]:
    """Tells the trial that ends next; when that is, and its values."""
    end, number, trial, value = heapq.heappop(running)
    told = float(value + noise[number])
    study.tell(trial, told)
    return end, (told, value)
