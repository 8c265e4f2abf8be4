import numpy as np
import pytest

from tpeak_server.domain.distributions import CategoricalDistribution, FloatDistribution, IntDistribution, Space
from tpeak_server.samplers.layout import Layout, Points, layout_of
from tpeak_server.samplers.structure import Structure, learn

pytestmark = pytest.mark.filterwarnings("error")

NAN = np.nan

TREE: Space = {
    "algorithm": CategoricalDistribution(choices=("svm", "forest")),
    "gamma": FloatDistribution(low=0, high=1),
    "kernel": CategoricalDistribution(choices=("rbf", "poly", "linear")),
    "trees": IntDistribution(low=1, high=100),
}
TREE_COLUMNS = {
    "algorithm": [0, 0, 0, 1, 1, 0],
    "gamma": [0.1, NAN, NAN, NAN, NAN, 0.5],
    "kernel": [0, 1, 1, NAN, NAN, 0],
    "trees": [NAN, NAN, NAN, 10, 20, NAN],
}


def learned(space: Space, columns: dict[str, list[float]]) -> tuple[Layout, Structure]:
    layout = layout_of(space)
    count = len(next(iter(columns.values())))
    return layout, learn(layout, layout.points({name: np.array(column) for name, column in columns.items()}, count))


def active_names(layout: Layout, points: Points) -> set[str]:
    numeric = {name for name, u in zip(layout.numeric_names, points.unit[:, 0], strict=True) if not np.isnan(u)}
    return numeric | {name for name, at in zip(layout.categorical_names, points.choice[:, 0], strict=True) if at >= 0}


@pytest.mark.parametrize(
    ("values", "active"),
    [
        ({"algorithm": 0.0, "kernel": 0.0}, {"algorithm", "kernel", "gamma"}),
        ({"algorithm": 0.0, "kernel": 1.0}, {"algorithm", "kernel"}),
        ({"algorithm": 1.0, "kernel": 0.0}, {"algorithm", "trees"}),
    ],
)
def test_a_branch_that_was_not_taken_is_not_there(values: dict[str, float], active: set[str]) -> None:
    layout, structure = learned(TREE, TREE_COLUMNS)
    point = layout.point({"gamma": 0.3, "trees": 5.0, **values})
    assert active_names(layout, structure.active(point)) == active


def test_a_choice_that_no_trial_has_had_may_have_the_parameter() -> None:
    layout, structure = learned(TREE, TREE_COLUMNS)
    point = layout.point({"algorithm": 0.0, "kernel": 2.0, "gamma": 0.3, "trees": 5.0})
    assert active_names(layout, structure.active(point)) == {"algorithm", "kernel", "gamma"}


def test_choices_that_others_depend_on_come_level_by_level() -> None:
    _, structure = learned(TREE, TREE_COLUMNS)
    # The order of coordinates: gamma, trees; algorithm, kernel.
    assert [level[:, 0].tolist() for level in structure.levels] == [
        [False, False, True, False],
        [False, False, False, True],
    ]
    assert Structure(structure.layout, ()).levels == ()


def test_a_count_is_a_parent_as_well_as_a_choice() -> None:
    space: Space = {
        "layers": IntDistribution(low=1, high=3),
        "units_1": IntDistribution(low=8, high=64),
        "units_2": IntDistribution(low=8, high=64),
    }
    layout, structure = learned(space, {"layers": [1, 2, 3, 2], "units_1": [8, 8, 8, 8], "units_2": [NAN, 16, 32, 8]})
    shallow = layout.point({"layers": 1.0, "units_1": 8.0, "units_2": 8.0})
    assert active_names(layout, structure.active(shallow)) == {"layers", "units_1"}
    deep = layout.point({"layers": 3.0, "units_1": 8.0, "units_2": 8.0})
    assert active_names(layout, structure.active(deep)) == {"layers", "units_1", "units_2"}


def test_a_parameter_that_trials_lack_for_another_reason_depends_on_nothing() -> None:
    space: Space = {"late": FloatDistribution(low=0, high=1), "solver": CategoricalDistribution(choices=("a", "b"))}
    _, structure = learned(space, {"late": [NAN, 0.2, NAN, 0.4], "solver": [0, 0, 1, 1]})
    assert structure.dependences == ()


def test_two_parameters_that_only_explain_each_other_depend_on_nothing() -> None:
    space: Space = {
        "one": CategoricalDistribution(choices=("a", "b")),
        "two": CategoricalDistribution(choices=("a", "b")),
    }
    _, structure = learned(space, {"one": [0, 1, NAN], "two": [0, NAN, 0]})
    assert structure.dependences == ()


def test_without_trials_everything_is_there() -> None:
    layout, structure = learned(TREE, {name: [] for name in TREE})
    point = layout.point({"algorithm": 0.0, "kernel": 0.0, "gamma": 0.3, "trees": 5.0})
    assert active_names(layout, structure.active(point)) == set(TREE)
