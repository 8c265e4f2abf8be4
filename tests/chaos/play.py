"""Two servers, and one player who knows what is to come."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg

from tests.chaos.cluster import Cluster
from tests.chaos.history import GroupRecorder, Operation
from tests.chaos.virtual import SPACE
from tests.chaos.wire import Wire

LEASE_S = 2.0
"""The shortest that a study may have."""


class Play:
    """Two servers, a wire to each, and what a play needs beside them."""

    def __init__(self, cluster: Cluster, seed: int) -> None:
        self.cluster = cluster
        self.dice = random.Random(seed)
        self.recorder = GroupRecorder(cluster.folder / "history-play.jsonl")
        self._names = 0

    def wire(self, server: int, worker: str = "player") -> Wire:
        """A wire of one's own to the server."""
        return Wire(worker, [self.cluster.urls[server]], self.cluster.token, self.recorder, self.dice)

    async def study(self, **settings: Any) -> str:
        """The path of a new study."""
        self._names += 1
        body = {"request_id": f"make {self._names}", "name": f"play {self._names}", "lease_seconds": LEASE_S}
        made = await self.wire(0).insist("POST", "/studies", {**body, **settings})
        return f"/studies/{made.reply['study']['id']}"

    async def ask(self, study: str, key: str, server: int = 0) -> Operation:
        """An ask for one trial, sent once."""
        body = {"request_id": key, "worker": "player", "count": 1, "distributions": SPACE}
        return await self.wire(server).send("POST", f"{study}/ask", body)

    async def trial(self, study: str, key: str, server: int = 0) -> dict[str, Any]:
        """The trial that an ask gives."""
        asked = await self.ask(study, key, server)
        trial: dict[str, Any] = asked.reply["trials"][0]
        return trial

    async def of(self, study: str, trial: dict[str, Any], verb: str, server: int = 0, **body: Any) -> Operation:
        """What the trial's worker says."""
        path = f"{study}/trials/{trial['number']}/{verb}"
        return await self.wire(server).send("POST", path, {"lease": trial["lease"], **body})

    async def report(self, study: str, trial: dict[str, Any], value: float, server: int = 0) -> Operation:
        return await self.of(study, trial, "report", server, reports=[{"step": 0, "values": [value]}])

    async def tell(self, study: str, trial: dict[str, Any], value: float, server: int = 0) -> Operation:
        return await self.of(study, trial, "tell", server, state="complete", values=[value])

    @asynccontextmanager
    async def held(self, study: str) -> AsyncIterator[None]:
        """Within this, nobody else can write to the study."""
        connection = await psycopg.AsyncConnection.connect(self.cluster.sql_url)
        async with connection:
            statement = (
                "SELECT seq FROM study_clocks JOIN studies ON id = study_id WHERE name = %s FOR UPDATE OF study_clocks"
            )
            await connection.execute(statement, [await self._name(study)])
            yield

    async def waiting(self, count: int) -> None:
        """Returns when so many servers wait for a lock, or should have by now."""
        statement = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        for _ in range(60):
            if len(await asyncio.to_thread(self.cluster.sql, statement)) >= count:
                return
            await asyncio.sleep(0.02)

    async def _name(self, study: str) -> str:
        read = await self.wire(0).send("GET", study)
        return str(read.reply["name"])
