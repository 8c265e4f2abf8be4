"""Errors on the wire are those of the protocol's table, no more and no fewer."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request

from tpeak_server.api import create_app, problems
from tpeak_server.api.problems import status_of
from tpeak_server.domain import errors
from tpeak_server.domain.errors import DomainError

PROTOCOL = Path(__file__).parents[3] / "docs" / "protocol.md"

STATUS = {
    "study_not_found": 404,
    "trial_not_found": 404,
    "no_complete_trial": 404,
    "study_exists": 409,
    "study_archived": 409,
    "lease_lost": 409,
    "already_finished": 409,
    "not_running": 409,
    "invalid_request": 422,
    "invalid_distribution": 422,
    "invalid_value": 422,
    "request_id_reused": 422,
    "overloaded": 429,
    "database_unavailable": 503,
    "shutting_down": 503,
}
"""What the domain can refuse."""

BEFORE_THE_DOMAIN = {
    "malformed_body": 400,
    "unauthorized": 401,
    "route_not_found": 404,
    "method_not_allowed": 405,
    "body_too_large": 413,
    "unsupported_media_type": 415,
    "internal_error": 500,
}


def tree(root: type[DomainError] = DomainError) -> Iterator[type[DomainError]]:
    for kind in root.__subclasses__():
        yield kind
        yield from tree(kind)


def test_every_error_has_the_status_of_its_code() -> None:
    with_code = [kind for kind in tree() if hasattr(kind, "code")]
    assert {kind.code: status_of(kind("wrong")) for kind in with_code} == STATUS
    assert len({kind.code for kind in with_code if "code" in vars(kind)}) == len(STATUS)


def test_every_error_that_is_raised_has_a_code() -> None:
    assert all(hasattr(kind, "code") for kind in tree() if not kind.__subclasses__())


def test_the_protocols_table_holds_every_code_and_no_other() -> None:
    rows = re.findall(r"^\| ([0-9, ]+) \| (`.*)\|$", PROTOCOL.read_text(), flags=re.MULTILINE)
    documented = {code: statuses for statuses, codes in rows for code in re.findall(r"`([a-z_]+)`", codes)}
    assert documented.keys() == STATUS.keys() | BEFORE_THE_DOMAIN.keys()
    for code, status in {**STATUS, **BEFORE_THE_DOMAIN}.items():
        assert str(status) in documented[code], code


def test_the_sources_name_no_code_that_the_table_lacks() -> None:
    package = Path(inspect.getfile(problems)).parent
    source = "".join(path.read_text() for path in sorted(package.glob("*.py")))
    quoted = set(re.findall(r'\b(?:Refused|problem)\(\s*\d+,\s*"([a-z_]+)"', source))
    assert quoted | {code for code, _ in problems.ROUTING.values()} == BEFORE_THE_DOMAIN.keys()


def test_the_docstring_draws_the_whole_tree() -> None:
    drawn = re.findall(r"^[│ ├└─]*([A-Z]\w+)$", errors.__doc__ or "", flags=re.MULTILINE)
    assert set(drawn) == {"DomainError", *(kind.__name__ for kind in tree())}


@pytest.mark.parametrize("kind", [kind for kind in tree() if hasattr(kind, "code")])
def test_every_error_is_a_problem_and_what_passes_says_when_to_come_again(kind: type[DomainError]) -> None:
    response = asyncio.run(problems.answer(Request({"type": "http"}), kind("why \ud800", where="/w")))
    assert (response.status_code, response.media_type) == (STATUS[kind.code], "application/problem+json")
    assert response.headers.get("retry-after") == ("1" if response.status_code in {429, 503} else None)
    body = json.loads(bytes(response.body))
    assert (body["code"], body["detail"], body["where"]) == (kind.code, "why \ud800", "/w")


@pytest.mark.parametrize(("method", "path"), [("GET", "/api/v1/meta"), ("POST", f"/api/v1/studies/{'0' * 13}/ask")])
def test_what_nobody_foresaw_is_a_problem_that_gives_nothing_away(method: str, path: str) -> None:
    body = b'{"request_id": "r", "worker": "w"}'
    # The app was not started: its handlers stumble over what is missing.
    start, content = asyncio.run(ask_an_app_that_was_not_started(method, path, {"body": body}))
    assert start["status"] == 500
    assert json.loads(content["body"]) == {
        "type": "about:blank",
        "title": "Internal Server Error",
        "status": 500,
        "code": "internal_error",
        "detail": "the server has made a mistake; its log says more",
    }


@pytest.mark.parametrize("path", ["/api/v1/studies", f"/api/v1/studies/{'0' * 13}/ask"])
def test_a_client_that_leaves_in_the_middle_of_a_body_is_no_mistake_of_the_servers(
    path: str, caplog: pytest.LogCaptureFixture
) -> None:
    begun = {"body": b'{"request_id"', "more_body": True}
    start, content = asyncio.run(ask_an_app_that_was_not_started("POST", path, begun))
    assert (start["status"], json.loads(content["body"])["code"]) == (400, "malformed_body")
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def ask_an_app_that_was_not_started(method: str, path: str, body: dict[str, Any]) -> list[Any]:
    """What the app sends to a client that goes away after this body."""
    app = create_app(database_url="postgresql://127.0.0.1:1/nowhere", token="t")
    headers = [(b"authorization", b"Bearer t"), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": headers}
    received = iter([{"type": "http.request", **body}, {"type": "http.disconnect"}])
    sent: list[Any] = []

    async def receive() -> Any:
        return next(received)

    async def send(message: Any) -> None:
        sent.append(message)

    # Starlette answers and then hands the error on to the server's log.
    with suppress(AttributeError):
        await app(scope, receive, send)
    return sent


@pytest.mark.parametrize(
    ("method", "path", "detail"),
    [
        ("GET", "/nothing", "there is no such route; /docs lists them"),
        ("GET", "", "there is no such route; /docs lists them"),
        ("GET", "/studies/", "there is no such route; /docs lists them"),
        ("POST", "/studies/0000000000000/ask/", "there is no such route; /docs lists them"),
        ("POST", "/studies/0000000000000/trials/0/tell/x", "there is no such route; /docs lists them"),
    ],
)
def test_an_unknown_route_is_a_problem(api: httpx.Client, method: str, path: str, detail: str) -> None:
    response = api.request(method, path, json={})
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json() == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "code": "route_not_found",
        "detail": detail,
    }


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/studies"),
        ("HEAD", "/studies"),
        ("GET", "/studies/0000000000000/ask"),
        ("PUT", "/studies/0000000000000/trials/0"),
        ("OPTIONS", "/meta"),
    ],
)
def test_an_unknown_method_is_a_problem(api: httpx.Client, method: str, path: str) -> None:
    response = api.request(method, path)
    assert (response.status_code, response.headers["content-type"]) == (405, "application/problem+json")
    assert response.headers["allow"]
    assert method == "HEAD" or response.json()["code"] == "method_not_allowed"


@pytest.mark.parametrize("study", ["x", "0" * 12, "0" * 14, "I" * 13, "z" * 13, "%00" * 13, "é" * 13, "0" * 13])
@pytest.mark.parametrize("rest", ["", "/best", "/trials", "/trials/0"])
def test_what_is_no_study_is_not_found(api: httpx.Client, study: str, rest: str) -> None:
    response = api.get(f"/studies/{study}{rest}")
    assert (response.status_code, response.json()["code"]) == (404, "study_not_found")


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ("limit=0", "limit"),
        ("limit=10001", "limit"),
        ("limit=x", "limit"),
        ("after=-2", "after"),
        ("after=2147483648", "after"),
        ("since_seq=-1", "since_seq"),
        ("min_seq=9223372036854775808", "min_seq"),
        ("state=done", "state"),
        ("form=csv", "form"),
    ],
)
def test_a_wrong_query_names_its_parameter(api: httpx.Client, work: Any, query: str, where: str) -> None:
    response = api.get(f"/studies/{work.study}/trials?{query}")
    assert (response.status_code, response.json()["code"], response.json()["where"]) == (422, "invalid_request", where)


@pytest.mark.parametrize("number", ["-1", "x", "1.5", "2147483648", "99999999999999999999"])
def test_what_is_no_number_of_a_trial_is_wrong(api: httpx.Client, work: Any, number: str) -> None:
    response = api.get(f"/studies/{work.study}/trials/{number}")
    assert (response.status_code, response.json()["where"]) == (422, "number")


def test_a_name_in_the_query_holds_no_nul(api: httpx.Client) -> None:
    response = api.get("/studies", params={"name": "a\0b"})
    assert (response.status_code, response.json()["where"]) == (422, "name")


def test_a_nan_as_the_result_fails_the_trial_and_says_so(api: httpx.Client, work: Any) -> None:
    tell = {"lease": work.lease, "state": "complete", "values": ["NaN"]}
    told = api.post(f"{work.trial}/tell", json=tell).raise_for_status().json()
    assert (told["state"], told["values"], told["cause"]) == ("failed", None, "the objective returned NaN")
    stored = api.get(work.trial).json()
    assert (stored["state"], stored["values"], stored["cause"]) == ("failed", None, "the objective returned NaN")


@pytest.mark.parametrize("value", ["Infinity", "-Infinity"])
def test_an_infinity_is_a_result(api: httpx.Client, work: Any, value: str) -> None:
    tell = {"lease": work.lease, "state": "complete", "values": [value]}
    told = api.post(f"{work.trial}/tell", json=tell).raise_for_status().json()
    assert (told["state"], told["values"], told["cause"]) == ("complete", [value], None)
    assert api.get(work.trial).json()["values"] == [value]
    best = api.get(f"/studies/{work.study}/best")
    assert (best.status_code, best.json()["code"]) == (404, "no_complete_trial")
