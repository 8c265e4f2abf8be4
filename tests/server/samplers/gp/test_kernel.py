import math

import numpy as np
import pytest

from tpeak_server.domain.distributions import CategoricalDistribution, FloatDistribution, Space
from tpeak_server.samplers.gp.kernel import (
    Scales,
    covariance,
    differences,
    inputs_of,
    matern,
    matern_and_slope,
    variance,
)
from tpeak_server.samplers.layout import layout_of

SPACE: Space = {
    "x": FloatDistribution(low=0, high=1),
    "y": FloatDistribution(low=0, high=10),
    "solver": CategoricalDistribution(choices=("a", "b", "c")),
}
LAYOUT = layout_of(SPACE)
COLUMNS = {
    "x": np.array([0.0, 0.5, 1.0, 1.0]),
    "y": np.array([10.0, 5.0, 0.0, np.nan]),
    "solver": np.array([0.0, 1, 1, 2]),
}
INPUTS = inputs_of(LAYOUT, LAYOUT.points(COLUMNS, 4))


def test_the_covariance_is_matern_of_the_weighted_distances() -> None:
    scales = Scales(sharpness=np.array([4.0, 1.0, 0.5]), signal=2.0, trend=0.0, noise=0.1)
    q = 4.0 * 0.5**2 + 1.0 * 0.5**2 + 0.5
    wanted = 2.0 * (1 + math.sqrt(5 * q) + 5 * q / 3) * math.exp(-math.sqrt(5 * q))
    assert covariance(scales, INPUTS, INPUTS)[0, 1] == pytest.approx(wanted, rel=1e-12)
    assert covariance(scales, INPUTS, INPUTS).diagonal() == pytest.approx(variance(scales, INPUTS), rel=1e-12)


def test_a_missing_coordinate_stands_in_the_middle() -> None:
    scales = Scales(sharpness=np.array([0.0, 1.0, 0.0]), signal=1.0, trend=0.0, noise=0.1)
    assert covariance(scales, INPUTS, INPUTS)[3, 1] == 1.0


def test_the_trend_is_a_line_and_a_parabola_along_each_coordinate() -> None:
    scales = Scales(sharpness=np.zeros(3), signal=0.0, trend=5.0, noise=0.1)
    line, parabola = 12 * -0.5 * 0.5, 180 * (0.25 - 1 / 12) ** 2
    assert covariance(scales, INPUTS, INPUTS)[0, 2] == pytest.approx(2 * (line + parabola))
    assert covariance(scales, INPUTS, INPUTS)[1, 2] == pytest.approx(2 * 180 * -1 / 12 * (0.25 - 1 / 12) + 1)


def test_differences_are_those_of_each_coordinate() -> None:
    assert differences(INPUTS, np.array([0]), np.array([1])).tolist() == [[0.25], [0.25], [1.0]]


def test_the_slope_is_the_derivative() -> None:
    q = np.array([1e-3, 0.1, 1.0, 30.0])
    step = 1e-7
    found, slope = matern_and_slope(q)
    assert found == pytest.approx(matern(q), rel=1e-12)
    assert slope == pytest.approx((matern(q + step) - matern(q - step)) / (2 * step), rel=1e-5)
