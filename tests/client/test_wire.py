import enum
import math

import numpy as np
import pytest

from tpeak.errors import InvalidValue
from tpeak.wire import encode, number_in, number_out, plain


@pytest.mark.parametrize(
    ("number", "word"), [(math.nan, "NaN"), (math.inf, "Infinity"), (-math.inf, "-Infinity"), (0.5, 0.5)]
)
def test_numbers_travel_as_words_where_they_are_not_finite(number, word):
    assert number_out(number) == word
    assert str(number_in(word)) == str(number)


def test_nothing_but_strict_json_is_encoded():
    assert encode({"a": "ü", "b": [1, None, True, -0.0]}) == '{"a":"ü","b":[1,null,true,-0.0]}'.encode()
    with pytest.raises(InvalidValue, match="not JSON compliant"):
        encode({"a": math.nan})
    with pytest.raises(InvalidValue, match="a set cannot be sent"):
        encode({"a": {1}})


def test_numpy_scalars_and_arrays_are_encoded_as_what_they_hold():
    assert encode([np.float32(0.5), np.int64(3), np.bool_(True), np.array([1, 2])]) == b"[0.5,3,true,[1,2]]"


def test_plain_copies_what_the_server_takes():
    inner = [1, 2]
    copy = plain({"a": inner, "b": (np.int64(3), "x", None)})
    inner.append(3)
    assert copy == {"a": [1, 2], "b": [3, "x", None]}


def test_plain_takes_a_string_enum_by_its_value():
    class Colour(str, enum.Enum):  # noqa: UP042  (what str() gives for it is the point)
        RED = "red"

    assert plain(Colour.RED) == "red"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (math.inf, "no place in JSON"),
        (2**53 + 1, "2\\^53"),
        ("a\0", "NUL"),
        ("\ud800", "surrogates"),
        ({1: 2}, "keys must be strings"),
        ({"\0": 2}, "NUL"),
        (object(), "object cannot be sent"),
    ],
)
def test_plain_refuses_what_the_server_would_refuse(value, message):
    with pytest.raises(InvalidValue, match=message):
        plain({"deep": [value]})


def test_plain_refuses_what_is_nested_too_deeply():
    value: list = []
    for _ in range(24):
        value = [value]
    with pytest.raises(InvalidValue, match="over 24 levels"):
        plain(value)
