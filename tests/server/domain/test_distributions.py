"""Distributions: what they refuse, what they hold, and how a value is written on each side."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from tpeak_server.domain.distributions import (
    CategoricalDistribution,
    Distribution,
    FloatDistribution,
    IntDistribution,
    canonical,
    from_spec,
)
from tpeak_server.domain.errors import InvalidDistribution, InvalidValue

INF, NAN = math.inf, math.nan
MAX = 1.7976931348623157e308


@pytest.mark.parametrize(
    ("spec", "where", "message"),
    [
        ({"low": 1.0, "high": 0.0}, "low", "low (1.0) must not be above high (0.0)"),
        ({"low": NAN, "high": 1.0}, "low", "low and high must be finite"),
        ({"low": 0.0, "high": INF}, "low", "low and high must be finite"),
        ({"low": -MAX, "high": MAX}, "high", "high - low must be finite"),
        ({"low": 0.0, "high": 1.0, "log": True}, "low", "a logarithmic range needs low > 0, got 0.0"),
        ({"low": -1.0, "high": 1.0, "log": True}, "low", "a logarithmic range needs low > 0, got -1.0"),
        (
            {"low": 1.0, "high": 2.0, "log": True, "step": 0.5},
            "step",
            "log and step cannot be combined; leave one of them out",
        ),
        ({"low": 0.0, "high": 1.0, "step": 0.0}, "step", "step must be positive and finite, got 0.0"),
        ({"low": 0.0, "high": 1.0, "step": -0.1}, "step", "step must be positive and finite, got -0.1"),
        ({"low": 0.0, "high": 1.0, "step": INF}, "step", "step must be positive and finite, got inf"),
        ({"low": 0.0, "high": 1.0, "step": NAN}, "step", "step must be positive and finite, got nan"),
        ({"low": 0.0, "high": 1.0, "step": 1e-16}, "step", "step must divide the range into at most 2^53 parts"),
        ({"low": 0.0, "high": 1e300, "step": 5e-324}, "step", "step must divide the range into at most 2^53 parts"),
    ],
)
def test_a_float_range_that_contradicts_itself_is_refused(spec: dict[str, Any], where: str, message: str) -> None:
    refuse({"type": "float", **spec}, where, message)


@pytest.mark.parametrize(
    ("spec", "where", "message"),
    [
        ({"low": 2, "high": 1}, "low", "low (2) must not be above high (1)"),
        ({"low": 0, "high": 1, "log": True}, "low", "a logarithmic range needs low > 0, got 0"),
        ({"low": 0, "high": 9, "step": 0}, "step", "step must be positive, got 0"),
        ({"low": 0, "high": 9, "step": -2}, "step", "step must be positive, got -2"),
        (
            {"low": 1, "high": 9, "log": True, "step": 2},
            "step",
            "log and step cannot be combined; leave one of them out",
        ),
        ({"low": 0, "high": 2**53 + 1}, "high", "an int range must lie within -2^53 .. 2^53"),
        ({"low": -(2**53) - 1, "high": 0}, "high", "an int range must lie within -2^53 .. 2^53"),
    ],
)
def test_an_int_range_that_contradicts_itself_is_refused(spec: dict[str, Any], where: str, message: str) -> None:
    refuse({"type": "int", **spec}, where, message)


@pytest.mark.parametrize(
    ("choices", "where", "message"),
    [
        ([], "choices", "choices must not be empty"),
        (["a", "b", "a"], "choices/2", "the choice 'a' is there twice"),
        ([1, 1.0], "choices/1", "the choice 1.0 is there twice"),
        ([0.0, -0.0], "choices/1", "the choice -0.0 is there twice"),
        ([True, None, True], "choices/2", "the choice True is there twice"),
        ([None, None], "choices/1", "the choice None is there twice"),
        ([1, NAN], "choices/1", "a choice must be finite"),
        ([-INF], "choices/0", "a choice must be finite"),
    ],
)
def test_choices_are_some_and_distinct(choices: list[Any], where: str, message: str) -> None:
    refuse({"type": "categorical", "choices": choices}, where, message)


def test_there_is_no_other_type() -> None:
    refuse({"type": "uniform", "low": 0.0, "high": 1.0}, "type", "no such type of distribution: 'uniform'")


@pytest.mark.parametrize(
    "choices", [[1, True], [0, False], ["1", 1], ["", None], [False, None], [1, "1.0", 1.5], [2**53, 2.0**53 - 1]]
)
def test_choices_of_different_kinds_are_distinct(choices: list[Any]) -> None:
    assert [categorical(*choices).to_internal(choice) for choice in choices] == [*range(len(choices))]


@pytest.mark.parametrize(
    ("low", "high", "step", "top"),
    [
        (0.0, 1.0, 0.1, 1.0),
        (0.0, 0.3, 0.1, 0.3),
        (0.0, 1.05, 0.1, 1.0),
        (0.1, 0.65, 0.25, 0.6),
        (0.0, 1.0, 3.0, 0.0),
        (5.0, 5.0, 0.5, 5.0),
        (-1.0, 0.99, 1.0, 0.0),
        (0.0, 1e300, 1e290, 1e300),
        (0.0, 1e9 + 0.75, 1.0, 1e9),
        (0.0, 1.0, 5e-16, 1.0),
    ],
)
def test_the_top_of_a_float_grid_is_on_the_grid(low: float, high: float, step: float, top: float) -> None:
    distribution = FloatDistribution(low=low, high=high, step=step)
    assert distribution.high == top
    assert distribution.contains(distribution.high)


@pytest.mark.parametrize("step", [5e-324, 1e-300])
def test_a_grid_of_one_value_may_have_any_step(step: float) -> None:
    distribution = FloatDistribution(low=1e300, high=1e300, step=step)
    assert (distribution.high, distribution.single, distribution.contains(1e300)) == (1e300, True, True)


@pytest.mark.parametrize(
    ("low", "high", "step"),
    [
        (1.0, 68719476737.0, 1.7528457641601562),
        (-0.0032413804743926947, 0.008854611107505374, 2.3084572425264425e-11),
        (-40390265.04118408, 142413120.0442253, 0.006569002925408061),
    ],
)
def test_the_top_of_a_fine_grid_does_not_creep_downwards(low: float, high: float, step: float) -> None:
    once = FloatDistribution(low=low, high=high, step=step)
    assert once.high > high - step
    assert FloatDistribution(low=low, high=once.high, step=step).high == once.high


@pytest.mark.parametrize(("high", "top"), [(10, 10), (9, 7), (8, 7), (1, 1)])
def test_the_top_of_an_int_grid_is_on_the_grid(high: int, top: int) -> None:
    assert IntDistribution(low=1, high=high, step=3).high == top


@settings(derandomize=True, deadline=None, max_examples=2000)
@example(low=0.1, width=3e8, step=0.1)
@example(low=0.1, width=123456789.0, step=0.3)
@example(low=1e6, width=1e9, step=0.007)
@given(low=st.floats(-1e12, 1e12), width=st.floats(0, 1e12), step=st.floats(1e-9, 1e9))
def test_a_float_grid_that_is_read_again_is_the_same(low: float, width: float, step: float) -> None:
    assume(width / step < 2**53)
    distribution = FloatDistribution(low=low, high=low + width, step=step)
    assert from_spec(distribution.spec()) == distribution
    assert distribution.contains(distribution.low)
    assert distribution.contains(distribution.high)


@pytest.mark.parametrize(
    ("distribution", "text"),
    [
        (FloatDistribution(low=0.0, high=1.0), '{"type":"float","low":0.0,"high":1.0}'),
        (FloatDistribution(low=1e-5, high=0.1, log=True), '{"type":"float","low":1e-05,"high":0.1,"log":true}'),
        (FloatDistribution(low=0.0, high=1.0, step=0.5), '{"type":"float","low":0.0,"high":1.0,"step":0.5}'),
        (IntDistribution(low=1, high=8), '{"type":"int","low":1,"high":8}'),
        (IntDistribution(low=1, high=8, log=True), '{"type":"int","low":1,"high":8,"log":true}'),
        (IntDistribution(low=1, high=8, step=2), '{"type":"int","low":1,"high":7,"step":2}'),
        (
            CategoricalDistribution(choices=("é", None, True, 1, 0.5)),
            '{"type":"categorical","choices":["é",null,true,1,0.5]}',
        ),
    ],
)
def test_the_text_of_a_distribution_leaves_out_what_is_default(distribution: Distribution, text: str) -> None:
    assert canonical(distribution) == text
    assert from_spec(distribution.spec()) == distribution


def test_choices_that_only_python_takes_for_equal_make_different_distributions() -> None:
    assert categorical(1, 0) != categorical(True, False)
    assert categorical(1, 0) == categorical(1.0, 0.0)
    assert hash(categorical(1, 0)) == hash(categorical(1.0, 0.0))
    assert categorical("a", "b") != categorical("b", "a")
    assert categorical(1) != IntDistribution(low=1, high=1)


@pytest.mark.parametrize(("value", "internal"), [(0.5, 0.5), (1, 1.0), (-7.25, -7.25), (2**53, 2.0**53)])
def test_a_float_is_its_own_internal_value(value: float, internal: float) -> None:
    distribution = FloatDistribution(low=0.0, high=1.0)
    assert same(distribution.to_internal(value), internal)
    assert same(distribution.to_external(internal), internal)


@pytest.mark.parametrize("value", [True, None, "0.5", [], {}, NAN, INF, -INF])
def test_a_float_is_a_finite_number(value: Any) -> None:
    with pytest.raises(InvalidValue, match="a float parameter needs a finite number, got "):
        FloatDistribution(low=0.0, high=1.0).to_internal(value)


@pytest.mark.parametrize(("value", "internal"), [(3, 3.0), (3.0, 3.0), (-(2**53), -(2.0**53))])
def test_an_integer_may_be_written_as_a_float(value: float, internal: float) -> None:
    distribution = IntDistribution(low=1, high=9)
    assert same(distribution.to_internal(value), internal)
    assert same(distribution.to_external(internal), int(value))


@pytest.mark.parametrize("value", [True, None, "3", 3.5, -0.5, [], NAN, INF, -INF])
def test_an_integer_has_no_fraction(value: Any) -> None:
    with pytest.raises(InvalidValue, match="an int parameter needs an integer, got "):
        IntDistribution(low=1, high=9).to_internal(value)


@pytest.mark.parametrize("value", [2**53 + 1, -(2**53) - 1, 1e300])
def test_an_integer_is_exact_as_a_double(value: float) -> None:
    with pytest.raises(InvalidValue, match=r"an int parameter must lie within -2\^53 .. 2\^53"):
        IntDistribution(low=1, high=9).to_internal(value)


@pytest.mark.parametrize(
    ("value", "index"), [("a", 0.0), (1, 1.0), (1.0, 1.0), (True, 2.0), (None, 3.0), (0.5, 4.0), (False, 5.0)]
)
def test_a_choice_is_its_index(value: Any, index: float) -> None:
    distribution = categorical("a", 1, True, None, 0.5, False)
    assert distribution.has(value)
    assert same(distribution.to_internal(value), index)
    assert distribution.to_internal(distribution.to_external(index)) == index


@pytest.mark.parametrize("value", [True, 1.5, "1", "A", None, 0, [], {}, NAN])
def test_what_is_no_choice_is_refused(value: Any) -> None:
    distribution = categorical(1, "a", False)
    assert not distribution.has(value)
    with pytest.raises(InvalidValue, match=r"is none of the choices \[1, 'a', False\]"):
        distribution.to_internal(value)


def test_a_choice_comes_back_as_it_was_given() -> None:
    distribution = categorical(1.0, True, None)
    assert [repr(distribution.to_external(index)) for index in (0.0, 1.0, 2.0)] == ["1.0", "True", "None"]


def test_a_long_value_is_shown_in_part() -> None:
    with pytest.raises(InvalidValue) as refused:
        categorical("a" * 1000).to_internal("b" * 1000)
    assert len(refused.value.message) < 200


@pytest.mark.parametrize(
    ("distribution", "inside", "outside"),
    [
        (FloatDistribution(low=0.0, high=1.0), [0.0, 1.0, 1e-300], [-1e-300, 1.0000000000000002, NAN, INF]),
        (FloatDistribution(low=0.0, high=1.0, step=0.1), [0.0, 0.3, 0.1 + 0.2, 0.7, 1.0], [0.05, 0.35, -0.1, 1.1, NAN]),
        (FloatDistribution(low=1e9, high=1e9 + 1, step=0.1), [1e9 + 0.1, 1e9 + 0.3], [1e9 + 0.05, 1e9 + 1.1]),
        (IntDistribution(low=1, high=9), [1.0, 5.0, 9.0], [0.0, 1.5, 10.0, NAN, INF]),
        (IntDistribution(low=1, high=9, step=3), [1.0, 4.0, 7.0], [2.0, 3.0, 9.0, 10.0, 4.5]),
        (CategoricalDistribution(choices=("a", None)), [0.0, 1.0], [-1.0, 2.0, NAN]),
    ],
)
def test_a_distribution_contains_its_range_and_grid(
    distribution: Distribution, inside: list[float], outside: list[float]
) -> None:
    assert [distribution.contains(value) for value in inside] == [True] * len(inside)
    assert [distribution.contains(value) for value in outside] == [False] * len(outside)


@pytest.mark.parametrize(
    ("spec", "single"),
    [
        ({"type": "float", "low": 1.0, "high": 1.0}, True),
        ({"type": "float", "low": 1.0, "high": 1.4, "step": 0.5}, True),
        ({"type": "float", "low": 1.0, "high": 1.5, "step": 0.5}, False),
        ({"type": "int", "low": 3, "high": 3, "log": True}, True),
        ({"type": "int", "low": 3, "high": 4, "step": 2}, True),
        ({"type": "int", "low": 3, "high": 4}, False),
        ({"type": "categorical", "choices": [None]}, True),
        ({"type": "categorical", "choices": [None, 0]}, False),
    ],
)
def test_one_value_is_single(spec: dict[str, Any], single: bool) -> None:
    assert from_spec(spec).single is single


def categorical(*choices: Any) -> CategoricalDistribution:
    return CategoricalDistribution(choices=choices)


def refuse(spec: dict[str, Any], where: str, message: str) -> None:
    with pytest.raises(InvalidDistribution) as refused:
        from_spec(spec)
    assert (refused.value.where, refused.value.message) == (where, message)


def same(one: Any, other: Any) -> bool:
    """Equal and of one type."""
    return type(one) is type(other) and one == other
