"""Exports while others read, write, dawdle and leave."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import psycopg
import pytest

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
