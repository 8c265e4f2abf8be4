"""Who found what: mean regrets, ranks, wins and Wilcoxon's test, over problems and over studies.

| symbol | shape | meaning |
|---|---|---|
| p, s | | problems, seeds |
| regret | (p, s) | of one sampler after some number of trials |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata, wilcoxon

Floats = NDArray[np.float64]

TIE = 1e-3
"""Mean regrets nearer than this are a tie: a thousandth of the way from a typical point to the best one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Significance:
    """Wilcoxon's two-sided p of two samplers being equally good, and whether the signed ranks favour the first."""

    p: float
    better: bool

    def __str__(self) -> str:
        return f"{self.p:.2g} {'+' if self.better else '-'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Duel:
    """One sampler against another: on how many problems its mean regret is less, equal and greater.

    `by_problem` is the test over the problems' means, `by_study` over all pairs of studies.
    """

    wins: int
    ties: int
    losses: int
    by_problem: Significance
    by_study: Significance


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
        by_problem=significance(difference),
        by_study=significance((own - other).ravel()),
    )


def significance(differences: Floats) -> Significance:
    """Whether differences (n,), own less other, are symmetric about 0; differences of 0 say nothing."""
    told = differences[differences != 0.0]
    if not len(told):
        return Significance(p=1.0, better=False)
    signed = np.sign(told) * rankdata(np.abs(told))
    return Significance(p=float(wilcoxon(told).pvalue), better=bool(signed.sum() < 0.0))
