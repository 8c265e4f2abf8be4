"""What goes wrong, and when: planned from a seed, carried out, and logged with its times."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from tests.chaos.cluster import Cluster, Server, signal_all

SERVER_KILL, SERVER_STOP, ROLLING = "server SIGKILL", "server SIGSTOP", "rolling SIGTERM"
IMMEDIATE, FAST = "PostgreSQL immediate", "PostgreSQL fast"
BACKEND_KILL, TERMINATE = "backend SIGKILL", "terminate all"
CUT, CUT_AFTER, CUT_BEFORE, STALL = "connection cut", "cut after COMMIT", "cut before COMMIT", "stall"
LATE = "late COMMIT"

GROUPS: Sequence[Sequence[str]] = (
    (SERVER_STOP, IMMEDIATE, TERMINATE),
    (SERVER_STOP, FAST, BACKEND_KILL),
    (ROLLING, TERMINATE),
    (ROLLING, BACKEND_KILL),
    (SERVER_KILL, SERVER_KILL, IMMEDIATE),
    (SERVER_KILL, SERVER_KILL, FAST),
    (SERVER_KILL, SERVER_KILL, TERMINATE),
)
"""All faults of a full run. They come in groups, with quiet in between, in which is measured what health looks like."""

SHORT_GROUPS: Sequence[Sequence[str]] = ((SERVER_KILL, IMMEDIATE), (SERVER_STOP, TERMINATE), (ROLLING,))

CALM = "nothing"
"""Not a fault: the time after them, with a light load."""

HEAVY = frozenset(kind for group in GROUPS for kind in group)
"""What takes a server or PostgreSQL away; a connection between them that is cut, no request may feel."""

APART_S = 3.5
"""Between two faults of a group."""

DOWN_S = 1.0
"""How long what was killed stays away."""

FELT = HEAVY | {STALL}
"""What requests may feel: a stalled connection, too, if it holds a study's lock when it falls silent."""

STALL_S = 3.0
CUTS = (CUT, CUT, CUT_AFTER, CUT_AFTER, CUT_BEFORE, STALL, LATE)
"""How connections to PostgreSQL end, by share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that goes wrong, seconds after the start."""

    at_s: float
    kind: str


def plan(dice: random.Random, seconds: float, groups: Sequence[Sequence[str]], cuts: int) -> list[Fault]:
    """The faults of a run, in order: the groups shuffled and spread over it, the cuts anywhere."""
    order = [dice.sample(group, len(group)) for group in dice.sample(list(groups), len(groups))]
    lead_s = seconds / (len(order) + 1) / 2
    pitch_s = (seconds - lead_s) / len(order)
    found = [
        Fault(at_s=lead_s + pitch_s * place + APART_S * turn, kind=kind)
        for place, group in enumerate(order)
        for turn, kind in enumerate(group)
    ]
    kinds = itertools.islice(itertools.cycle(CUTS), cuts)
    found += [Fault(at_s=dice.uniform(0.05, 0.97) * seconds, kind=kind) for kind in kinds]
    return sorted(found, key=lambda fault: fault.at_s)


