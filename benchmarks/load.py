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
    """What to drive: `studies` one after the other, each seeded with `trials` x `params`, each for `cycles` cycles over
    all connections in a closed loop, after `warmup` cycles that do not count.
    """

    trials: int = 1000
    params: int = 10
    connections: int = 16
    studies: int = 8
    cycles: int = 400
    warmup: int = 100


@dataclass(slots=True, kw_only=True)
class Measured:
    """Cycles that counted and the seconds they took in all, and the milliseconds of each call."""

    cycles: int = 0
    seconds: float = 0.0
    ask: list[float] = field(default_factory=list)
    report: list[float] = field(default_factory=list)
    tell: list[float] = field(default_factory=list)


class Round:
    """One study's cycles: begun until there are enough, counted after the warm-up."""

    def __init__(self, spec: Spec, measured: Measured) -> None:
        self._left = spec.warmup + spec.cycles
        self._warm = spec.warmup
        self._measured = measured
        self._began = 0.0

    def begin(self) -> bool:
        """Whether there is a cycle left to begin."""
        self._left -= 1
        return self._left >= 0

    def end(self, times: list[float]) -> None:
        """Takes the moments at which a cycle's calls began and the last one ended."""
        if self._warm > 0:
            self._warm -= 1
            self._began = times[-1]
            return
        measured = self._measured
        measured.cycles += 1
        calls = (measured.ask, measured.report, measured.tell)
        for call, start, stop in zip(calls, times[:-1], times[1:], strict=True):
            call.append(1000 * (stop - start))

    def close(self) -> None:
        """Adds the time since the warm-up."""
        self._measured.seconds += time.perf_counter() - self._began


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
    """Seeds and drives one study after the other."""
    measured = Measured()
    for _ in range(spec.studies):
        study, round_ = await seeded_study(address, spec), Round(spec, measured)
        await asyncio.gather(*(worker(address, study, f"bench-{n}", round_) for n in range(spec.connections)))
        round_.close()
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


async def worker(address: Address, study: str, name: str, round_: Round) -> None:
    """Asks, reports and tells while there are cycles to begin."""
    connection = await Connection(address).open()
    while round_.begin():
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
        round_.end(times)


def loss(params: dict[str, float]) -> float:
    """A bowl around 0.3."""
    return sum((value - 0.3) ** 2 for value in params.values())


if __name__ == "__main__":
    result = asyncio.run(drive(address_of(Path(sys.argv[1])), Spec(**json.loads(sys.argv[2]))))
    print(json.dumps(asdict(result)))
