import numpy as np
import pytest

from tpeak_server.domain.distributions import CategoricalDistribution, FloatDistribution, Space
from tpeak_server.samplers.gp.fit import Energy, fit_scales
from tpeak_server.samplers.gp.kernel import Inputs, inputs_of
from tpeak_server.samplers.layout import Points, layout_of

SPACE: Space = {
    "solver": CategoricalDistribution(choices=("a", "b", "c")),
    "x": FloatDistribution(low=0, high=1),
    "y": FloatDistribution(low=0, high=1),
}
LAYOUT = layout_of(SPACE)


def some_inputs(count: int) -> Inputs:
    rng = np.random.default_rng(0)
    return inputs_of(LAYOUT, Points(rng.random((2, count)), rng.integers(0, 3, (1, count))))


def test_the_gradient_is_that_of_the_energy() -> None:
    inputs = some_inputs(12)
    energy = Energy(inputs, np.random.default_rng(1).normal(size=12))
    theta = energy.mean + np.array([0.3, -0.2, 0.5, 0.1, 0.4, 3.0])
    steps = 1e-6 * np.eye(len(theta))
    wanted = [(energy(theta + step)[0] - energy(theta - step)[0]) / 2e-6 for step in steps]
    assert energy(theta)[1] == pytest.approx(wanted, rel=1e-4, abs=1e-5)


def test_what_matters_becomes_sharp_and_what_does_not_stays_blunt() -> None:
    inputs = some_inputs(60)
    loss = np.sin(9.0 * inputs.unit[0])
    x, y, solver = fit_scales(inputs, (loss - loss.mean()) / loss.std()).sharpness
    assert x > 20.0 * y
    assert x > 20.0 * solver


def test_noise_is_told_from_signal() -> None:
    inputs = some_inputs(80)
    rng = np.random.default_rng(2)
    loss = inputs.unit[0] - inputs.unit[1]
    loss = (loss - loss.mean()) / loss.std()
    assert fit_scales(inputs, loss).noise < 0.001
    assert fit_scales(inputs, loss + rng.normal(0.0, 0.5, 80)).noise == pytest.approx(0.25, rel=0.5)


def test_losses_that_are_all_the_same_can_be_fitted() -> None:
    scales = fit_scales(some_inputs(10), np.zeros(10))
    assert np.isfinite([*scales.sharpness, scales.signal, scales.trend, scales.noise]).all()
