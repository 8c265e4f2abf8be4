"""More load than the server can take: what it still gets done."""

from __future__ import annotations

from dataclasses import dataclass

from cycles.cycle import Measured
from cycles.experiments import OPEN_WARMUP_S, Experiments

SHARES = (0.6, 0.8, 1.0, 1.2)
"""Of the closed loop's throughput: the rates at which the sustainable one is looked for, ascending."""

KEPT_UP = 0.95
"""The share of the cycles due that must have ended in time, of a load that is sustained."""

CLOSED_WORKERS = (16, 128)
TIMES = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Overloaded:
    """Cycles a second: the most in any run, the greatest rate that was kept up with, and what was done at twice that
    rate, by the run at it.
    """

    peak: float
    sustained: float
    run: Measured

    @property
    def done(self) -> float:
        """Cycles a second that ended under the overload."""
        return self.run.cycles / self.run.seconds

    @property
    def ratio(self) -> float:
        """What is left of the peak."""
        return self.done / self.peak


def overload(experiments: Experiments, trials: int, workers: int, run: int) -> Overloaded:
    """Looks for the sustainable rate, then offers twice as much."""
    done = [_per_s(experiments.closed(trials, count)) for count in CLOSED_WORKERS]
    most = max(done)
    sustained = SHARES[0] * most
    for share in SHARES:
        rate = share * most
        done.append(_per_s(experiments.opened(trials, workers, rate, run)))
        if done[-1] < KEPT_UP * rate:
            break
        sustained = rate
    # Cycles are in excess by as many as are sustained: until they hold all workers, more are begun than ended.
    filled_s = OPEN_WARMUP_S + workers / ((TIMES - 1.0) * sustained)
    over = experiments.opened(trials, workers, TIMES * sustained, run, warmup_s=filled_s)
    return Overloaded(peak=max(done), sustained=sustained, run=over)


def _per_s(measured: Measured) -> float:
    return measured.cycles / measured.seconds
