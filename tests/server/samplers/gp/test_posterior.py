import numpy as np
import pytest

from tpeak_server.domain.distributions import FloatDistribution
from tpeak_server.samplers.gp.kernel import Inputs, Scales, covariance, inputs_of, variance
from tpeak_server.samplers.gp.posterior import Posterior
from tpeak_server.samplers.layout import Points, layout_of

LAYOUT = layout_of({"x": FloatDistribution(low=0, high=1), "y": FloatDistribution(low=0, high=1)})
SCALES = Scales(sharpness=np.array([4.0, 1.0]), signal=1.5, trend=0.3, noise=0.01)


def inputs(count: int, seed: int) -> Inputs:
    unit = np.random.default_rng(seed).random((2, count))
    return inputs_of(LAYOUT, Points(unit, np.empty((0, count), dtype=np.int64)))


def test_mean_and_deviation_are_those_of_the_textbook() -> None:
    seen, at = inputs(8, 0), inputs(3, 1)
    loss = np.random.default_rng(2).normal(size=8)
    matrix = covariance(SCALES, seen, seen)
    inverse = np.linalg.inv(matrix + (0.01 + 1e-6) * np.eye(8))
    across = covariance(SCALES, seen, at)
    mean, deviation = Posterior(SCALES, seen, loss).at(at)
    assert mean == pytest.approx(across.T @ inverse @ loss, rel=1e-9)
    assert deviation**2 == pytest.approx(variance(SCALES, at) - np.diag(across.T @ inverse @ across), rel=1e-7)
    assert Posterior(SCALES, seen, loss).mean == pytest.approx(
        covariance(SCALES, seen, seen) @ inverse @ loss, rel=1e-4
    )


def test_a_pending_point_leaves_the_mean_and_takes_the_doubt() -> None:
    seen, pending = inputs(8, 0), inputs(5, 1)
    posterior = Posterior(SCALES, seen, np.random.default_rng(2).normal(size=8))
    beside = posterior.beside(pending.take(slice(2))).beside(pending.take(slice(2, None)))
    assert beside.at(pending)[0] == pytest.approx(posterior.at(pending)[0], rel=1e-12)
    assert beside.mean[8:] == pytest.approx(posterior.at(pending)[0], rel=1e-12)
    assert (beside.at(pending)[1] < 0.11).all()
    assert (beside.at(pending)[1] < posterior.at(pending)[1]).all()


def test_pending_points_one_by_one_are_the_same_as_all_at_once() -> None:
    seen, pending, at = inputs(8, 0), inputs(5, 1), inputs(6, 3)
    posterior = Posterior(SCALES, seen, np.zeros(8))
    one_by_one = posterior
    for k in range(5):
        one_by_one = one_by_one.beside(pending.take(slice(k, k + 1)))
    assert one_by_one.at(at)[1] == pytest.approx(posterior.beside(pending).at(at)[1], rel=1e-9)


def test_nothing_pending_changes_nothing() -> None:
    posterior = Posterior(SCALES, inputs(4, 0), np.zeros(4))
    assert posterior.beside(inputs(0, 1)) is posterior
