"""What is no strict JSON is refused before any route sees it, by one code, and never repeated."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tpeak_server.api import strict_json
from tpeak_server.api.bodies import MAX_BODY_BYTES

JSON = {"Content-Type": "application/json"}

MALFORMED = [
    (b"", "Expecting value at line 1, column 1"),
    (b"{", "Expecting property name enclosed in double quotes at line 1, column 2"),
    (b'{"a": 1} {}', "Extra data at line 1, column 10"),
    (b"{'a': 1}", "Expecting property name enclosed in double quotes at line 1, column 2"),
    (b'{"a": "\n"}', "Invalid control character at at line 1, column 8"),
    (b'{"a": 01}', "Expecting ',' delimiter at line 1, column 8"),
    (b'{"a": NaN}', 'NaN is no JSON; where a value may be non-finite it is the string "NaN"'),
    (b'{"a": Infinity}', 'Infinity is no JSON; where a value may be non-finite it is the string "Infinity"'),
    (b'{"a": [-Infinity]}', '-Infinity is no JSON; where a value may be non-finite it is the string "-Infinity"'),
    (b'{"a": 1, "a": 1}', "an object has a key twice"),
    (b'{"b": [{"a": 1, "\\u0061": 2}]}', "an object has a key twice"),
    (b'{"a": "\\ud800"}', "a string holds a lone surrogate"),
    (b'{"\\udfff\\ud800": 1}', "a string holds a lone surrogate"),
    (b'{"a": "x\\u0000"}', "a string holds a NUL character"),
    ('{"é\\u0000": 1}'.encode(), "a string holds a NUL character"),
    (b'{"a": 9007199254740993}', "an integer beyond 2^53"),
    (b'{"a": -9007199254740993}', "an integer beyond 2^53"),
    (b'{"a": ' + b"9" * 10_000 + b"}", "an integer beyond 2^53"),
    (b'{"a": 1e309}', "a number beyond the range of a double"),
    (b'{"a": -1.8e308}', "a number beyond the range of a double"),
    (b"[" * 33 + b"]" * 33, "more than 32 levels"),
    (b'{"a":' * 33 + b"1" + b"}" * 33, "more than 32 levels"),
    (b"[" * 500_000, "more than 32 levels"),
    (b'{"a": "\xff"}', "the body is not UTF-8 (byte 7)"),
    (b'{"a": "\xed\xa0\x80"}', "the body is not UTF-8 (byte 7)"),
    ('{"a": 1}'.encode("utf-16"), "the body is not UTF-8 (byte 0)"),
    (b"\xef\xbb\xbf{}", "Expecting value at line 1, column 1"),
]


@pytest.fixture(params=["/studies", "/studies/{study}/ask"], ids=["ordinary", "fast lane"])
def path(request: pytest.FixtureRequest, work: Any) -> str:
    """One route of each way that bodies go."""
    route: str = request.param
    return route.format(study=work.study)


@pytest.mark.parametrize(("body", "reason"), MALFORMED)
def test_what_is_no_strict_json_is_a_problem_that_says_why(
    api: httpx.Client, path: str, body: bytes, reason: str
) -> None:
    response = api.post(path, content=body, headers=JSON)
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json() == {
        "type": "about:blank",
        "title": "Bad Request",
        "status": 400,
        "code": "malformed_body",
        "detail": f"the body is not JSON as accepted here: {reason}",
    }


@pytest.mark.parametrize(
    ("body", "meaning"),
    [
        (b' {"a" : [1, -0.0, 1e308, 5e-324, 1e-400]} ', {"a": [1, -0.0, 1e308, 5e-324, 0.0]}),
        (b"[9007199254740992, -9007199254740992]", [2**53, -(2**53)]),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        ('{"é": "\U0001f600"}'.encode(), {"é": "\U0001f600"}),
        (b'{"a": {"a": 1}, "b": {"a": 1}}', {"a": {"a": 1}, "b": {"a": 1}}),
        (b'"NaN"', "NaN"),
        (b"null", None),
    ],
)
def test_strict_json_is_read_as_it_is_meant(body: bytes, meaning: Any) -> None:
    assert strict_json.parse(body) == meaning


def test_thirty_two_levels_are_read() -> None:
    assert strict_json.parse(b"[" * 32 + b"]" * 32) is not None


@pytest.mark.parametrize(
    "media_type", [None, "", "text/plain", "application/xml", "application/x-www-form-urlencoded", "text/json"]
)
def test_another_media_type_is_refused(api: httpx.Client, path: str, media_type: str | None) -> None:
    response = api.post(path, content=b"{}", headers={} if media_type is None else {"Content-Type": media_type})
    assert (response.status_code, response.json()["code"]) == (415, "unsupported_media_type")
    assert response.json()["detail"] == "send the body with Content-Type: application/json"


@pytest.mark.parametrize("media_type", ["application/json", "Application/JSON; charset=utf-8", "application/json ;v=1"])
def test_json_may_come_with_parameters(api: httpx.Client, path: str, media_type: str) -> None:
    response = api.post(path, content=b"{}", headers={"Content-Type": media_type})
    assert (response.status_code, response.json()["code"]) == (422, "invalid_request")


@pytest.mark.parametrize("chunked", [False, True], ids=["Content-Length", "chunked"])
@pytest.mark.parametrize(("surplus", "status"), [(0, 422), (1, 413), (5_000_000, 413)])
def test_a_mebibyte_is_the_most_that_a_body_has(
    api: httpx.Client, path: str, chunked: bool, surplus: int, status: int
) -> None:
    body = b'{"a": "' + b"x" * (MAX_BODY_BYTES + surplus - 9) + b'"}'
    response = api.post(path, content=pieces(body) if chunked else body, headers=JSON)
    assert response.status_code == status
    assert (response.json()["code"] == "body_too_large") == (status == 413)


def test_a_mebibyte_is_2_to_the_20() -> None:
    assert MAX_BODY_BYTES == 1_048_576


def pieces(body: bytes, size: int = 50_000) -> Iterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]
