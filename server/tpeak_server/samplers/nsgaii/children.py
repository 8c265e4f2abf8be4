"""Children of chosen parents: crossed, mutated, and inside of the ranges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tpeak_server.domain.observations import Floats
from tpeak_server.samplers.layout import Layout, Points
from tpeak_server.samplers.nsgaii.crossover import CROSSOVERS, Circumstances

TRIES = 100
"""How often parents are chosen whose child lies outside of the ranges, before it is moved to their ends."""

ETA_OF_MUTATION = 20.0
"""How near to what it was a polynomial mutation stays, as in Optuna."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How children come about; the arguments are Optuna's."""

    mutation: str | None = None
    mutation_prob: float | None = None
    crossover: str = "uniform"
    crossover_prob: float = 0.9
    swapping_prob: float = 0.5


def child(layout: Layout, parents: Points, rules: Rules, rng: np.random.Generator, *, several: bool) -> Points:
    """One child of n parents, the best one first. What none of its own parents has, it has from anywhere."""
    d = len(layout.axes)
    rows = np.concatenate([parents.unit, np.where(parents.choice < 0, np.nan, parents.choice)])
    fresh = layout.uniform(rng.random(layout.dimensions))
    anew = np.concatenate([fresh.unit[:, 0], fresh.choice[:, 0]])
    if rng.random() < rules.crossover_prob:
        given = Circumstances(rng=rng, swapping_prob=rules.swapping_prob, several_objectives=several)
        drawn = _crossed(rows, d, rules, given)
    else:
        drawn = rows[:, rng.integers(len(parents))]
    mutated = rng.random(len(drawn)) < _mutation_prob(rules, len(drawn))
    if rules.mutation is not None:
        changed = polynomial(drawn[:d], rng.random(d))
        drawn[:d] = np.where(mutated[:d], changed, drawn[:d])
        mutated[:d] = False
    drawn = np.where(mutated | np.isnan(drawn), anew, drawn)
    return Points(unit=drawn[:d, np.newaxis], choice=drawn[d:, np.newaxis].astype(np.int64))


def polynomial(unit: Floats, u: Floats) -> Floats:
    """Coordinates moved a little, by uniform numbers u, inside of the range (Deb et al. 2002, as revised in 2011)."""
    power = ETA_OF_MUTATION + 1.0
    with np.errstate(invalid="ignore"):
        down = (2.0 * u + (1.0 - 2.0 * u) * (1.0 - unit) ** power) ** (1.0 / power) - 1.0
        up = 1.0 - (2.0 * (1.0 - u) + (2.0 * u - 1.0) * unit**power) ** (1.0 / power)
    return np.clip(unit + np.where(u <= 0.5, down, up), 0.0, 1.0)


def _mutation_prob(rules: Rules, parameters: int) -> float:
    return 1.0 / max(1, parameters) if rules.mutation_prob is None else rules.mutation_prob


def _crossed(rows: Floats, d: int, rules: Rules, given: Circumstances) -> Floats:
    """One child's coordinates (d + e,), NaN where its parents have none."""
    count, crossover = CROSSOVERS[rules.crossover]
    for _ in range(TRIES):
        chosen = rows[:, _tournaments(rows.shape[1], count, given.rng)].T
        # A parent that lacks a coordinate has that of another one.
        for parent in [*chosen[1:], *chosen[:-1]]:
            chosen = np.where(np.isnan(chosen), parent, chosen)
        swapped = given.rng.random(rows.shape[0] - d) < given.swapping_prob
        categorical = np.where(swapped, chosen[0, d:], chosen[-1, d:])
        numeric = chosen[0, :d].copy()
        known = ~np.isnan(numeric)
        if known.any():
            numeric[known] = crossover(chosen[:, :d][:, known], given)
        if ((numeric[known] >= 0.0) & (numeric[known] <= 1.0)).all():
            break
    return np.concatenate([np.clip(numeric, 0.0, 1.0), categorical])


def _tournaments(n: int, count: int, rng: np.random.Generator) -> list[int]:
    """Different parents, each the better one of two of those that are left."""
    left = list(range(n))
    chosen = [left.pop(int(rng.integers(len(left), size=2).min())) for _ in range(min(count, n))]
    return [*chosen, *chosen[:1] * (count - len(chosen))]
