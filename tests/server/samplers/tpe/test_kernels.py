import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tpeak_server.domain.distributions import FloatDistribution, IntDistribution
from tpeak_server.domain.observations import Floats
from tpeak_server.samplers.axes import Numeric, axes_of
from tpeak_server.samplers.tpe.bandwidth import BandwidthRule, fit_bandwidths
from tpeak_server.samplers.tpe.categorical import Categoricals, categoricals
from tpeak_server.samplers.tpe.cells import log_interval_mass
from tpeak_server.samplers.tpe.normal import family_of, log_unit_mass

pytestmark = pytest.mark.filterwarnings("error")

FINE = (np.arange(20_000) + 0.5) / 20_000
"""The middles of equal intervals: the midpoint rule's error is below 1e-6 for a bandwidth of 1/100."""


def test_a_bandwidth_is_the_larger_gap_to_a_neighbour_and_the_inner_gap_at_the_ends() -> None:
    bandwidths, _ = fit_bandwidths(np.array([[0.1, 0.9, 0.2, 0.6]]))
    np.testing.assert_allclose(bandwidths, [[1 / 6, 0.3, 0.4, 0.4]])


def test_bandwidths_are_at_least_a_hundredth_and_more_for_few_trials() -> None:
    np.testing.assert_allclose(fit_bandwidths(np.full((1, 3), 0.5))[0], np.full((1, 3), 1 / 5))
    np.testing.assert_allclose(fit_bandwidths(np.full((1, 500), 0.5))[0], np.full((1, 500), 1 / 100))


def test_an_exponent_narrows_the_bandwidths_of_few_trials_and_the_least_bounds_them() -> None:
    rule = BandwidthRule(exponent=2.0, least=0.03)
    np.testing.assert_allclose(fit_bandwidths(np.full((1, 3), 0.5), rule)[0], np.full((1, 3), 1 / 25))
    np.testing.assert_allclose(fit_bandwidths(np.full((1, 10), 0.5), rule)[0], np.full((1, 10), 0.03))


def test_bandwidths_on_a_rare_branch_can_be_as_narrow_as_those_of_all_trials() -> None:
    rare = np.array([[0.5, 0.5, *[np.nan] * 6]])
    np.testing.assert_allclose(fit_bandwidths(rare)[0][0, :2], [1 / 4, 1 / 4])
    np.testing.assert_allclose(fit_bandwidths(rare, BandwidthRule(overall=True))[0][0, :2], [1 / 10, 1 / 10])


def test_joined_neighbours_are_as_dense_as_both() -> None:
    _, some = fit_bandwidths(np.array([[0.1, 0.9, np.nan]]), BandwidthRule(clip=False))
    _, more = fit_bandwidths(np.array([[0.5, 0.6]]))
    np.testing.assert_allclose(some.bandwidths_around(np.array([[0.55]])), [[0.45]])
    np.testing.assert_allclose(some.joined(more).bandwidths_around(np.array([[0.55]])), [[0.05]])


def test_a_single_trial_reaches_to_the_farther_end() -> None:
    np.testing.assert_allclose(fit_bandwidths(np.array([[0.2]]))[0], [[0.8]])


def test_missing_coordinates_have_the_priors_bandwidth_and_are_nobodys_neighbour() -> None:
    bandwidths, _ = fit_bandwidths(np.array([[0.1, np.nan, 0.5, 0.8]]))
    np.testing.assert_allclose(bandwidths, [[0.4, 1.0, 0.4, 0.3]])


def test_pending_bandwidths_come_from_the_gaps_among_finished_trials() -> None:
    _, neighbours = fit_bandwidths(np.array([[0.1, 0.4, np.nan, 0.8]]))
    pending = np.array([[0.0, 0.3, 0.75, 0.9, np.nan, 0.4]])
    np.testing.assert_allclose(neighbours.bandwidths_around(pending), [[0.2, 0.2, 0.35, 0.2, 1.0, 0.3]])


def test_a_pending_trial_without_neighbours_reaches_to_the_farther_end() -> None:
    _, neighbours = fit_bandwidths(np.empty((1, 0)))
    np.testing.assert_allclose(neighbours.bandwidths_around(np.array([[0.3, 0.5]])), [[0.7, 0.5]])


