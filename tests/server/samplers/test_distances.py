import math
from typing import Any

import pytest

from tpeak_server.domain.distributions import CategoricalDistribution, IntDistribution, Space
from tpeak_server.domain.errors import Invalid
from tpeak_server.samplers.distances import Distances, check_choices

SETTING = Distances(name="distances")
SPACE: Space = {
    "size": CategoricalDistribution(choices=("s", "m", "l")),
    "solver": CategoricalDistribution(choices=("adam", "sgd")),
    "layers": IntDistribution(low=1, high=9),
}


def matrix(size: int, value: float = 1.0) -> list[list[float]]:
    return [[0.0 if row == column else value for column in range(size)] for row in range(size)]


def test_distances_are_kept_as_floats() -> None:
    assert SETTING.checked({"size": "ordered", "solver": [[0, 2], [2, 0]]}, "/d") == {
        "size": "ordered",
        "solver": [[0.0, 2.0], [2.0, 0.0]],
    }
    assert SETTING.checked({}, "/d") == {}
    assert SETTING.checked({"one": [[0]]}, "/d") == {"one": [[0.0]]}


@pytest.mark.parametrize(
    ("value", "where", "message"),
    [
        ([], "/d", 'distances must map parameters to "ordered" or a matrix, got []'),
        ("ordered", "/d", "distances must map parameters to \"ordered\" or a matrix, got 'ordered'"),
        ({f"p{index}": "ordered" for index in range(1001)}, "/d", "distances has 1001 parameters, more than 1000"),
        ({"a": matrix(100), "b": matrix(2)}, "/d", "distances has 10004 numbers, more than 10000"),
        ({"a/b": "sorted"}, "/d/a~1b", "a distance must be \"ordered\" or a list of rows, got 'sorted'"),
        ({"a": None}, "/d/a", 'a distance must be "ordered" or a list of rows, got None'),
        ({"a": []}, "/d/a", 'a distance must be "ordered" or a list of rows, got []'),
        ({"a": matrix(1000)}, "/d/a", "a matrix of 1000 rows has more than 100"),
        ({"a": [[0, 1], [1]]}, "/d/a/1", "a row must have 2 numbers, as many as there are rows, got [1]"),
        ({"a": [0, 1]}, "/d/a/0", "a row must have 2 numbers, as many as there are rows, got 0"),
        ({"a": [[0, "1"], [1, 0]]}, "/d/a/0/1", "a distance must be a number within 0 .. 1e+100, got '1'"),
        ({"a": [[0, True], [1, 0]]}, "/d/a/0/1", "a distance must be a number within 0 .. 1e+100, got True"),
        ({"a": [[0, -1], [-1, 0]]}, "/d/a/0/1", "a distance must be a number within 0 .. 1e+100, got -1"),
        ({"a": [[0, math.inf], [1, 0]]}, "/d/a/0/1", "a distance must be a number within 0 .. 1e+100, got inf"),
        ({"a": [[0, math.nan], [1, 0]]}, "/d/a/0/1", "a distance must be a number within 0 .. 1e+100, got nan"),
        ({"a": [[0, 1], [2, 0]]}, "/d/a/1/0", "a matrix must be symmetric, got 2.0 and 1.0"),
        ({"a": [[0, 1], [1, 3]]}, "/d/a/1/1", "a choice must be 0 from itself, got 3.0"),
    ],
)
def test_what_is_no_distance_is_explained(value: object, where: str, message: str) -> None:
    with pytest.raises(Invalid) as refused:
        SETTING.checked(value, "/d")
    assert (refused.value.where, refused.value.message) == (where, message)


@pytest.mark.parametrize(
    "distances", [None, {}, {"size": "ordered"}, {"size": matrix(3), "solver": matrix(2), "later": matrix(7)}]
)
def test_distances_that_fit_the_space_or_nothing_in_it_are_right(distances: Any) -> None:
    check_choices({"name": "tpe", "categorical_distance": distances}, SPACE)
    check_choices({"name": "tpe", "categorical_distance": distances}, None)
    check_choices({"name": "random"}, SPACE)


@pytest.mark.parametrize(
    ("name", "distance", "message"),
    [
        ("size", matrix(2), "a matrix of 2 rows does not fit 3 choices"),
        ("layers", "ordered", "there are distances between choices only, and this parameter has none"),
    ],
)
def test_distances_that_do_not_fit_the_space_are_refused(name: str, distance: Any, message: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_choices({"name": "tpe", "categorical_distance": {name: distance}}, SPACE)
    assert (refused.value.where, refused.value.message) == (f"/sampler/categorical_distance/{name}", message)