class Faults:
    """Carries faults out on a cluster. At most one server is away at a time, and PostgreSQL once."""

    def __init__(self, cluster: Cluster, dice: random.Random, *, stop_s: float) -> None:
        self.troubles: list[str] = []
        self._cluster = cluster
        self._dice = dice
        self._stop_s = stop_s
        self._servers = asyncio.Lock()
        self._postgres = asyncio.Lock()
        self._log = cluster.folder / "faults.jsonl"
        self._verbs: dict[str, tuple[asyncio.Lock | None, Callable[[], Awaitable[Any]]]] = {
            SERVER_KILL: (self._servers, self._kill_server),
            SERVER_STOP: (self._servers, self._stop_server),
            ROLLING: (self._servers, self._roll),
            IMMEDIATE: (self._postgres, lambda: self._restart_postgres(signal.SIGQUIT)),
            FAST: (self._postgres, lambda: self._restart_postgres(signal.SIGINT)),
            BACKEND_KILL: (self._postgres, self._kill_backend),
            TERMINATE: (self._postgres, self._terminate),
            CUT: (None, self._cut),
            CUT_AFTER: (None, lambda: self._arm(CUT_AFTER)),
            CUT_BEFORE: (None, lambda: self._arm(CUT_BEFORE)),
            LATE: (None, lambda: self._arm(LATE)),
            STALL: (None, self._stall),
        }

    async def run(self, faults: Sequence[Fault]) -> None:
        """All of them at their time; returns when everything is as it was."""
        began = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as tasks:
            for fault in faults:
                await asyncio.sleep(max(0.0, began + fault.at_s - asyncio.get_running_loop().time()))
                tasks.create_task(self._carry_out(fault.kind))

    async def _carry_out(self, kind: str) -> None:
        lock, verb = self._verbs[kind]
        if lock is None:
            await self._logged(kind, verb)
            return
        async with lock:
            await self._logged(kind, verb)

    async def _logged(self, kind: str, verb: Callable[[], Awaitable[Any]]) -> None:
        start = time.time()
        target = await verb()
        line = {"kind": kind, "start": start, "end": time.time(), "target": target}
        with self._log.open("a") as log:
            log.write(json.dumps(line) + "\n")

    async def _kill_server(self) -> str:
        server = self._any_server()
        server.signal(signal.SIGKILL)
        await server.ended()
        await asyncio.sleep(DOWN_S)
        server.start()
        await server.ready()
        return server.name

    async def _stop_server(self) -> str:
        server = self._any_server()
        server.signal(signal.SIGSTOP)
        await asyncio.sleep(self._stop_s)
        server.signal(signal.SIGCONT)
        return server.name

    async def _roll(self) -> str:
        for server in self._cluster.servers:
            server.signal(signal.SIGTERM)
            # uvicorn, when it is through, sends itself the signal that stopped it; its supervisor ends with 0.
            code = await server.ended()
            if code not in {0, -signal.SIGTERM}:
                self.troubles.append(f"server {server.name} ended with {code} after SIGTERM")
            server.start()
            await server.ready()
        return "all"

    async def _restart_postgres(self, number: int) -> None:
        postgres = self._cluster.postgres
        pid = postgres.postmaster()
        signal_all([pid] if pid else [], number)
        while postgres.postmaster() is not None:
            await asyncio.sleep(0.05)
        await asyncio.sleep(DOWN_S)
        await asyncio.to_thread(postgres.start)

    async def _kill_backend(self) -> None:
        pids = await self._backends()
        if pids:
            os.kill(self._dice.choice(pids), signal.SIGKILL)
        await asyncio.sleep(0.5)
        await asyncio.to_thread(self._cluster.postgres.start)

    async def _terminate(self) -> int:
        pids = await self._backends()
        await asyncio.to_thread(self._cluster.sql, "SELECT pg_terminate_backend(pid) FROM unnest(%s) AS t (pid)", pids)
        return len(pids)

    async def _backends(self) -> list[int]:
        """The processes of PostgreSQL that work for the servers."""
        statement = "SELECT pid FROM pg_stat_activity WHERE application_name = 'tpeak' ORDER BY pid"
        for _ in range(100):
            try:
                return [pid for (pid,) in await asyncio.to_thread(self._cluster.sql, statement)]
            except psycopg.Error:
                await asyncio.sleep(0.1)
        return []

    async def _cut(self) -> None:
        self._dice.choice(self._cluster.databases).cut()

    async def _arm(self, when: str) -> None:
        self._dice.choice(self._cluster.databases).at_commit.append(when)

    async def _stall(self) -> None:
        self._dice.choice(self._cluster.databases).stall(STALL_S)

    def _any_server(self) -> Server:
        return self._dice.choice(self._cluster.servers)


def write_plan(file: Path, seed: int, faults: Sequence[Fault]) -> None:
    """Keeps the plan with the evidence."""
    lines = [f"seed {seed}", *(f"{fault.at_s:7.2f} s  {fault.kind}" for fault in faults)]
    file.write_text("\n".join(lines) + "\n")
