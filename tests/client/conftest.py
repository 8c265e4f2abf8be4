import json
import struct
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tpeak.connection import Connection
from tpeak.heartbeat import Heartbeat
from tpeak.spool import Spool
from tpeak.study import Study
from tpeak.transport import Client
from tpeak.worker import Worker

URL = "http://127.0.0.1:8765"
API = "/api/v1"


class Clock:
    """Time that passes only where something sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Server:
    """Answers what a test laid out for it, in order, the last answer again and again; keeps what was sent.

    An answer is a body (200), a (status, body) or (status, body, headers), an exception, an httpx.Response, or a
    function of the body.
    """

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, Any]] = []
        self.requests: list[httpx.Request] = []
        self._answers: dict[tuple[str, str], list[Any]] = {}
        self.on("POST", "/workers", (204, None))
        self.on("GET", "/meta", {"version": "0.1.0", "features": [], "schema": "0003", "incarnation": "first"})

    def on(self, method: str, path: str, *answers: Any) -> None:
        self._answers[method, path] = list(answers)

    def before(self, method: str, path: str, *answers: Any) -> None:
        """Answers these before what was laid out."""
        self._answers[method, path][:0] = answers

    def bodies(self, path: str) -> list[Any]:
        return [body for _, sent_to, body in self.sent if sent_to == path]

    def paths(self) -> list[str]:
        return [f"{method} {path}" for method, path, _ in self.sent]

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix(API)
        body = json.loads(request.content) if request.content else None
        self.requests.append(request)
        self.sent.append((request.method, path, body))
        answers = self._answers[request.method, path]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if callable(answer):
            answer = answer(body)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            return answer
        status, content, *headers = answer if isinstance(answer, tuple) else (200, answer)
        return httpx.Response(
            status, content=b"" if content is None else json.dumps(content), headers=headers[0] if headers else {}
        )

    def issues(self, number: int = 0, **changes: Any) -> dict[str, Any]:
        """The reply to an ask that hands out this trial; its tell and reports are answered too."""
        path = f"/studies/s1/trials/{number}"
        self.on("POST", f"{path}/tell", lambda body: told(number, body))
        self.on("POST", f"{path}/report", renewed())
        self.on("POST", f"{path}/release", {"number": number, "state": "waiting", "seq": 2})
        trial = {
            "number": number,
            "epoch": 1,
            "attempt": 0,
            "lease": f"lease-{number}",
            "lease_seconds": 60.0,
            "origin": "tpe",
            "params": {},
            "distributions": {},
            "user_attrs": {},
            "reports": [],
        }
        return {"trials": [trial | changes], "seq": 1}


def told(number: int, body: dict[str, Any]) -> dict[str, Any]:
    return {
        "number": number,
        "state": body["state"],
        "values": body.get("values"),
        "cause": body.get("error"),
        "seq": 2,
    }


def renewed(**changes: Any) -> dict[str, Any]:
    reply = {"prune": False, "reason": None, "cancel": False, "lease_seconds": 60.0, "kept": [], "seq": 2}
    return reply | changes


def problem(status: int, code: str, **changes: Any) -> tuple[int, dict[str, Any]]:
    body = {"type": "about:blank", "title": "Wrong", "status": status, "code": code, "detail": f"it is {code}"}
    return status, body | changes


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def client(server: Server, clock: Clock) -> Client:
    transport = httpx.MockTransport(server)
    return Client(URL, "secret", transport=transport, sleep=clock.sleep, clock=clock, jitter=lambda: 1.0)


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool")


@pytest.fixture
def connection(client: Client, spool: Spool, clock: Clock) -> Connection:
    heartbeat = Heartbeat(clock=clock, threaded=False)
    return Connection(client=client, spool=spool, heartbeat=heartbeat, worker=Worker())


def study_row(**changes: Any) -> dict[str, Any]:
    row = {
        "id": "s1",
        "name": "digits",
        "directions": ["minimize"],
        "state": "open",
        "sampler": {"name": "tpe", "n_startup_trials": 10, "n_ei_candidates": None, "constant_liar": True},
        "pruner": {"name": "nop"},
        "user_attrs": {},
        "seq": 0,
    }
    return row | changes


@pytest.fixture
def study(connection: Connection) -> Study:
    return Study(connection, study_row())


@pytest.fixture
def two_objectives(connection: Connection) -> Study:
    return Study(connection, study_row(directions=["minimize", "maximize"]))


@pytest.fixture
def study_of() -> Callable[..., dict[str, Any]]:
    return study_row


@pytest.fixture
def refusal() -> Callable[..., tuple[int, dict[str, Any]]]:
    return problem


@pytest.fixture
def report_reply() -> Callable[..., dict[str, Any]]:
    return renewed


def explained_row(**changes: Any) -> dict[str, Any]:
    row = {
        "number": 7,
        "origin": "tpe",
        "sampler": "tpe",
        "version": "tpe-1",
        "sampled_at_seq": 55,
        "params": {"x": 0.25, "depth": 3},
        "seen": 11,
        "pending": 2,
        "candidates": 24,
        "score": 1.25,
        "densities": {"x": {"good": 0.5, "bad": "-Infinity"}},
        "late": {"depth": {"seq": 59, "origin": "sampled", "given": ["x"]}},
        "nearest": [
            {"number": 4, "state": "complete", "values": [0.5], "params": {"x": 0.5}, "distance": 0.25},
            {"number": 5, "state": "pruned", "values": None, "params": {"x": 0.75}, "distance": 0.5},
        ],
        "replay": {"outcome": "same", "reasons": [], "notes": ["deleted since: trial 2"], "params": {"x": 0.25}},
        "seq": 63,
    }
    return row | changes


def replayed_row(**changes: Any) -> dict[str, Any]:
    """A pruner's replay that would have lost the best trial."""
    return {
        "trials": 8,
        "pruned": 2,
        "reports": 40,
        "saved": 10,
        "cost": 12.5,
        "cost_saved": 5.0,
        "best": {"number": 4, "value": 0.25},
        "best_kept": {"number": 6, "value": 0.5},
        "decisions": [
            {"number": 3, "step": 1, "reason": "step 1: too bad", "state": "pruned", "value": None},
            {"number": 4, "step": 2, "reason": "step 2: still too bad", "state": "complete", "value": 0.25},
        ],
        **changes,
    }


