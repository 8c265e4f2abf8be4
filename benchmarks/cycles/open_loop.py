"""An open loop: cycles are due at given moments, whether or not the server keeps up.

An ask's time counts from the moment it was due, so that waiting for a free worker is not left out; of an ask without an
answer it is what had passed when the run was broken off.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field

from cycles.cycle import Measured, cycle
from cycles.figures import poisson_arrivals
from cycles.wire import Connection, connected
from server import Address

GRACE_S = 5.0
"""How long cycles that were due may take to end after the last one was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenLoop:
    """Cycles at Poisson arrivals of `rate` a second over `workers` that stay connected, for `warmup_s` that do not
    count and `seconds` that do. The studies, by their paths, have equal parts of them, one after the other, each
    after `primer` cycles of one worker.
    """

    studies: list[str]
    workers: int = 1000
    rate: float = 300.0
    warmup_s: float = 2.0
    seconds: float = 10.0
    seed: int = 0
    primer: int = 5


@dataclass(slots=True)
class Due:
    """A cycle: when it was due, in seconds from the start, and the moments at which its calls ended."""

    at: float
    study: str
    times: list[float] = field(default_factory=list)


def schedule(loop: OpenLoop) -> list[Due]:
    """All cycles in order."""
    moments = list(poisson_arrivals(loop.rate, loop.warmup_s + loop.seconds, loop.seed))
    count = len(loop.studies)
    return [Due(at, loop.studies[place * count // len(moments)]) for place, at in enumerate(moments)]


def measure(cycles: list[Due], loop: OpenLoop, stopped: float) -> Measured:
    """What the cycles took that were due after the warm-up; `stopped` is when the run ended, all in seconds from the
    start. `cycles` of it are those that ended in the time that counts, whenever they were due.
    """
    measured = Measured(seconds=loop.seconds)
    end = loop.warmup_s + loop.seconds
    for due in cycles:
        if len(due.times) == 3 and loop.warmup_s <= due.times[-1] < end:
            measured.cycles += 1
        if due.at >= loop.warmup_s:
            times = [due.at, *due.times]
            measured.unfinished += len(due.times) < 3
            if not due.times:
                times.append(stopped)
            for call, start, stop in zip(
                (measured.ask, measured.report, measured.tell), times, times[1:], strict=False
            ):
                call.append(1000 * (stop - start))
    return measured


async def run(address: Address, loop: OpenLoop) -> Measured:
    """What the cycles that counted took."""
    connections = await connected(address, loop.workers)
    for study in loop.studies:
        for _ in range(loop.primer):
            await cycle(connections[0], study, "bench-primer", [])
    cycles = schedule(loop)
    crew = _Crew(connections)
    stopped = await crew.serve(cycles, loop)
    measured = measure(cycles, loop, stopped)
    measured.refused = sum(connection.refused for connection in connections)
    for connection in connections:
        connection.close()
    return measured


class _Crew:
    """Connected workers, who take turns: the one that has been free for longest has the next cycle."""

    def __init__(self, connections: list[Connection]) -> None:
        self._free: deque[tuple[int, Connection]] = deque(enumerate(connections))
        self._waiting: deque[Due] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures: list[BaseException] = []

    async def serve(self, cycles: list[Due], loop: OpenLoop) -> float:
        """Begins each cycle when it is due, or when a worker is free; returns the seconds until all is over.

        Raises what a cycle failed with.
        """
        self._began = time.perf_counter()
        for due in cycles:
            wait_s = due.at - self._now()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            self._waiting.append(due)
            self._hand_out()
            if self._failures:
                break
        while self._tasks and self._now() < loop.warmup_s + loop.seconds + GRACE_S:
            await asyncio.wait(self._tasks, timeout=0.1, return_when=asyncio.FIRST_COMPLETED)
        stopped = self._now()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._failures:
            raise self._failures[0]
        return stopped

    def _now(self) -> float:
        return time.perf_counter() - self._began

    def _hand_out(self) -> None:
        while self._waiting and self._free:
            task = asyncio.create_task(self._work(*self._free.popleft(), self._waiting.popleft()))
            self._tasks.add(task)
            task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (failure := task.exception()):
            self._failures.append(failure)

    async def _work(self, number: int, connection: Connection, due: Due) -> None:
        moments: list[float] = []
        try:
            await cycle(connection, due.study, f"bench-{number}", moments)
        finally:
            due.times = [moment - self._began for moment in moments]
        self._free.append((number, connection))
        self._hand_out()
