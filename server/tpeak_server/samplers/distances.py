"""How far apart the choices of categorical parameters are, where a user knows: by their order, or by a matrix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from tpeak_server.domain.distributions import CategoricalDistribution, Space
from tpeak_server.domain.errors import Invalid, pointer
from tpeak_server.domain.observations import Floats
from tpeak_server.domain.settings import shown

ORDERED = "ordered"
"""The choices are given in order, neighbours 1 apart."""

Distance: TypeAlias = str | list[list[float]]
"""`ORDERED`, or a symmetric matrix (choices, choices)."""

MOST_PARAMETERS = 1000
MOST_CHOICES = 100
MOST_NUMBERS = MOST_CHOICES**2
"""In all matrices together: they are stored with the study and are part of every reply about it."""

LARGEST = 1e100
"""Beyond, squares and sums of distances would come near the end of a double's range."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Distances:
    """A setting that maps parameters to distances of their choices."""

    name: str
    default: None = None
    optional: bool = True

    def checked(self, value: object, where: str) -> dict[str, Distance]:
        """The distances, matrices as lists of rows of floats. Raises Invalid, which points at what is wrong."""
        if not isinstance(value, Mapping):
            raise Invalid(f'{self.name} must map parameters to "ordered" or a matrix, got {shown(value)}', where=where)
        if len(value) > MOST_PARAMETERS:
            raise Invalid(f"{self.name} has {len(value)} parameters, more than {MOST_PARAMETERS}", where=where)
        distances = {name: _distance(distance, where + pointer([name])) for name, distance in value.items()}
        numbers = sum(len(distance) ** 2 for distance in distances.values() if not isinstance(distance, str))
        if numbers > MOST_NUMBERS:
            raise Invalid(f"{self.name} has {numbers} numbers, more than {MOST_NUMBERS}", where=where)
        return distances


def scaled(distance: Distance, choices: int) -> Floats | None:
    """How far each choice is from the one of each row, (choices, choices), the farthest of a row 1.

    None where the matrix is one of other choices than there are now.
    """
    order = np.arange(choices, dtype=np.float64)
    matrix = np.abs(np.subtract.outer(order, order)) if distance == ORDERED else np.array(distance)
    if matrix.shape != (choices, choices):
        return None
    farthest = matrix.max(axis=1, keepdims=True)
    found: Floats = matrix / np.where(farthest > 0, farthest, 1.0)
    return found


def check_choices(sampler: Mapping[str, Any], space: Space | None, at: str = "/sampler") -> None:
    """Raises Invalid where a resolved sampler has distances for what is no categorical of the space with such choices.

    A parameter that the space lacks may come later, with any choices.
    """
    for name, distance in (sampler.get("categorical_distance") or {}).items():
        distribution = (space or {}).get(name)
        if distribution is None:
            continue
        where = at + pointer(["categorical_distance", name])
        if not isinstance(distribution, CategoricalDistribution):
            raise Invalid("there are distances between choices only, and this parameter has none", where=where)
        if distance != ORDERED and len(distance) != len(distribution.choices):
            raise Invalid(
                f"a matrix of {len(distance)} rows does not fit {len(distribution.choices)} choices", where=where
            )


def _distance(value: object, where: str) -> Distance:
    if value == ORDERED:
        return ORDERED
    if not isinstance(value, list) or not value:
        raise Invalid(f'a distance must be "ordered" or a list of rows, got {shown(value)}', where=where)
    if len(value) > MOST_CHOICES:
        raise Invalid(f"a matrix of {len(value)} rows has more than {MOST_CHOICES}", where=where)
    matrix = [_row(row, len(value), f"{where}/{index}") for index, row in enumerate(value)]
    for index, row in enumerate(matrix):
        if row[index] != 0:
            raise Invalid(f"a choice must be 0 from itself, got {row[index]}", where=f"{where}/{index}/{index}")
        for other in range(index):
            if row[other] != matrix[other][index]:
                raise Invalid(
                    f"a matrix must be symmetric, got {row[other]} and {matrix[other][index]}",
                    where=f"{where}/{index}/{other}",
                )
    return matrix


def _row(value: object, size: int, where: str) -> list[float]:
    if not isinstance(value, list) or len(value) != size:
        raise Invalid(f"a row must have {size} numbers, as many as there are rows, got {shown(value)}", where=where)
    for index, number in enumerate(value):
        if isinstance(number, bool) or not isinstance(number, (int, float)) or not 0 <= number <= LARGEST:
            raise Invalid(
                f"a distance must be a number within 0 .. {LARGEST:g}, got {shown(number)}", where=f"{where}/{index}"
            )
    return [float(number) for number in value]