@given(st.floats(0, 1), st.floats(0.01, 1))
def test_a_smooth_kernels_density_integrates_to_one(centre: float, bandwidth: float) -> None:
    family = family_of(axes_of([FloatDistribution(low=-2, high=7)]))
    kernels = family.kernels(np.array([[centre]]), np.array([[bandwidth]]))
    density = np.exp(family.log_density(kernels, family.features(FINE[np.newaxis])))
    assert density.mean() == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize(
    "numeric",
    [
        IntDistribution(low=0, high=1),
        IntDistribution(low=0, high=30, step=3),
        IntDistribution(low=1, high=150),
        IntDistribution(low=1, high=900),
        FloatDistribution(low=0, high=1, step=0.05),
        IntDistribution(low=1, high=64, log=True),
        IntDistribution(low=1, high=100_000, log=True),
    ],
)
@settings(deadline=None)
@given(centre=st.floats(0, 1), bandwidth=st.floats(0.01, 1))
def test_a_kernels_masses_on_a_grid_add_up_to_one(numeric: Numeric, centre: float, bandwidth: float) -> None:
    axes = axes_of([numeric])
    family = family_of(axes)
    values = np.arange(numeric.low, numeric.high + 1e-9, numeric.step)
    units = axes.units(np.minimum(values, numeric.high)[np.newaxis])
    kernels = family.kernels(np.array([[centre]]), np.array([[bandwidth]]))
    # The masses of small cells are exact up to the fourth power of their size.
    assert np.exp(family.log_density(kernels, family.features(units))).sum() == pytest.approx(1.0, abs=2e-4)


def test_only_grids_of_large_cells_are_coarse() -> None:
    grids = [
        FloatDistribution(low=0, high=1),
        IntDistribution(low=1, high=100),
        IntDistribution(low=1, high=1000),
        IntDistribution(low=1, high=1000, log=True),
        IntDistribution(low=1000, high=10**6, log=True),
    ]
    assert family_of(axes_of(grids)).coarse == (1, 3)


def test_the_mass_of_a_small_cell_is_that_of_its_interval() -> None:
    axes = axes_of([IntDistribution(low=1, high=250)])
    family = family_of(axes)
    assert family.coarse == ()
    centre, bandwidth, units = 0.4, 0.01, (np.arange(250) + 0.5) / 250
    near = np.abs(units - centre) < 4 * bandwidth
    kernels = family.kernels(np.array([[centre]]), np.array([[bandwidth]]))
    left = (units[near] - 0.002 - centre) / bandwidth
    expected = log_interval_mass(left, left + 0.004 / bandwidth)
    np.testing.assert_allclose(
        family.log_density(kernels, family.features(units[np.newaxis]))[near, 0], expected, atol=0.01
    )


def test_densities_of_several_axes_multiply_and_missing_coordinates_drop_out() -> None:
    family = family_of(axes_of([FloatDistribution(low=0, high=1), IntDistribution(low=0, high=9)]))
    kernels = family.kernels(np.array([[0.3, np.nan], [0.5, 0.1]]), np.array([[0.1, 1.0], [0.2, 0.3]]))
    both = family.log_density(kernels, family.features(np.array([[0.4], [0.25]])))
    first = family.log_density(kernels, family.features(np.array([[0.4], [np.nan]])))
    second = family.log_density(kernels, family.features(np.array([[np.nan], [0.25]])))
    np.testing.assert_allclose(both, first + second)
    np.testing.assert_array_equal(family.log_density(kernels, family.features(np.full((2, 1), np.nan))), [[0.0, 0.0]])


def test_interval_masses_are_precise_near_the_middle_and_in_both_tails() -> None:
    left = np.array([-1.0, -9.0, 8.0, -41.0, 40.0, 100.0])
    masses = log_interval_mass(left, left + 1.0)
    # log(Phi(0) - Phi(-1)); log Phi(-8) - Phi(-9); log Phi(-40) - Phi(-41), from tables.
    np.testing.assert_allclose(masses[:5], [-1.0748623, -35.0137, -35.0137, -804.6084, -804.6084], rtol=1e-5)
    assert -5010 < masses[5] < -5000


