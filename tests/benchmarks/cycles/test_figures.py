"""The arithmetic of the figures."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cycles.figures import Slope, poisson_arrivals, quantile, slope


def test_a_quantile_is_one_of_the_values() -> None:
    hundred = [float(value) for value in range(100, 0, -1)]
    assert [quantile(hundred, share) for share in (0.0, 0.5, 0.9, 0.99, 1.0)] == [1.0, 50.0, 90.0, 99.0, 100.0]
    assert quantile([7.0], 0.99) == 7.0


def test_arrivals_are_the_same_for_a_seed_and_others_for_another_one() -> None:
    assert list(poisson_arrivals(50.0, 2.0, 1)) == list(poisson_arrivals(50.0, 2.0, 1))
    assert list(poisson_arrivals(50.0, 2.0, 1)) != list(poisson_arrivals(50.0, 2.0, 2))


def test_arrivals_ascend_in_their_time_and_come_as_independent_ones_do() -> None:
    moments = np.array(list(poisson_arrivals(300.0, 100.0, 0)))
    gaps = np.diff(moments, prepend=0.0)
    assert gaps.min() > 0.0
    assert moments[-1] < 100.0
    # Of 30,000 expected ones, and of the gaps' mean and spread, five standard errors.
    assert abs(len(moments) - 30_000) < 5 * math.sqrt(30_000)
    assert gaps.std() / gaps.mean() == pytest.approx(1.0, abs=5 / math.sqrt(30_000))


def test_a_straight_line_has_its_slope_and_no_uncertainty() -> None:
    found = slope([0.0, 1.0, 2.0, 5.0], [1.0, 3.0, 5.0, 11.0])
    assert found.value == pytest.approx(2.0)
    assert found.margin == pytest.approx(0.0, abs=1e-9)


def test_samples_that_never_change_have_no_slope() -> None:
    assert slope([0.0, 1.0, 2.0, 3.0], [5.0] * 4) == Slope(value=0.0, margin=0.0)


def test_the_uncertainty_of_independent_samples_is_the_textbooks() -> None:
    # Residuals 1, -1, -1, 1 around y = x; neighbours differ as often as not, so that all four samples count.
    found = slope([0.0, 1.0, 2.0, 3.0], [1.0, 0.0, 1.0, 4.0])
    assert found.value == pytest.approx(1.0)
    assert found.margin == pytest.approx(1.96 * math.sqrt(4.0 / 2.0 / 5.0))


def test_samples_that_resemble_their_neighbours_leave_more_uncertainty() -> None:
    moments = [float(moment) for moment in range(200)]
    walk = np.repeat(np.random.default_rng(0).normal(size=20), 10)
    shuffled = np.random.default_rng(1).permutation(walk)
    assert slope(moments, walk.tolist()).margin > 2.0 * slope(moments, shuffled.tolist()).margin


def test_the_interval_holds_the_slope_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    moments = [float(moment) for moment in range(100)]
    found = [slope(moments, (0.5 * np.arange(100) + rng.normal(size=100)).tolist()) for _ in range(400)]
    held = sum(abs(one.value - 0.5) <= one.margin for one in found) / len(found)
    assert 0.92 < held < 0.98


def test_growth_is_certain_where_the_whole_interval_lies_above_the_bound() -> None:
    assert Slope(value=10.0, margin=4.0).exceeds(5.0)
    assert not Slope(value=10.0, margin=6.0).exceeds(5.0)


def test_a_slope_of_three_samples_is_refused() -> None:
    with pytest.raises(ValueError, match="needs 4 samples, got 3"):
        slope([0.0, 1.0, 2.0], [0.0, 1.0, 2.0])
