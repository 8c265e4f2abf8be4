import math

import numpy as np
import pytest

from tpeak_server.domain.distributions import CategoricalDistribution, FloatDistribution, IntDistribution, Space
from tpeak_server.samplers.layout import layout_of
from tpeak_server.samplers.visited import visited

pytestmark = pytest.mark.filterwarnings("error")

SPACE: Space = {
    "depth": IntDistribution(low=1, high=9, step=2),
    "rate": FloatDistribution(low=0, high=1, step=0.25),
    "solver": CategoricalDistribution(choices=("a", "b")),
}
LAYOUT = layout_of(SPACE)


def test_a_point_that_was_met_is_known_again_and_no_other() -> None:
    columns = {"depth": np.array([1.0, 9.0]), "rate": np.array([0.25, 1.0]), "solver": np.array([0.0, 1.0])}
    known = visited(LAYOUT, LAYOUT.points(columns, 2))
    assert known is not None
    assert known.has(LAYOUT.point({"depth": 9.0, "rate": 1.0, "solver": 1.0})).tolist() == [True]
    assert known.has(LAYOUT.point({"depth": 9.0, "rate": 0.75, "solver": 1.0})).tolist() == [False]


def test_points_that_lack_a_parameter_differ_from_those_that_have_it() -> None:
    known = visited(LAYOUT, LAYOUT.point({"depth": 1.0, "rate": 0.0}))
    assert known is not None
    assert known.has(LAYOUT.point({"depth": 1.0, "rate": 0.0, "solver": 0.0})).tolist() == [False]
    assert known.has(LAYOUT.point({"depth": 1.0, "rate": 0.0})).tolist() == [True]


def test_points_are_added_one_after_another() -> None:
    known = visited(LAYOUT, LAYOUT.points({}, 0))
    assert known is not None
    for depth in (5.0, 1.0, 9.0, 5.0):
        known = known.with_points(LAYOUT.point({"depth": depth}))
    assert [bool(known.has(LAYOUT.point({"depth": depth}))[0]) for depth in (1.0, 3.0, 5.0, 7.0, 9.0)] == [
        True, False, True, False, True,
    ]  # fmt: skip


def test_every_point_of_a_space_has_an_identity_of_its_own() -> None:
    columns = np.meshgrid([1.0, 3, 5, 7, 9, math.nan], [0, 0.25, 0.5, 0.75, 1, math.nan], [0, 1, math.nan])
    points = LAYOUT.points(
        {name: column.ravel() for name, column in zip(("depth", "rate", "solver"), columns, strict=True)}, 108
    )
    known = visited(LAYOUT, points)
    assert known is not None
    assert len(np.unique(known.met)) == 108


@pytest.mark.parametrize(
    "space",
    [
        {**SPACE, "momentum": FloatDistribution(low=0, high=1)},
        {f"p{i}": IntDistribution(low=1, high=1000) for i in range(7)},
    ],
)
def test_continuous_and_endless_spaces_have_no_repetitions(space: Space) -> None:
    layout = layout_of(space)
    assert visited(layout, layout.points({}, 0)) is None
