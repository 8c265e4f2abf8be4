import math
import pickle

import numpy as np
import pytest

from tpeak.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    check_compatible,
    from_spec,
    specs,
)
from tpeak.errors import InvalidDistribution, InvalidValue


def test_specs_leave_out_what_is_default():
    assert FloatDistribution(0, 1).spec() == {"type": "float", "low": 0.0, "high": 1.0}
    assert FloatDistribution(1e-5, 0.1, log=True).spec() == {"type": "float", "low": 1e-5, "high": 0.1, "log": True}
    assert IntDistribution(1, 7, step=2).spec() == {"type": "int", "low": 1, "high": 7, "step": 2}
    assert IntDistribution(1, 8, log=True).spec() == {"type": "int", "low": 1, "high": 8, "log": True}
    assert CategoricalDistribution(["a", None]).spec() == {"type": "categorical", "choices": ["a", None]}


def test_a_space_of_something_else_names_the_parameter():
    with pytest.raises(TypeError, match=r"'lr' must be a distribution of tpeak\.distributions, got a tuple"):
        specs({"lr": (0, 1)})


@pytest.mark.parametrize(
    "distribution",
    [
        FloatDistribution(0, 1, step=0.25),
        FloatDistribution(1e-5, 1, log=True),
        IntDistribution(1, 9, step=4),
        CategoricalDistribution(["a", 1, True, None, 2.5]),
    ],
)
def test_distributions_survive_the_wire_and_pickling(distribution):
    assert from_spec(distribution.spec()) == distribution
    assert pickle.loads(pickle.dumps(distribution)) == distribution


def test_the_upper_end_is_lowered_to_the_grid_with_a_warning():
    with pytest.warns(UserWarning, match="ends at 8"):
        assert IntDistribution(2, 10, step=3).high == 8
    with pytest.warns(UserWarning, match="ends at 0.75"):
        assert FloatDistribution(0.0, 0.9, step=0.25).high == 0.75


def test_an_upper_end_on_the_grid_stays_without_a_warning(recwarn):
    assert FloatDistribution(0.0, 0.3, step=0.1).high == 0.3
    assert not recwarn.list


@pytest.mark.parametrize(
    "make",
    [
        lambda: FloatDistribution(1, 0),
        lambda: FloatDistribution(0, 1, log=True),
        lambda: FloatDistribution(1, 2, log=True, step=0.5),
        lambda: FloatDistribution(0, 1, step=0),
        lambda: FloatDistribution(0, 1, step=5e-324),
        lambda: FloatDistribution(0, 1, step=1e-16),
        lambda: FloatDistribution(0, math.inf),
        lambda: FloatDistribution(-1e308, 1e308),
        lambda: FloatDistribution(math.nan, 1),
        lambda: FloatDistribution("low", 1),
        lambda: IntDistribution(3, 1),
        lambda: IntDistribution(0, 3, log=True),
        lambda: IntDistribution(1, 3, log=True, step=2),
        lambda: IntDistribution(1, 3, step=0),
        lambda: IntDistribution(0, 2**53 + 2),
        lambda: IntDistribution(0, math.inf),
        lambda: CategoricalDistribution([]),
        lambda: CategoricalDistribution(["a", "a"]),
        lambda: CategoricalDistribution([1, 1.0]),
        lambda: CategoricalDistribution([math.nan]),
        lambda: CategoricalDistribution([object()]),
    ],
)
def test_a_range_that_contradicts_itself_is_a_value_error(make):
    with pytest.raises(InvalidDistribution) as caught:
        make()
    assert isinstance(caught.value, ValueError)


def test_true_and_1_are_two_choices():
    distribution = CategoricalDistribution([True, 1, 0.0])
    assert distribution.external(1) == 1
    assert distribution.external(1) is not True
    assert distribution.external(True) is True
    assert distribution.contains(0)
    assert not distribution.contains(False)
    assert distribution != CategoricalDistribution([1, True, 0.0])


def test_floats_lie_on_the_grid_within_rounding():
    distribution = FloatDistribution(0.0, 1.0, step=0.1)
    assert distribution.contains(0.1 + 0.2)
    assert not distribution.contains(0.35)
    assert not distribution.contains(1.1)
    assert not distribution.contains("0.1")


def test_integers_lie_on_the_grid():
    distribution = IntDistribution(50, 400, step=10)
    assert distribution.contains(400)
    assert not distribution.contains(55)
    assert not distribution.contains(True)


def test_values_come_in_their_distributions_type():
    assert type(FloatDistribution(0, 5).external(3)) is float
    assert type(IntDistribution(0, 5).external(3.0)) is int
    with pytest.raises(InvalidValue, match="needs an integer"):
        IntDistribution(0, 5).external(2.5)
    with pytest.raises(InvalidValue, match="needs a finite number"):
        FloatDistribution(0, 5).external("3")


def test_numpy_numbers_serve_as_bounds_and_choices():
    assert IntDistribution(np.int64(1), np.int64(3)).spec() == {"type": "int", "low": 1, "high": 3}
    assert type(CategoricalDistribution([np.int64(3)]).choices[0]) is int


def test_ranges_with_one_value_know_it():
    assert FloatDistribution(2, 2).single()
    assert IntDistribution(2, 2).single()
    assert CategoricalDistribution(["a"]).single()
    assert not IntDistribution(2, 3).single()


@pytest.mark.parametrize(
    ("first", "now"),
    [
        (FloatDistribution(0, 1), IntDistribution(0, 1)),
        (FloatDistribution(1, 2), FloatDistribution(1, 2, log=True)),
        (CategoricalDistribution(["a"]), CategoricalDistribution(["a", "b"])),
    ],
)
def test_a_parameter_keeps_its_kind_scale_and_choices(first, now):
    with pytest.raises(InvalidDistribution):
        check_compatible(first, now)


def test_a_parameter_may_change_its_range():
    check_compatible(FloatDistribution(0, 1), FloatDistribution(0, 2))


def test_a_distribution_of_a_newer_server_is_named():
    with pytest.raises(InvalidDistribution, match="'simplex'"):
        from_spec({"type": "simplex"})
