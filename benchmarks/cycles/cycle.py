"""One cycle: a worker asks, reports one value and tells the result."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from cycles.wire import Connection

CALLS = ("ask", "report", "tell")


@dataclass(slots=True, kw_only=True)
class Measured:
    """Cycles that counted and the seconds in which they ended, the milliseconds of each call, how often the server
    refused one for the time being, cycles that were begun and never ended, the processor seconds of the load itself
    and the seconds that it ran.
    """

    cycles: int = 0
    seconds: float = 0.0
    ask: list[float] = field(default_factory=list)
    report: list[float] = field(default_factory=list)
    tell: list[float] = field(default_factory=list)
    refused: int = 0
    unfinished: int = 0
    load_cpu_s: float = 0.0
    load_s: float = 0.0

    def add(self, times: list[float]) -> None:
        """Takes the moments at which a cycle's calls began and the last one ended."""
        self.cycles += 1
        for call, start, stop in zip((self.ask, self.report, self.tell), times[:-1], times[1:], strict=True):
            call.append(1000 * (stop - start))


async def cycle(connection: Connection, study: str, worker: str, times: list[float]) -> None:
    """Adds the moment at which each call ended to `times`."""
    asked = await connection.post(f"{study}/ask", {"request_id": uuid.uuid4().hex, "worker": worker})
    times.append(time.perf_counter())
    trial = asked["trials"][0]
    path, value = f"{study}/trials/{trial['number']}", loss(trial["params"])
    report = {"lease": trial["lease"], "reports": [{"step": 0, "values": [value]}], "used": list(trial["params"])}
    await connection.post(f"{path}/report", report)
    times.append(time.perf_counter())
    await connection.post(f"{path}/tell", {"lease": trial["lease"], "state": "complete", "values": [value]})
    times.append(time.perf_counter())


def loss(params: dict[str, Any]) -> float:
    """A bowl around 0.3."""
    return float(sum((value - 0.3) ** 2 for value in params.values()))
