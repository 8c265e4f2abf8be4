"""The search for the sustainable rate, in a server that does 100 cycles a second and 90 where there is more to do."""

from __future__ import annotations

from cycles.cycle import Measured
from cycles.overload import overload


class Experiments:
    def __init__(self, *, open_limit: float, overloaded: float) -> None:
        self.rates: list[float] = []
        self.warmups_s: list[float] = []
        self._limit = open_limit
        self._overloaded = overloaded

    def closed(self, trials: int, workers: int) -> Measured:
        return Measured(cycles=1000 if workers == 16 else 800, seconds=10.0)

    def opened(self, trials: int, workers: int, rate: float, run: int, *, warmup_s: float = 2.0) -> Measured:
        self.rates.append(rate)
        self.warmups_s.append(warmup_s)
        done = rate if rate <= self._limit else self._overloaded
        return Measured(cycles=round(10 * done), seconds=10.0)


def test_twice_the_rate_that_was_kept_up_with_is_offered() -> None:
    experiments = Experiments(open_limit=110.0, overloaded=90.0)
    found = overload(experiments, 1000, 1000, 0)  # type: ignore[arg-type]
    assert experiments.rates == [60.0, 80.0, 100.0, 120.0, 200.0]
    assert experiments.warmups_s == [2.0, 2.0, 2.0, 2.0, 12.0]
    assert (found.peak, found.sustained, found.done, found.ratio) == (100.0, 100.0, 90.0, 0.9)


def test_the_search_ends_at_the_first_rate_that_is_too_much() -> None:
    experiments = Experiments(open_limit=70.0, overloaded=40.0)
    found = overload(experiments, 1000, 1000, 0)  # type: ignore[arg-type]
    assert experiments.rates == [60.0, 80.0, 120.0]
    assert (found.sustained, found.ratio) == (60.0, 0.4)
