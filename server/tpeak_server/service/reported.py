"""What one trial has reported, in arrays."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np

from tpeak_server.domain.finished import Stepwise
from tpeak_server.pruners.resource import Resource


@dataclass(slots=True)
class Reported:
    """What one trial has reported: steps (n,) ascending, and values (n,) for each place of a report.

    `spent` (n,) are the sums of the costs up to each step, and none where no report has a cost.
    """

    steps: array[int]
    values: tuple[array[float], ...]
    spent: array[float] = field(default_factory=lambda: array("d"))

    def losses(self, place: int, sign: float) -> Sequence[float]:
        """The losses (n,) by step; NaN where reports have no such place."""
        if place >= len(self.values):
            return array("d", [math.nan]) * len(self.steps)
        return self.values[place] if sign > 0 else array("d", [-value for value in self.values[place]])

    def insert(self, step: int, values: Sequence[float], spent: Sequence[float]) -> None:
        """Adds a report at a step that had none, with a value for each place; `spent` are the sums with it."""
        at = bisect_left(self.steps, step)
        self.steps.insert(at, step)
        for place, value in zip(self.values, values, strict=True):
            place.insert(at, value)
        if at == len(self.spent) == len(spent) - 1:
            self.spent.append(spent[-1])
        else:
            self.spent = array("d", spent)

    def first_at(self, amount: float, resource: Resource) -> int | None:
        """Which report is the first at or beyond that step, or cost; None where there is none."""
        amounts = self.spent if resource is Resource.COST else self.steps
        at = bisect_left(amounts, amount)
        return at if at < len(amounts) else None


NOTHING = Reported(array("q"), (array("d"),))


def each_reported(reports: Stepwise) -> Iterator[tuple[int, Reported]]:
    """The trials' numbers, and what each has reported."""
    starts = reports.starts.tolist()
    trials = zip(reports.numbers.tolist(), reports.places.tolist(), reports.costed.tolist(), strict=True)
    for (number, places, costed), part in zip(trials, map(slice, starts, starts[1:]), strict=True):
        yield (
            number,
            Reported(
                array("q", reports.steps[part].tobytes()),
                tuple(array("d", reports.values[place, part].tobytes()) for place in range(places)),
                array("d", np.cumsum(reports.costs[part]).tobytes() if costed else b""),
            ),
        )


def reported_in(curve: Mapping[int, tuple[float, ...]], costs: Mapping[int, float]) -> Reported:
    """A whole curve. An imported one may have reports of different widths: what one lacks is NaN."""
    steps = sorted(curve)
    width = max(len(values) for values in curve.values())
    whole = ((*curve[step], *[math.nan] * (width - len(curve[step]))) for step in steps)
    values = tuple(array("d", place) for place in zip(*whole, strict=True))
    return Reported(array("q", steps), values, array("d", summed(steps, costs)))


def summed(steps: Iterable[int], costs: Mapping[int, float]) -> list[float]:
    """The sums of the costs up to each of the ascending steps; none where no report has a cost.

    They are rounded from step to step, and so the same in whatever order the reports came.
    """
    return list(accumulate(costs.get(step, 0.0) for step in steps)) if costs else []