def test_the_mass_in_the_unit_interval_loses_the_tails_only() -> None:
    masses = np.exp(log_unit_mass(np.array([0.0, 0.5, 0.5, 1.0]), np.array([0.1, 1.0, 0.01, 0.5])))
    np.testing.assert_allclose(masses, [0.5, 0.3829249, 1.0, 0.4772499], rtol=1e-6)


def log_density(kernels: Categoricals, choice: NDArray[np.int64]) -> Floats:
    total = np.zeros((choice.shape[1], kernels.own.shape[1]))
    kernels.add_log_density(total, choice)
    return total


def test_a_categorical_kernel_favours_its_own_choice_by_one_kernels_share_more() -> None:
    # Two trials and the prior make 3 kernels; over 4 choices: (1 + 1/3, 1/3, 1/3, 1/3) / (1 + 4/3).
    kernels = categoricals(np.array([[2, -1]]), np.array([[3]]), np.array([[4]]))
    probabilities = np.exp(log_density(kernels, np.array([[0, 1, 2, 3]])))
    np.testing.assert_allclose(probabilities, [[1 / 7, 1 / 4], [1 / 7, 1 / 4], [4 / 7, 1 / 4], [1 / 7, 1 / 4]])


def test_with_distances_similar_choices_are_likelier_and_are_drawn_so() -> None:
    order = np.abs(np.subtract.outer(np.arange(4.0), np.arange(4.0))) / np.array([[3.0], [2.0], [2.0], [3.0]])
    kernels = categoricals(np.array([[1, -1]]), np.array([[9]]), np.array([[4]]), {0: order})
    probabilities = np.exp(log_density(kernels, np.array([[0, 1, 2, 3]])))
    np.testing.assert_allclose(probabilities[:, 1], 0.25)
    # 9 kernels, 4 choices: exp(-(1/2)^2 log 9 log 4 / log 6) = 0.6537 beside 1 and exp(-1.7) = 0.1826; 1/9 to each.
    np.testing.assert_allclose(probabilities[:, 0] * 2.9343, [0.7648, 1.1111, 0.7648, 0.2937], atol=1e-3)
    uniforms = ((np.arange(9000) + 0.5) / 9000)[np.newaxis]
    drawn = np.bincount(kernels.sample(np.zeros(9000, dtype=np.int64), uniforms)[0]) / 9000
    np.testing.assert_allclose(drawn, probabilities[:, 0], atol=1e-3)


@given(st.integers(2, 50), st.integers(1, 100), st.data())
def test_a_categorical_kernels_probabilities_add_up_to_one(size: int, count: int, data: st.DataObject) -> None:
    own = data.draw(st.integers(-1, size - 1))
    kernels = categoricals(np.array([[own]]), np.array([[count]]), np.array([[size]]))
    assert np.exp(log_density(kernels, np.arange(size)[np.newaxis])).sum() == pytest.approx(1.0)


def test_choices_are_drawn_with_the_kernels_probabilities() -> None:
    kernels = categoricals(np.array([[2, -1]]), np.array([[3]]), np.array([[4]]))
    uniforms = ((np.arange(7000) + 0.5) / 7000)[np.newaxis]
    own = kernels.sample(np.zeros(7000, dtype=np.int64), uniforms)
    anything = kernels.sample(np.ones(7000, dtype=np.int64), uniforms)
    assert np.bincount(own[0]).tolist() == pytest.approx([1000, 1000, 4000, 1000], abs=2)
    assert np.bincount(anything[0]).tolist() == [1750, 1750, 1750, 1750]


@given(st.floats(0, 1), st.floats(0.01, 1))
def test_numeric_coordinates_are_drawn_with_the_kernels_distribution(centre: float, bandwidth: float) -> None:
    family = family_of(axes_of([FloatDistribution(low=0, high=1)]))
    kernels = family.kernels(np.array([[centre]]), np.array([[bandwidth]]))
    drawn = kernels.sample(np.zeros(999, dtype=np.int64), (np.arange(1, 1000) / 1000)[np.newaxis])[0]
    density = np.exp(family.log_density(kernels, family.features(FINE[np.newaxis])))[:, 0]
    # The share of the density below the k-th of the drawn thousandths.
    cumulative = np.interp(drawn, FINE, np.cumsum(density) / len(FINE))
    np.testing.assert_allclose(cumulative, np.arange(1, 1000) / 1000, atol=5e-3)
    assert math.isfinite(drawn.sum())
