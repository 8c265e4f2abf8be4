"""Arrays as the database sends them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tpeak_server.storage.finished import elements

Sql = Callable[..., list[tuple[Any, ...]]]


@pytest.mark.parametrize(
    ("array", "kind", "expected"),
    [
        ("'{7,-2}'::integer[]", ">i4", "[7, -2]"),
        ("'{9223372036854775807,0}'::bigint[]", ">i8", "[9223372036854775807, 0]"),
        ("'{t,f}'::boolean[]", "?", "[True, False]"),
        ("'{{0.1,NaN},{-0,-Infinity},{5e-324,1}}'::float8[]", ">f8", "[[0.1, nan], [-0.0, -inf], [5e-324, 1.0]]"),
        ("'[5:6]={1,2}'::float8[]", ">f8", "[1.0, 2.0]"),
    ],
)
def test_an_array_has_its_elements_bit_for_bit_and_its_shape(sql: Sql, array: str, kind: str, expected: str) -> None:
    ((sent,),) = sql(f"SELECT array_send({array})")
    assert repr(elements(sent, kind).tolist()) == expected
