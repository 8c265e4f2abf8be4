"""Who found what: mean regrets, ranks, wins and Wilcoxon's test, over problems and over studies.

| symbol | shape | meaning |
|---|---|---|
| p, s | | problems, seeds |
| regret | (p, s) | of one sampler after some number of trials |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata, wilcoxon

Floats = NDArray[np.float64]

TIE = 1e-3
"""Mean regrets nearer than this are a tie: a thousandth of the way from a typical point to the best one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Duel:
    """One sampler against another: on how many problems its mean regret is less, equal and greater.

    `p_problems` is Wilcoxon's two-sided p over the problems' means, `p_studies` over all pairs of studies.
    """

    wins: int
    ties: int
    losses: int
    p_problems: float
    p_studies: float


def ranks(regrets: Mapping[str, Floats]) -> dict[str, Floats]:
    """The rank of each sampler among all of them in every study (p, s): 1 is best, equals share."""
    stacked = np.array(list(regrets.values()))
    return dict(zip(regrets, rankdata(stacked, axis=0), strict=True))


def duel(own: Floats, other: Floats) -> Duel:
    """Compares two samplers on the same studies."""
    difference = own.mean(axis=1) - other.mean(axis=1)
    return Duel(
        wins=int((difference < -TIE).sum()),
        ties=int((np.abs(difference) <= TIE).sum()),
        losses=int((difference > TIE).sum()),
        p_problems=_wilcoxon(difference),
        p_studies=_wilcoxon((own - other).ravel()),
    )


def _wilcoxon(differences: Floats | Sequence[float]) -> float:
    """The two-sided p of the differences being symmetric about 0; 1 where all are 0."""
    differences = np.asarray(differences)
    if not differences.any():
        return 1.0
    return float(wilcoxon(differences, zero_method="wilcox").pvalue)