@pytest.fixture
def replay_row() -> Callable[..., dict[str, Any]]:
    """Makes the wire's form of a pruner's replay, with changes."""
    return replayed_row


@pytest.fixture
def explanation_row() -> Callable[..., dict[str, Any]]:
    return explained_row


def trial_row(number: int = 0, **changes: Any) -> dict[str, Any]:
    row = {
        "number": number,
        "state": "complete",
        "values": [0.5],
        "params": {},
        "distributions": {},
        "reports": [],
        "user_attrs": {},
        "constraints": None,
        "origin": "tpe",
        "epoch": 1,
        "attempt": 0,
        "cause": None,
        "worker": "host-1-ab",
        "created_at": "2026-11-24T12:00:00.000000Z",
        "started_at": "2026-11-24T12:00:00.000000Z",
        "finished_at": "2026-11-24T12:00:30.000000Z",
    }
    return row | changes


@pytest.fixture
def row_of() -> Callable[..., dict[str, Any]]:
    return trial_row


def packed(kind: str, *numbers: float) -> str:
    """Numbers as they travel in columns: the lowest bytes of all first, in base64."""
    each = [struct.pack(f"<{kind}", number) for number in numbers]
    return b64encode(bytes(byte for plane in zip(*each, strict=True) for byte in plane)).decode()


def columns_line(numbers: list[int], following: int | None, **changes: Any) -> bytes:
    """A line of columns: complete trials with the value 0.5 and nothing else."""
    several = len(numbers)
    line = {
        "number": packed("i", *numbers),
        "state": {"words": ["complete"]},
        "origin": {"words": ["tpe"]},
        "started_at": {"us": packed("q", *[1_500_000] * several)},
        "finished_at": {"us": packed("q", *[61_500_000] * several)},
        "values": [{"values": [packed("d", *[0.5] * several)]}],
        "params": [],
        "reports": [],
        "next": following,
        "seq": 1,
    }
    return json.dumps(line | changes).encode() + b"\n"


@pytest.fixture
def packed_numbers() -> Callable[..., str]:
    return packed


@pytest.fixture
def columns_of() -> Callable[..., bytes]:
    return columns_line
