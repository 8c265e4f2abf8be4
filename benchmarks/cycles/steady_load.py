"""A steady load well below the most: studies are created, worked through and finished, one after the other."""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import dataclass

from cycles.cycle import Measured, cycle
from cycles.wire import Connection, connected
from server import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class SteadyLoad:
    """`rate` cycles a second in all, from `workers` that each have a study of their own. After `trials` it is stopped,
    every second one is archived too, and the worker creates another one with as many float parameters. With few trials
    a study the caches of idle ones are soon as many as the server keeps.
    """

    workers: int = 16
    rate: float = 50.0
    seconds: float = 600.0
    trials: int = 50
    params: int = 10


async def run(address: Address, load: SteadyLoad) -> Measured:
    """What the cycles took; all of them count."""
    measured = Measured(seconds=load.seconds)
    connections = await connected(address, load.workers)
    end = time.perf_counter() + load.seconds
    await asyncio.gather(*(_worker(one, n, load, end, measured) for n, one in enumerate(connections)))
    measured.refused = sum(connection.refused for connection in connections)
    for connection in connections:
        connection.close()
    return measured


async def _worker(connection: Connection, number: int, load: SteadyLoad, end: float, measured: Measured) -> None:
    due = time.perf_counter() + number / load.rate
    studies = 0
    while due < end:
        study = await _create(connection, load)
        for _ in range(load.trials):
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            times = [time.perf_counter()]
            await cycle(connection, study, f"bench-{number}", times)
            measured.add(times)
            # A worker that is late does not catch up: the load would come in bursts.
            due = max(due + load.workers / load.rate, time.perf_counter())
            if due >= end:
                break
        await connection.post(f"{study}/stop", {"request_id": uuid.uuid4().hex})
        studies += 1
        if studies % 2 == 0:
            await connection.delete(study)


async def _create(connection: Connection, load: SteadyLoad) -> str:
    space = {f"x{number}": {"type": "float", "low": 0.0, "high": 1.0} for number in range(load.params)}
    name = f"soak-{uuid.uuid4().hex}"
    body = {"request_id": uuid.uuid4().hex, "name": name, "space": space, "sampler": {"name": "tpe"}}
    created = await connection.post("/studies", body)
    return f"/studies/{created['study']['id']}"
