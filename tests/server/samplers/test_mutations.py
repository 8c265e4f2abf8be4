import numpy as np
import pytest

from tpeak_server.domain.distributions import CategoricalDistribution, FloatDistribution, IntDistribution, Space
from tpeak_server.samplers.layout import layout_of
from tpeak_server.samplers.mutations import mutated, rows_of_mutation

pytestmark = pytest.mark.filterwarnings("error")

SPACE: Space = {
    "depth": IntDistribution(low=1, high=8),
    "rate": FloatDistribution(low=0, high=1),
    "size": IntDistribution(low=1, high=64, log=True),
    "solver": CategoricalDistribution(choices=("a", "b", "c")),
}
LAYOUT = layout_of(SPACE)
PARENT = LAYOUT.point({"depth": 4.0, "rate": 0.5, "size": 8.0, "solver": 1.0})


def mutations(count: int = 2000) -> list[dict[str, float]]:
    uniforms = np.random.default_rng(0).random((rows_of_mutation(LAYOUT), count))
    points = mutated(LAYOUT, PARENT, uniforms)
    return LAYOUT.all_values(points)


def test_every_mutation_is_another_point() -> None:
    parent = LAYOUT.values(PARENT)
    assert all(one != parent for one in mutations())


def test_half_of_the_parameters_change_on_average() -> None:
    parent = LAYOUT.values(PARENT)
    changed = [sum(one[name] != parent[name] for name in SPACE) for one in mutations()]
    assert np.mean(changed) == pytest.approx(2.0, abs=0.1)


def test_steps_on_a_grid_reach_the_neighbours_and_beyond() -> None:
    depths = {one["depth"] for one in mutations()}
    assert {3.0, 5.0, 2.0, 6.0} <= depths
    assert depths <= set(map(float, range(1, 9)))


def test_another_choice_is_as_likely_as_any() -> None:
    chosen = [one["solver"] for one in mutations()]
    assert chosen.count(0.0) == pytest.approx(chosen.count(2.0), rel=0.15)


def test_what_the_parent_lacks_is_drawn_anew() -> None:
    parent = LAYOUT.point({"depth": 4.0})
    points = mutated(LAYOUT, parent, np.random.default_rng(0).random((rows_of_mutation(LAYOUT), 500)))
    assert points.complete.all()
    assert set(points.choice[0].tolist()) == {0, 1, 2}
