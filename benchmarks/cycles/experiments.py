"""What is measured, one run at a time: every run has a server that has just started, on a copy of seeded studies."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from cycles import crew
from cycles.closed_loop import ClosedLoop
from cycles.cycle import Measured, cycle
from cycles.open_loop import OpenLoop
from cycles.seeding import Seed, Seeds
from cycles.wire import Connection
from load import drive
from machine import commits_per_s
from memory import resident_mib
from server import Address, Running

MOST_STUDIES = 8
SEEDED_TRIALS = 20_000
"""Small studies are driven several a run, one after the other, so that none grows by much: so many trials in all."""

LEAST_GROWTH = 500
"""Cycles that a study of any size gets in a closed loop; large ones a tenth of their trials."""

WARMUP = 100
OPEN_WARMUP_S = 2.0
SETTLE_S = 1.0
"""Until what the first ask of a study leaves to be done is done."""

CREW = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Cold:
    """The first ask of a study that the server has not loaded: its seconds, and the memory the server then has."""

    seconds: float
    mib: float


class Experiments:
    """Runs over the seeds, with studies of `params` parameters; a run counts for `seconds`, and a closed loop drives
    `at_once` studies at the same time. `commits` grows by the machine's speed, measured before each run.
    """

    def __init__(self, seeds: Seeds, *, params: int, seconds: float, at_once: int = 1) -> None:
        self.commits: list[float] = []
        self._seeds = seeds
        self._params = params
        self._seconds = seconds
        self._at_once = at_once

    def closed(self, trials: int, workers: int) -> Measured:
        """A closed loop in studies of so many trials."""
        warmup = max(WARMUP, workers)
        counted = max(LEAST_GROWTH, trials // 10) - WARMUP
        with self._served(trials) as (running, studies):
            return drive(
                running.address,
                ClosedLoop(
                    studies=studies,
                    workers=workers,
                    warmup=warmup,
                    cycles=max(counted * self._at_once, workers),
                    seconds=self._seconds,
                    at_once=self._at_once,
                ),
            )

    def opened(self, trials: int, workers: int, rate: float, run: int, *, warmup_s: float = OPEN_WARMUP_S) -> Measured:
        """An open loop; every run has other arrivals."""
        with self._served(trials) as (running, studies):
            loop = OpenLoop(
                studies=studies, workers=workers, rate=rate, warmup_s=warmup_s, seconds=self._seconds, seed=run
            )
            return drive(running.address, loop)

    def real_clients(self, trials: int) -> Measured:
        """16 processes with the real client."""
        with self._served(trials) as (running, studies):
            names = [f"seeded-{number}" for number in range(len(studies))]
            return crew_of_tpeak(running.address, names, trials=trials, params=self._params, seconds=self._seconds)

    def cold(self, trials: int, params: int) -> Cold:
        """The first ask of a study; its trials have so many parameters."""
        with self._seeds.served(Seed(trials=trials, params=params)) as (running, studies):
            seconds = asyncio.run(_first_ask(running.address, studies[0]))
            time.sleep(SETTLE_S)
            return Cold(seconds=seconds, mib=resident_mib(running.pid))

    @contextmanager
    def _served(self, trials: int) -> Iterator[tuple[Running, list[str]]]:
        with self._seeds.served(seed_of(trials, self._params)) as (running, studies):
            self.commits.append(commits_per_s(running.database_url))
            yield running, studies


def seed_of(trials: int, params: int) -> Seed:
    """As many studies of that size as runs need, so that none grows by much."""
    return Seed(trials=trials, params=params, studies=max(1, min(MOST_STUDIES, SEEDED_TRIALS // trials)))


def crew_of_tpeak(address: Address, names: Sequence[str], *, trials: int, params: int, seconds: float) -> Measured:
    """What the real client's cycles took in 16 processes, in one of the studies after the other."""
    cycles = max(LEAST_GROWTH, trials // 10) // CREW
    environment = {"TPEAK_URL": f"http://{address.host}:{address.port}", "TPEAK_TOKEN": address.token}
    command = ["cycles.of_tpeak", str(params), str(cycles), *names]
    return crew.work(seconds, 1.0, [command] * CREW, environment)


async def _first_ask(address: Address, study: str) -> float:
    connection = await Connection(address).open()
    moments = [time.perf_counter()]
    await cycle(connection, study, "bench-cold", moments)
    connection.close()
    return moments[1] - moments[0]
