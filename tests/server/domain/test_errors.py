"""What an error says, and pointers into a body."""

from __future__ import annotations

from typing import Any

import pytest

from tpeak_server.domain.errors import DatabaseUnavailable, InvalidValue, LeaseLost, pointer


def test_an_error_says_what_is_wrong_and_where() -> None:
    error = InvalidValue("too large", where="/values/0")
    assert (str(error), error.message, error.where, error.code) == (
        "too large",
        "too large",
        "/values/0",
        "invalid_value",
    )
    assert LeaseLost("gone").where is None


def test_what_is_unavailable_says_when_to_come_again() -> None:
    assert DatabaseUnavailable("away").retry_after_s == 1.0


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ([], ""),
        (["a"], "/a"),
        (["a", 0, "b"], "/a/0/b"),
        ([""], "/"),
        (["a/b", "m~n"], "/a~1b/m~0n"),
        (["~1"], "/~01"),
        (["é b"], "/é b"),
    ],
)
def test_a_pointer_is_that_of_rfc_6901(path: list[Any], text: str) -> None:
    assert pointer(path) == text
