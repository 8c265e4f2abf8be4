from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator, _ParzenEstimatorParameters
from optuna.samplers._tpe.sampler import default_weights

from tpeak_server.domain.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    Space,
)
from tpeak_server.domain.observations import Floats
from tpeak_server.samplers.layout import Points, layout_of
from tpeak_server.samplers.tpe.mixture import Mixture, fit_mixture
from tpeak_server.samplers.tpe.normal import family_of

pytestmark = pytest.mark.filterwarnings("error")

SPACE: Space = {
    "x": FloatDistribution(low=-1, high=3),
    "rate": FloatDistribution(low=1e-6, high=1, log=True),
    "units": IntDistribution(low=2, high=50, log=True),
    "layers": IntDistribution(low=1, high=9, step=2),
    "dropout": FloatDistribution(low=0, high=0.9, step=0.1),
    "solver": CategoricalDistribution(choices=("adam", "sgd", "lion", None)),
}
SMALL: Space = {name: SPACE[name] for name in ("x", "layers", "solver")}


def fitted(space: Space, columns: dict[str, Floats], count: int) -> Mixture:
    layout = layout_of(space)
    return fit_mixture(layout, layout.points(columns, count), family_of(layout.axes))


def optunas(space: Space, columns: dict[str, Floats]) -> _ParzenEstimator:
    theirs: dict[str, Any] = {
        "float": optuna.distributions.FloatDistribution,
        "int": optuna.distributions.IntDistribution,
        "categorical": optuna.distributions.CategoricalDistribution,
    }
    search_space = {
        name: theirs[distribution.kind](**{k: v for k, v in distribution.spec().items() if k != "type"})
        for name, distribution in space.items()
    }
    parameters = _ParzenEstimatorParameters(
        prior_weight=1.0,
        consider_magic_clip=True,
        consider_endpoints=False,
        weights=default_weights,
        multivariate=True,
    )
    return _ParzenEstimator(columns, search_space, parameters)


@pytest.mark.parametrize("counts", [(1, 9), (3, 30), (25, 400)])
@pytest.mark.parametrize("names", [*((name,) for name in SPACE), tuple(SPACE)], ids="+".join)
def test_log_l_minus_log_g_is_optunas(
    names: tuple[str, ...], counts: tuple[int, int], columns_of: Callable[..., dict[str, Floats]]
) -> None:
    space = {name: SPACE[name] for name in names}
    histories = [columns_of(space, count, seed=count) for count in counts]
    points = columns_of(space, 200, seed=7)
    good, bad = (fitted(space, columns, count) for columns, count in zip(histories, counts, strict=True))
    coordinates = layout_of(space).points(points, 200)
    ours = good.log_density(coordinates) - bad.log_density(coordinates)
    below, above = (optunas(space, columns) for columns in histories)
    np.testing.assert_allclose(ours, below.log_pdf(points) - above.log_pdf(points), atol=1e-9)


def every_point(space: Space, smooth: int) -> Points:
    """A full grid over x (the middles of `smooth` intervals), layers and solver."""
    x, layers, solver = np.meshgrid((np.arange(smooth) + 0.5) / smooth, (np.arange(5) + 0.5) / 5, np.arange(4))
    return Points(np.array([layers.ravel(), x.ravel()]), solver.reshape(1, -1))


@pytest.mark.parametrize("missing", [0.0, 0.4, 1.0])
def test_the_density_of_a_mixture_integrates_to_one(
    missing: float, columns_of: Callable[..., dict[str, Floats]]
) -> None:
    mixture = fitted(SMALL, columns_of(SMALL, 30, missing=missing), 30)
    pending = mixture.beside(layout_of(SMALL).points(columns_of(SMALL, 5, seed=1), 5))
    points = every_point(SMALL, 2000)
    assert np.exp(mixture.log_density(points)).sum() / 2000 == pytest.approx(1.0, abs=1e-6)
    assert np.exp(mixture.log_density(points, pending)).sum() / 2000 == pytest.approx(1.0, abs=1e-6)


def test_a_coordinate_that_a_point_lacks_is_integrated_out(columns_of: Callable[..., dict[str, Floats]]) -> None:
    mixture = fitted(SMALL, columns_of(SMALL, 30, missing=0.2), 30)
    points = every_point(SMALL, 2000)
    of_one_choice = points.take(np.flatnonzero(points.choice[0] == 2))
    choice_alone = layout_of(SMALL).point({"solver": 2.0})
    integrated = np.exp(mixture.log_density(of_one_choice)).sum() / 2000
    assert np.exp(mixture.log_density(choice_alone)) == pytest.approx(integrated, abs=1e-6)


def test_without_trials_the_mixture_is_the_prior(columns_of: Callable[..., dict[str, Floats]]) -> None:
    mixture = fitted(SMALL, columns_of(SMALL, 0), 0)
    layers_and_solver = np.exp(mixture.log_density(every_point(SMALL, 1)))
    # The middle of a standard normal cut to [-1/2, 1/2]: 0.3989 / 0.3829 = 1.04 times uniform, over 4 choices.
    np.testing.assert_allclose(layers_and_solver.sum(), 1.0418, atol=1e-3)


def test_the_order_of_trials_of_equal_weight_changes_nothing(
    columns_of: Callable[..., dict[str, Floats]],
) -> None:
    # On a grid equal values exchange their bandwidths with their places.
    space = {name: SPACE[name] for name in ("x", "rate", "solver")}
    columns = columns_of(space, 20)
    order = np.random.default_rng(3).permutation(20)
    shuffled = {name: column[order] for name, column in columns.items()}
    points = layout_of(space).points(columns_of(space, 50, seed=5), 50)
    np.testing.assert_allclose(
        fitted(space, columns, 20).log_density(points), fitted(space, shuffled, 20).log_density(points), atol=1e-9
    )


def test_points_are_drawn_with_the_density_of_the_mixture(columns_of: Callable[..., dict[str, Floats]]) -> None:
    mixture = fitted(SMALL, columns_of(SMALL, 8, missing=0.2), 8)
    lacking = layout_of(SMALL).point({})
    drawn = mixture.kernels.sample(np.random.default_rng(0).random((4, 40_000)), lacking)
    shares = np.bincount(drawn.choice[0], minlength=4) / 40_000
    expected = [np.exp(mixture.log_density(layout_of(SMALL).point({"solver": float(i)})))[0] for i in range(4)]
    np.testing.assert_allclose(shares, expected, atol=0.01)
    cells = np.bincount(np.floor(drawn.unit[0] * 5).astype(int), minlength=5) / 40_000
    expected = [np.exp(mixture.log_density(layout_of(SMALL).point({"layers": 1.0 + 2 * i})))[0] for i in range(5)]
    np.testing.assert_allclose(cells, expected, atol=0.01)
