"""The volume that points dominate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from studies.hypervolume import Dominated


def volume(reference: Sequence[float], *points: Sequence[float]) -> float:
    dominated = Dominated(reference)
    for point in points:
        dominated.add(point)
    return dominated.volume


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([], 0.0),
        ([(1.0, 1.0)], 4.0),
        ([(1.0, 1.0), (1.0, 1.0)], 4.0),
        ([(1.0, 1.0), (2.0, 2.0)], 4.0),
        ([(2.0, 2.0), (1.0, 1.0)], 4.0),
        ([(0.0, 2.0), (2.0, 0.0)], 5.0),
        ([(0.0, 2.0), (1.0, 1.0), (2.0, 0.0)], 6.0),
        ([(0.0, 3.0), (4.0, 0.0)], 0.0),
    ],
)
def test_of_two_objectives_it_is_the_area_of_a_staircase(points: list[tuple[float, float]], expected: float) -> None:
    assert volume((3.0, 3.0), *points) == expected


def test_of_three_objectives_it_is_the_union_of_boxes() -> None:
    assert volume((2.0, 2.0, 2.0), (0.0, 1.0, 1.0), (1.0, 0.0, 1.0), (1.0, 1.0, 0.0)) == 4.0


def test_of_four_objectives_it_is_what_counting_cells_gives() -> None:
    points = np.random.default_rng(1).integers(0, 4, (40, 4))
    cells = np.stack(np.meshgrid(*[range(4)] * 4, indexing="ij"), axis=-1).reshape(-1, 4)
    covered = (points[None, :, :] <= cells[:, None, :]).all(axis=2).any(axis=1)
    assert volume((4.0,) * 4, *points.astype(float)) == pytest.approx(covered.sum())
