"""Exports and columns while others read, write, dawdle and leave."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from base64 import b64decode
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import psycopg
import pytest

from tpeak_server.api.streaming import PartsResponse

X = {"type": "float", "low": 0.0, "high": 1.0}
SNAPSHOTS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tpeak' AND query ~ '^(FETCH|DECLARE)'"


@pytest.fixture(scope="module")
def api(server: Any) -> Iterator[httpx.Client]:
    """A client with little room for what it does not read: the kernel's own may grow beyond a whole export."""
    little = httpx.HTTPTransport(socket_options=[(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)])
    with httpx.Client(base_url=f"{server.url}/api/v1", headers=server.headers, timeout=60, transport=little) as client:
        yield client


@pytest.fixture(scope="module")
def large(api: httpx.Client) -> str:
    """The path of a study whose export is larger than what lies on the way to a client that does not read."""
    made = api.post("/studies", json={"request_id": "large", "name": "large"}).json()
    path = f"/studies/{made['study']['id']}"
    trial = {"state": "complete", "params": {"x": 0.5}, "distributions": {"x": X}, "values": [1.0]}
    for n in range(40):
        trials = [{**trial, "user_attrs": {"a": "x" * 9000}}] * 90
        assert api.post(f"{path}/trials", json={"request_id": f"k{n}", "trials": trials}).status_code == 201
    return path


@pytest.fixture
def ends(sql: Callable[..., Any]) -> Callable[[int], None]:
    """Waits until that many connections hold an export's snapshot."""

    def wait(count: int) -> None:
        deadline = time.monotonic() + 30
        while sql(SNAPSHOTS) != [(count,)]:
            assert time.monotonic() < deadline, sql(SNAPSHOTS)
            time.sleep(0.02)

    return wait


def test_it_is_one_moment_whatever_is_written_meanwhile(api: httpx.Client, large: str) -> None:
    with api.stream("GET", f"{large}/export") as reply:
        lines = reply.iter_lines()
        study = json.loads(next(lines))
        asked = api.post(f"{large}/ask", json={"request_id": "meanwhile", "worker": "w"}).json()
        rest = [json.loads(line) for line in lines]
    assert asked["seq"] > study["seq"]
    assert rest[-1] == {
        "type": "end", "lines": 3603, "trials": 3600, "late_results": 0, "handed": 0, "state": "open",
    }  # fmt: skip
    assert [line["number"] for line in rest if line["type"] == "trial"] == list(range(3600))


def test_slow_readers_starve_nobody_and_no_more_than_two_are_served(
    api: httpx.Client, large: str, ends: Callable[[int], None]
) -> None:
    with api.stream("GET", f"{large}/export") as one, api.stream("GET", f"{large}/export") as other:
        assert (one.status_code, other.status_code) == (200, 200)
        third = api.get(f"{large}/export")
        assert (third.status_code, third.json()["code"]) == (429, "overloaded")
        for _ in range(20):
            assert api.get(large).status_code == 200
    ends(0)
    assert api.get(f"{large}/export").text.endswith("\n")


def test_a_client_that_leaves_frees_the_connection(api: httpx.Client, large: str, ends: Callable[[int], None]) -> None:
    for _ in range(3):
        with api.stream("GET", f"{large}/export") as reply:
            assert reply.status_code == 200, reply.read()
            ends(1)
        ends(0)


def test_an_export_whose_connection_dies_has_no_end(
    api: httpx.Client, large: str, database_url: str, ends: Callable[[int], None]
) -> None:
    with api.stream("GET", f"{large}/export") as reply, psycopg.connect(database_url, autocommit=True) as admin:
        ends(1)
        admin.execute(SNAPSHOTS.replace("count(*)", "pg_terminate_backend(pid)"))
        with pytest.raises(httpx.RemoteProtocolError):
            reply.read()
    assert api.get(large).status_code == 200


def test_what_nobody_foresaw_breaks_the_reply_off_and_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async def parts() -> AsyncGenerator[bytes]:
        yield b"a line"
        raise ZeroDivisionError("in mid-export")

    async def replied() -> list[Any]:
        sent: list[Any] = []
        gone = asyncio.Event()

        async def receive() -> Any:
            await gone.wait()

        async def send(message: Any) -> None:
            sent.append(message)

        await PartsResponse(parts())({"type": "http"}, receive, send)
        return sent

    start, part = asyncio.run(replied())
    assert (start["status"], part["body"], part["more_body"]) == (200, b"a line", True)
    (record,) = caplog.records
    assert "broke off" in record.message
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "in mid-export"


def test_other_requests_are_answered_while_one_is_sent(server: Any, large: str) -> None:
    async def longest_wait_s() -> float:
        async with httpx.AsyncClient(base_url=f"{server.url}/api/v1", headers=server.headers, timeout=60) as client:
            export = asyncio.ensure_future(client.get(f"{large}/export"))
            longest = 0.0
            while not export.done():
                began = time.monotonic()
                assert (await client.get(large)).status_code == 200
                longest = max(longest, time.monotonic() - began)
            assert (await export).text.endswith("}\n")
            return longest

    # Far above what one part of it takes, far below all of it on a machine that is busy.
    assert asyncio.run(longest_wait_s()) < 2.0


def test_slow_readers_of_columns_hold_no_connection(api: httpx.Client, large: str) -> None:
    with ExitStack() as stack:
        replies = [stack.enter_context(api.stream("GET", f"{large}/columns")) for _ in range(6)]
        assert [reply.status_code for reply in replies] == [200] * 6
        for _ in range(20):
            assert api.get(f"{large}/trials", params={"limit": 1}).status_code == 200
        lines = [json.loads(line) for line in replies[5].iter_lines()]
    assert len(lines) > 20
    attrs = [attrs for line in lines for _, attrs in line["user_attrs"]]
    assert attrs == [{"a": "x" * 9000}] * 3600


def test_a_reader_of_columns_who_leaves_disturbs_nobody(api: httpx.Client, large: str) -> None:
    for _ in range(6):
        with api.stream("GET", f"{large}/columns") as reply:
            assert reply.status_code == 200
    assert api.get(f"{large}/columns").text.endswith("}\n")


def test_columns_that_cannot_be_read_are_a_problem(api: httpx.Client, large: str) -> None:
    refusals = [
        api.get("/studies/0000000000000/columns"),
        api.get(f"{large}/columns", params={"min_seq": 2**62}),
        api.get(f"{large}/columns", params={"state": "done"}),
    ]
    assert [(reply.status_code, reply.json()["code"]) for reply in refusals] == [
        (404, "study_not_found"),
        (503, "database_unavailable"),
        (422, "invalid_request"),
    ]


def test_columns_go_on_after_a_number_and_leave_out_what_has_not_changed(api: httpx.Client, large: str) -> None:
    seq = api.get(large).json()["seq"]
    assert api.patch(f"{large}/trials/7", json={"request_id": "a", "user_attrs": {"b": 1}}).status_code == 200
    changed = api.get(f"{large}/columns", params={"since_seq": seq}).json()
    assert (changed["number"], changed["next"], changed["seq"]) == ("BwAAAA==", None, seq + 1)
    assert changed["user_attrs"] == [[0, {"a": "x" * 9000, "b": 1}]]
    last = api.get(f"{large}/columns", params={"after": 3597, "state": "complete"}).json()
    # 3598 and 3599: the lowest bytes, the next ones, and nothing above.
    assert b64decode(last["number"]) == bytes([0x0E, 0x0F, 0x0E, 0x0E, 0, 0, 0, 0])
