"""The arithmetic of the figures.

| symbol | what |
|---|---|
| n | samples, at moments x (n,) with values y (n,) |
| e | residuals (n,) of the straight line through them |
| rho | correlation of a residual with the next one, at least 0 |
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

TWO_SIDED_95 = 1.96
"""Standard errors on either side of an estimate that its 95 percent interval spans."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slope:
    """A straight line's slope, and half the width of its 95 percent interval."""

    value: float
    margin: float

    def exceeds(self, bound: float) -> bool:
        """Whether the whole interval lies above the bound."""
        return self.value - self.margin > bound


def quantile(values: Sequence[float], share: float) -> float:
    """The value that this share of all lies below."""
    return sorted(values)[int(share * (len(values) - 1))]


def poisson_arrivals(rate_per_s: float, seconds: float, seed: int) -> Iterator[float]:
    """The moments, in seconds from the start, at which independent arrivals come: the same ones for a seed."""
    dice = random.Random(seed)
    moment = dice.expovariate(rate_per_s)
    while moment < seconds:
        yield moment
        moment += dice.expovariate(rate_per_s)


def slope(moments: Sequence[float], values: Sequence[float]) -> Slope:
    """The least-squares slope of the values over the moments. Raises ValueError for fewer than four samples.

    Samples that resemble their neighbours count for fewer: n (1 - rho) / (1 + rho) of them.
    """
    x, y = np.asarray(moments, dtype=float), np.asarray(values, dtype=float)
    if len(x) < 4:
        raise ValueError(f"a slope with its uncertainty needs 4 samples, got {len(x)}")
    centred = x - x.mean()
    spread = float(centred @ centred)
    found = float(centred @ y) / spread
    residuals = y - y.mean() - found * centred
    total = float(residuals @ residuals)
    rho = max(0.0, float(residuals[:-1] @ residuals[1:]) / total) if total > 0.0 else 0.0
    independent = max(3.0, len(x) * (1.0 - rho) / (1.0 + rho))
    variance = total / len(x) * independent / (independent - 2.0)
    return Slope(value=found, margin=TWO_SIDED_95 * float(np.sqrt(variance * len(x) / (independent * spread))))
