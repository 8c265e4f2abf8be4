import math
import sys
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tpeak_server.domain.distributions import MAX_EXACT_INT, FloatDistribution, IntDistribution
from tpeak_server.samplers.axes import Axes, Numeric, axes_of

pytestmark = pytest.mark.filterwarnings("error")

EXACT = st.integers(-MAX_EXACT_INT, MAX_EXACT_INT)


@st.composite
def floats(draw: st.DrawFn) -> FloatDistribution:
    log = draw(st.booleans())
    bound = st.floats(5e-324 if log else -1e300, 1e300, allow_nan=False)
    low, high = sorted((draw(bound), draw(bound)))
    return FloatDistribution(low=low, high=high, log=log)


@st.composite
def stepped(draw: st.DrawFn) -> FloatDistribution:
    # Further from 0 a float cannot hold low + k * step to the 1e-8 steps that count as on the grid.
    low, step = draw(st.floats(-1e3, 1e3)), draw(st.floats(1e-3, 1e3))
    return FloatDistribution(low=low, high=low + draw(st.integers(1, 10_000)) * step, step=step)


@st.composite
def ints(draw: st.DrawFn) -> IntDistribution:
    log = draw(st.booleans())
    bound = st.integers(1, MAX_EXACT_INT) if log else EXACT
    low, high = sorted((draw(bound), draw(bound)))
    step = 1 if log else draw(st.integers(1, max(1, high - low)))
    return IntDistribution(low=low, high=high, log=log, step=step)


NUMERICS = st.one_of(floats(), stepped(), ints()).filter(lambda numeric: not numeric.single)
FRACTIONS = st.one_of(st.floats(0.0, 1.0), st.sampled_from([0.0, 1.0, math.nextafter(1.0, 0.0)]))


def axis(numeric: Numeric) -> Axes:
    return axes_of([numeric])


@given(NUMERICS, FRACTIONS)
def test_every_fraction_gives_a_value_in_the_range_and_on_the_grid(
    allows: Callable[[Numeric, float], bool], numeric: Numeric, fraction: float
) -> None:
    assert allows(numeric, axis(numeric).value(0, fraction))


@given(NUMERICS, FRACTIONS)
def test_every_value_has_a_coordinate_within_0_and_1(numeric: Numeric, fraction: float) -> None:
    value = axis(numeric).value(0, fraction)
    unit = axis(numeric).units(np.array([[value]]))[0, 0]
    assert -1e-9 <= unit <= 1 + 1e-9


@given(st.integers(1, 2000), st.integers(0, 1999), st.integers(1, 7))
def test_an_int_keeps_its_value_through_its_coordinate(count: int, index: int, step: int) -> None:
    numeric = IntDistribution(low=-50, high=-50 + count * step, step=step)
    value = -50.0 + min(index, count) * step
    assert axis(numeric).value(0, float(axis(numeric).units(np.array([[value]]))[0, 0])) == value


@given(st.integers(1, 10**6))
def test_a_logarithmic_int_keeps_its_value_through_its_coordinate(value: int) -> None:
    axes = axis(IntDistribution(low=1, high=10**6, log=True))
    assert axes.value(0, float(axes.units(np.array([[float(value)]]))[0, 0])) == value


@pytest.mark.parametrize(
    ("numeric", "fraction", "value"),
    [
        (FloatDistribution(low=-1, high=3), 0.25, 0.0),
        (FloatDistribution(low=1e-6, high=1e6, log=True), 0.5, 1.0),
        (FloatDistribution(low=0, high=1, step=0.25), 0.5, 0.5),
        (FloatDistribution(low=0, high=1, step=0.25), 0.99, 1.0),
        (IntDistribution(low=1, high=4), 0.2499, 1.0),
        (IntDistribution(low=1, high=4), 0.25, 2.0),
        (IntDistribution(low=10, high=50, step=20), 0.9, 50.0),
        (IntDistribution(low=-MAX_EXACT_INT, high=MAX_EXACT_INT), 0.0, -float(MAX_EXACT_INT)),
        (IntDistribution(low=1, high=MAX_EXACT_INT, log=True), 1.0, float(MAX_EXACT_INT)),
        (FloatDistribution(low=1.0, high=sys.float_info.max, log=True), 1.0, math.exp(math.log(sys.float_info.max))),
    ],
)
def test_fractions_of_a_range_have_these_values(numeric: Numeric, fraction: float, value: float) -> None:
    assert axis(numeric).value(0, fraction) == pytest.approx(value, rel=1e-12, abs=1e-12)


def test_each_value_of_a_grid_owns_an_equal_share_of_the_fractions() -> None:
    axes = axis(IntDistribution(low=1, high=4))
    values = [axes.value(0, fraction) for fraction in (np.arange(1000) + 0.5) / 1000]
    assert [values.count(value) for value in (1.0, 2.0, 3.0, 4.0)] == [250, 250, 250, 250]


def test_what_lies_outside_of_the_range_has_no_coordinate() -> None:
    values = np.array([[-1.0, 0.0, 0.5, 1.0, 1.1, np.nan, np.inf, -np.inf]])
    units = axis(FloatDistribution(low=0, high=1)).units(values)[0]
    np.testing.assert_array_equal(units, [np.nan, 0.0, 0.5, 1.0, np.nan, np.nan, np.nan, np.nan])


def test_a_logarithmic_range_takes_no_logarithm_of_what_lies_below_it() -> None:
    units = axis(FloatDistribution(low=0.01, high=1, log=True)).units(np.array([[-5.0, 0.0, 0.1]]))[0]
    np.testing.assert_allclose(units, [np.nan, np.nan, 0.5])


@pytest.mark.parametrize(
    "numeric",
    [
        IntDistribution(low=3, high=17),
        IntDistribution(low=1, high=50, log=True),
        FloatDistribution(low=0, high=1, step=0.1),
    ],
)
def test_the_cells_of_a_grid_fill_the_unit_interval(numeric: Numeric) -> None:
    axes = axis(numeric)
    count = round((numeric.high - numeric.low) / (numeric.step or 1)) + 1
    values = numeric.low + np.arange(count) * (numeric.step or 1)
    cells = axes.cells_at(0, axes.grid_index(0, axes.units(np.minimum(values, numeric.high)[np.newaxis])[0]))
    np.testing.assert_allclose(cells.left, np.concatenate([[0.0], (cells.left + cells.size)[:-1]]), atol=1e-12)
    assert cells.left[-1] + cells.size[-1] == pytest.approx(1.0)
    assert np.all((cells.left < cells.centre) & (cells.centre < cells.left + cells.size))


def test_the_values_of_many_points_are_those_of_each() -> None:
    axes = axes_of(
        [
            FloatDistribution(low=-5, high=5),
            FloatDistribution(low=0.01, high=100, log=True),
            IntDistribution(low=1, high=9, step=2),
        ]
    )
    units = np.array([[0.0, 0.25, 1.0], [0.0, 0.5, 1.0], [0.1, 0.5, 0.9]])
    assert axes.values(units) == [[-5.0, -2.5, 5.0], pytest.approx([0.01, 1.0, 100.0]), [1.0, 5.0, 9.0]]


def test_grids_are_indexed_together_linear_and_logarithmic_ones() -> None:
    axes = axes_of([IntDistribution(low=1, high=4), IntDistribution(low=1, high=10**6, log=True)])
    indices = axes.grid_indices([0, 1], np.array([[0.0, 0.6, np.nan], [0.0, np.nan, 1.0]]))
    np.testing.assert_array_equal(indices, [[0, 2, np.nan], [0, np.nan, 999_999]])
