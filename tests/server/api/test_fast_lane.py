"""The hot routes answer past FastAPI exactly what they would answer through it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import uvicorn

from tpeak_server.api import create_app
from tpeak_server.api.guard import Guard

NOWHERE = "0000000000000"
SPACE = {
    "x": {"type": "float", "low": 0.0, "high": 1.0},
    "n": {"type": "int", "low": 1, "high": 9},
    "c": {"type": "categorical", "choices": ["a", None, 1, True]},
}


@pytest.fixture(scope="module")
def ordinary(database_url: str, server: Any) -> Iterator[httpx.Client]:
    """A client of another server on the same database, without the fast lane."""
    app = create_app(database_url=database_url, token=server.token)
    app.middleware_stack = Guard(app.build_middleware_stack(), token=server.token)
    listener = socket.create_server(("127.0.0.1", 0))
    running = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="on"))
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/api/v1"
    with httpx.Client(base_url=url, headers=server.headers, timeout=30) as client:
        yield client
    running.should_exit = True
    thread.join(timeout=30)


@pytest.fixture
def ways(api: httpx.Client, ordinary: httpx.Client) -> dict[str, httpx.Client]:
    return {"fast": api, "ordinary": ordinary}


@pytest.fixture
def studies(ways: dict[str, httpx.Client]) -> Iterator[dict[str, str]]:
    """A study for each way, which differ in nothing but their names."""
    made = {
        way: client.post("/studies", json={"request_id": way, "name": way, "seed": 3}).json()["study"]["id"]
        for way, client in ways.items()
    }
    yield made
    for way, study in made.items():
        ways[way].delete(f"/studies/{study}").raise_for_status()


def test_a_whole_trial_goes_the_same_way(ways: dict[str, httpx.Client], studies: dict[str, str]) -> None:
    fast, ordinary = (answers(ways[way], studies[way]) for way in ("fast", "ordinary"))
    assert [response.status_code for response in fast] == [200] * 9 + [409] * 3 + [404, 422]
    for one, other in zip(fast, ordinary, strict=True):
        assert comparable(one) == comparable(other)


def answers(client: httpx.Client, study: str) -> list[httpx.Response]:
    """What a worker and its mistakes are answered."""
    ask = {"request_id": "a", "worker": "w", "count": 2, "distributions": SPACE}
    asked = client.post(f"/studies/{study}/ask", json=ask)
    lease, trial = asked.json()["trials"][0]["lease"], f"/studies/{study}/trials/0"
    told = {"lease": lease, "state": "complete", "values": ["-Infinity"], "user_attrs": {"é": [1]}, "used": ["x"]}
    late = {"lease": lease, "name": "late", "distribution": SPACE["n"]}
    reports = [{"step": 0, "values": [0.5]}, {"step": 1, "values": ["NaN"], "cost": 2.0}]
    return [
        asked,
        client.post(f"/studies/{study}/ask", json=ask),
        client.post(f"{trial}/suggest", json=late),
        client.post(f"{trial}/report", json={"lease": lease, "reports": reports, "used": ["x"]}),
        client.post(f"{trial}/report", json={"lease": lease, "reports": [{"step": 1, "values": [0.5]}]}),
        client.post(f"{trial}/heartbeat", json={"lease": lease}),
        client.post(f"{trial}/tell", json=told),
        client.post(f"{trial}/tell", json=told),
        client.post(f"/studies/{study}/trials/1/tell", json={"state": "pruned"}),
        client.post(f"{trial}/tell", json={**told, "values": [1.0]}),
        client.post(f"{trial}/heartbeat", json={"lease": lease}),
        client.post(f"{trial}/heartbeat", json={"lease": "another"}),
        client.post(f"/studies/{study}/trials/9/heartbeat", json={"lease": lease}),
        client.post(f"/studies/{study}/ask", json={**ask, "count": 1, "worker": "other"}),
    ]


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (b"", {"Content-Type": "application/json"}),
        (b"{", {"Content-Type": "application/json"}),
        (b"{}", {}),
        (b"{}", {"Content-Type": "text/plain"}),
        (b"x" * 2_000_000, {"Content-Type": "application/json"}),
        (b"null", {"Content-Type": "application/json"}),
        (b"[]", {"Content-Type": "application/json"}),
        (b'"text"', {"Content-Type": "application/json"}),
        (b"{}", {"Content-Type": "application/json"}),
        (b'{"lease": 1}', {"Content-Type": "application/json"}),
        (b'{"lease": "l", "state": "complete", "values": [true]}', {"Content-Type": "application/json"}),
        (b'{"lease": "l", "reports": [{"step": 0}]}', {"Content-Type": "application/json"}),
        (b'{"lease": "l", "name": "n", "distribution": {"type": "int"}}', {"Content-Type": "application/json"}),
        (b'{"request_id": "r", "worker": "w", "count": 0}', {"Content-Type": "application/json"}),
        (b'{"request_id": "r", "worker": "w", "\\u00e9/~": 0}', {"Content-Type": "application/json"}),
    ],
)
@pytest.mark.parametrize("path", ["ask", "trials/0/suggest", "trials/0/report", "trials/0/tell", "trials/0/heartbeat"])
def test_wrong_bodies_are_refused_alike(
    ways: dict[str, httpx.Client], studies: dict[str, str], path: str, content: bytes, headers: dict[str, str]
) -> None:
    for study in (studies["fast"], NOWHERE):
        fast, ordinary = (
            client.post(f"/studies/{study}/{path}", content=content, headers=headers) for client in ways.values()
        )
        assert 400 <= fast.status_code < 500
        assert comparable(fast) == comparable(ordinary)


@pytest.mark.parametrize("study", ["x", "x" * 65, "é", "%2F", NOWHERE, "a b", "a%0Ab"])
@pytest.mark.parametrize("rest", ["ask", "trials/0/tell", "trials/00/tell", "trials/2147483648/tell", "trials/-1/tell"])
def test_wrong_paths_are_refused_alike(ways: dict[str, httpx.Client], study: str, rest: str) -> None:
    body = {"request_id": "r", "worker": "w"} if rest == "ask" else {"state": "failed"}
    fast, ordinary = (client.post(f"/studies/{study}/{rest}", json=body) for client in ways.values())
    assert fast.status_code in {404, 422}
    assert comparable(fast) == comparable(ordinary)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
def test_another_method_is_refused_alike(ways: dict[str, httpx.Client], method: str) -> None:
    fast, ordinary = (client.request(method, f"/studies/{NOWHERE}/ask") for client in ways.values())
    assert fast.status_code == 405
    assert comparable(fast) == comparable(ordinary)


def comparable(response: httpx.Response) -> tuple[int, dict[str, str], Any]:
    """The answer without what differs from one time to the next: leases and dates."""
    headers = {name: value for name, value in response.headers.items() if name not in {"content-length", "date"}}
    body = response.json()
    for trial in body.get("trials", []):
        assert len(trial.pop("lease")) > 20
        assert 59 < trial.pop("lease_seconds") <= 60
    return response.status_code, headers, body
