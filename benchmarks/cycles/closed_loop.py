"""A closed loop: every worker begins its next cycle when its last one has ended."""

from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import dataclass

from cycles.cycle import Measured, cycle
from cycles.wire import Connection, connected
from server import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedLoop:
    """Drives the studies, by their paths, `at_once` at a time, among which the workers are divided: `warmup` cycles
    that do not count, then `cycles` that do, over all workers. No study is begun, and those under way are left, when
    `seconds` have been counted.
    """

    studies: list[str]
    workers: int = 16
    cycles: int = 400
    warmup: int = 100
    seconds: float = 10.0
    at_once: int = 1


class Round:
    """The cycles of studies driven at the same time: begun until enough have ended, counted after the warm-up."""

    def __init__(self, loop: ClosedLoop, measured: Measured) -> None:
        self._warm = loop.warmup
        self._left = loop.cycles
        self._limit_s = loop.seconds - measured.seconds
        self._measured = measured
        self._began = time.perf_counter()
        self._ended: float | None = None

    def going(self) -> bool:
        """Whether another cycle is to begin."""
        return self._ended is None

    def end(self, times: list[float]) -> None:
        """Takes the moments of a cycle, see `Measured`."""
        if self._ended is not None:
            return
        if self._warm > 0:
            self._warm -= 1
            self._began = times[-1]
            return
        self._measured.add(times)
        self._left -= 1
        if self._left <= 0 or times[-1] - self._began > self._limit_s:
            self._ended = times[-1]
            self._measured.seconds += self._ended - self._began


async def run(address: Address, loop: ClosedLoop) -> Measured:
    """What the cycles that counted took."""
    measured = Measured()
    connections = await connected(address, loop.workers)
    for first in range(0, len(loop.studies), loop.at_once):
        if measured.seconds < loop.seconds:
            round_ = Round(loop, measured)
            studies = itertools.cycle(loop.studies[first : first + loop.at_once])
            workers = zip(connections, studies, strict=False)
            await asyncio.gather(*(_worker(one, study, f"bench-{n}", round_) for n, (one, study) in enumerate(workers)))
    measured.refused = sum(connection.refused for connection in connections)
    for connection in connections:
        connection.close()
    return measured


async def _worker(connection: Connection, study: str, name: str, round_: Round) -> None:
    while round_.going():
        times = [time.perf_counter()]
        await cycle(connection, study, name, times)
        round_.end(times)
