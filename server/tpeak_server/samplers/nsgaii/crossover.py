"""Crossovers of numeric coordinates: (parents, d) in 0 .. 1 in, one child (d,) out, which may lie outside.

They are Optuna's, with its constants. Those that come from two children at once take each coordinate of one of the two,
or of one of the parents.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tpeak_server.domain.observations import Floats

ALPHA = 0.5
"""By how much of the parents' distance a blend may go beyond them."""

SIGMA_XI = 0.5
SIGMA_ETA = 0.35
"""UNDX: standard deviations along the parents' line and, over sqrt(d), across it."""

ETA_OF_ONE, ETA_OF_SEVERAL = 2.0, 20.0
"""How near to their parents children of SBX and vSBX are, with one objective and with several."""

LEAST = 1e-10
"""In place of a distance of 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What a crossover needs besides the parents."""

    rng: np.random.Generator
    swapping_prob: float
    several_objectives: bool

    @property
    def eta(self) -> float:
        """The distribution index of SBX and vSBX."""
        return ETA_OF_SEVERAL if self.several_objectives else ETA_OF_ONE


def uniform(parents: Floats, given: Circumstances) -> Floats:
    """Each coordinate from one of two parents (Syswerda 1989)."""
    return _either(parents[1], parents[0], np.less(given.rng.random(parents.shape[1]), given.swapping_prob))


def blxalpha(parents: Floats, given: Circumstances) -> Floats:
    """Anywhere between two parents and a little beyond (Eshelman and Schaffer 1993)."""
    low, high = parents.min(axis=0), parents.max(axis=0)
    beyond = ALPHA * (high - low)
    child: Floats = low - beyond + (high - low + 2 * beyond) * given.rng.random(parents.shape[1])
    return child


def sbx(parents: Floats, given: Circumstances) -> Floats:
    """As far from the parents as if a bit string had been cut, and inside of the range (Deb and Agrawal 1995)."""
    low, high = parents.min(axis=0), parents.max(axis=0)
    apart = np.maximum(high - low, LEAST)
    power = given.eta + 1.0
    u = given.rng.random(parents.shape[1])

    def spread(room: Floats) -> Floats:
        alpha = 2.0 - (1.0 + 2.0 * room / apart) ** -power
        inside: Floats = np.where(u <= 1.0 / alpha, u * alpha, 1.0 / (2.0 - u * alpha)) ** (1.0 / power)
        return inside

    first = 0.5 * (low + high - spread(low) * apart)
    second = 0.5 * (low + high + spread(1.0 - high) * apart)
    return _one_of_each(first, second, parents, given.rng)


def vsbx(parents: Floats, given: Circumstances) -> Floats:
    """SBX that leaves the line between the parents, too (Ballester and Carter 2004)."""
    one, other = parents
    u = given.rng.random(parents.shape[1])
    power = 1.0 / (given.eta + 1.0)
    beta = (1.0 / np.maximum(2.0 * u, LEAST)) ** power
    gamma = (1.0 / np.maximum(2.0 * (1.0 - u), LEAST)) ** power
    if given.rng.random() <= 0.5:
        first = 0.5 * ((1 + beta) * one + (1 - gamma) * other)
    else:
        first = 0.5 * ((1 - beta) * one + (1 + gamma) * other)
    if given.rng.random() <= 0.5:
        second = 0.5 * ((3 - beta) * one - (1 - gamma) * other)
    else:
        second = 0.5 * (-(1 - beta) * one + (3 - gamma) * other)
    return _one_of_each(first, second, parents, given.rng)


def undx(parents: Floats, given: Circumstances) -> Floats:
    """Normal around the middle of two parents, as wide across their line as a third is far from it (Ono 1997)."""
    one, other, third = parents
    d = parents.shape[1]
    along = one - other
    direction = along / max(float(np.linalg.norm(along)), LEAST)
    across = given.rng.normal(0.0, (SIGMA_ETA / np.sqrt(d)) ** 2, d)
    # A normal vector without its part along the line is one of the space across it.
    across = across - (across @ direction) * direction
    aside = (third - one) - ((third - one) @ direction) * direction
    child: Floats = (one + other) / 2 + given.rng.normal(0.0, SIGMA_XI**2) * along + np.linalg.norm(aside) * across
    return child


def spx(parents: Floats, given: Circumstances) -> Floats:
    """Uniform in the simplex of three parents, widened around its centre (Tsutsui et al. 1999)."""
    centre = parents.mean(axis=0)
    corners = centre + np.sqrt(parents.shape[1] + 2.0) * (parents - centre)
    child: Floats = np.zeros(parents.shape[1])
    for k in range(1, len(corners)):
        child = given.rng.random() ** (1.0 / k) * (corners[k - 1] - corners[k] + child)
    child += corners[-1]
    return child


def _one_of_each(first: Floats, second: Floats, parents: Floats, rng: np.random.Generator) -> Floats:
    """Each coordinate from one of two children or of their two parents, all four alike."""
    d = parents.shape[1]
    new = _either(second, first, np.less(rng.random(d), 0.5))
    return _either(_either(parents[1], parents[0], np.less(rng.random(d), 0.5)), new, np.less(rng.random(d), 0.5))


def _either(other: Floats, one: Floats, first: NDArray[np.bool_]) -> Floats:
    return np.where(first, one, other)


Crossover: TypeAlias = Callable[[Floats, Circumstances], Floats]

CROSSOVERS: Mapping[str, tuple[int, Crossover]] = {
    "uniform": (2, uniform),
    "blxalpha": (2, blxalpha),
    "sbx": (2, sbx),
    "vsbx": (2, vsbx),
    "undx": (3, undx),
    "spx": (3, spx),
}
"""By name on the wire, how many parents each needs, and itself."""
