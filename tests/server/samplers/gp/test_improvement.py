import math

import numpy as np
import pytest
from scipy import integrate, stats

from tpeak_server.samplers.gp.improvement import (
    log_expected_improvement,
    log_feasible,
    log_scalarised_improvement,
)


@pytest.mark.parametrize(("mean", "deviation"), [(0.0, 1.0), (3.0, 0.5), (-2.0, 0.1), (2.0, 2.0)])
def test_the_expected_improvement_is_the_integral(mean: float, deviation: float) -> None:
    wanted, _ = integrate.quad(lambda y: (0.5 - y) * stats.norm.pdf(y, mean, deviation), mean - 12 * deviation, 0.5)
    found = log_expected_improvement(np.array([mean]), np.array([deviation]), 0.5)
    assert math.exp(found[0]) == pytest.approx(wanted, rel=1e-6)


def test_far_from_any_improvement_nearer_is_still_better() -> None:
    mean = np.array([5.0, 50.0, 5e2, 5e3, 5e5])
    found = log_expected_improvement(mean, np.ones(5), 0.0)
    assert np.isfinite(found).all()
    assert (np.diff(found) < 0).all()
    assert found[1] == pytest.approx(-0.5 * 2500 - 0.5 * math.log(2 * math.pi) - 2 * math.log(50), abs=0.01)


def test_the_probability_of_feasibility_is_that_of_a_violation_below_zero() -> None:
    found = log_feasible(np.array([0.0, 1.0, -1.0]), np.ones(3))
    assert np.exp(found) == pytest.approx([0.5, 0.158655, 0.841345], abs=1e-6)


def test_several_objectives_are_improved_where_the_weighted_worst_is() -> None:
    seen = np.array([[0.0, 1.0, 0.5], [1.0, 0.0, 0.6]])
    mean = np.array([[0.2, 0.9, 0.4], [0.2, 0.9, 0.8]])
    deviation = np.full((2, 3), 0.05)
    even = log_scalarised_improvement(mean, deviation, seen, np.array([0.5, 0.5]))
    assert even.argmax() == 0
    assert math.exp(even[0]) / 64 * 1e-2 == pytest.approx(0.275 + 0.0275 - 0.11, abs=0.03)
    assert even[1] == even.min()
