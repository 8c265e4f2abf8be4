"""The load: keep-alive connections that ask, report and tell, driven by one light process.

`python benchmarks/load.py CONNECT_FILE SPEC` prints one JSON object with what it measured. It speaks HTTP over plain
sockets, since a full client would take more of the machine than the server under test.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
import uuid
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from server import Address, address_of

SEED_BATCH = 250
"""Finished trials a request: a body of less than 1 MiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What to drive: a study of `trials` x `params`, `connections` in a closed loop for `seconds` after `warmup`."""

    trials: int = 1000
    params: int = 10
    connections: int = 16
    seconds: float = 10.0
    warmup: float = 2.0


@dataclass(slots=True, kw_only=True)
class Measured:
    """Finished cycles a second, and the milliseconds of each call."""

    cycles_per_s: float = 0.0
    ask: list[float] = field(default_factory=list)
    report: list[float] = field(default_factory=list)
    tell: list[float] = field(default_factory=list)


class Connection:
    """One keep-alive connection."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._head = (
            f"HTTP/1.1\r\nHost: {address.host}\r\nAuthorization: Bearer {address.token}\r\n"
            "Content-Type: application/json\r\nContent-Length: "
        )

    async def open(self) -> Connection:
        self._reader, self._writer = await asyncio.open_connection(self._address.host, self._address.port)
        return self

    async def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The reply's body. Raises RuntimeError for any status but 2xx."""
        content = json.dumps(body).encode()
        self._writer.write(f"POST /api/v1{path} {self._head}{len(content)}\r\n\r\n".encode() + content)
        head = await self._reader.readuntil(b"\r\n\r\n")
        start = head.lower().index(b"content-length:") + 15
        reply = await self._reader.readexactly(int(head[start : head.index(b"\r\n", start)]))
        if head[9:10] != b"2":
            raise RuntimeError(f"{path}: {head[9:12].decode()} {reply.decode()}")
        parsed: dict[str, Any] = json.loads(reply)
        return parsed


async def drive(address: Address, spec: Spec) -> Measured:
    """Seeds a study and drives it."""
    study = await seeded_study(address, spec)
    measured = Measured()
    begin = time.perf_counter() + spec.warmup
    end = begin + spec.seconds
    cycles = await asyncio.gather(
        *(worker(address, study, f"bench-{n}", begin, end, measured) for n in range(spec.connections))
    )
    measured.cycles_per_s = sum(cycles) / spec.seconds
    return measured


async def seeded_study(address: Address, spec: Spec) -> str:
    """The path of a study with that many complete trials of a random quadratic."""
    connection = await Connection(address).open()
    dice = random.Random(0)
    names = [f"x{n}" for n in range(spec.params)]
    space = {name: {"type": "float", "low": 0.0, "high": 1.0} for name in names}
    created = await connection.post("/studies", {"request_id": uuid.uuid4().hex, "name": f"bench-{uuid.uuid4().hex}"})
    study = f"/studies/{created['study']['id']}"
    for first in range(0, spec.trials, SEED_BATCH):
        trials = []
        for _ in range(min(SEED_BATCH, spec.trials - first)):
            params = {name: dice.random() for name in names}
            value = loss(params)
            trials.append({"state": "complete", "params": params, "distributions": space, "values": [value]})
        await connection.post(f"{study}/trials", {"request_id": uuid.uuid4().hex, "trials": trials})
    return study


async def worker(address: Address, study: str, name: str, begin: float, end: float, measured: Measured) -> int:
    """Asks, reports and tells until the end; the number of cycles that ended between begin and end."""
    connection = await Connection(address).open()
    cycles = 0
    while True:
        times = [time.perf_counter()]
        asked = await connection.post(f"{study}/ask", {"request_id": uuid.uuid4().hex, "worker": name})
        times.append(time.perf_counter())
        trial = asked["trials"][0]
        path, value = f"{study}/trials/{trial['number']}", loss(trial["params"])
        report = {"lease": trial["lease"], "reports": [{"step": 0, "values": [value]}], "used": list(trial["params"])}
        await connection.post(f"{path}/report", report)
        times.append(time.perf_counter())
        await connection.post(f"{path}/tell", {"lease": trial["lease"], "state": "complete", "values": [value]})
        times.append(time.perf_counter())
        if times[-1] > end:
            return cycles
        if times[0] >= begin:
            note(measured, times)
        cycles += times[-1] >= begin


def note(measured: Measured, times: list[float]) -> None:
    """Adds a cycle's three calls."""
    for calls, start, stop in zip((measured.ask, measured.report, measured.tell), times[:-1], times[1:], strict=True):
        calls.append(1000 * (stop - start))


def loss(params: dict[str, float]) -> float:
    """A bowl around 0.3."""
    return sum((value - 0.3) ** 2 for value in params.values())


if __name__ == "__main__":
    result = asyncio.run(drive(address_of(Path(sys.argv[1])), Spec(**json.loads(sys.argv[2]))))
    print(json.dumps(asdict(result)))
