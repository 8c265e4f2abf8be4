"""The service as one object: what the api calls, and what runs beside it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import Any

from tpeak_server.domain.errors import DatabaseUnavailable, DomainError, ShuttingDown
from tpeak_server.domain.transfer import Line
from tpeak_server.service.batcher import Batcher
from tpeak_server.service.commands import Ask, Command
from tpeak_server.service.explaining import Explaining
from tpeak_server.service.reading import Reading
from tpeak_server.service.reaper import Reaper
from tpeak_server.service.replaying import Replaying
from tpeak_server.service.studies import Studies
from tpeak_server.storage import service
from tpeak_server.storage.database import Database
from tpeak_server.storage.exporting import study_lines
from tpeak_server.storage.incarnation import incarnation
from tpeak_server.storage.schema import SchemaMismatch, head
from tpeak_server.storage.service import Worker

SAMPLING_THREADS = 2
TIDY_S = 5.0
"""Time between two rounds of housekeeping: studies that nobody uses are dropped, workers' last_seen is written."""

MAX_STUDIES = 64
MAX_BYTES = 2**30
"""Studies whose caches are kept though nobody uses them, and about how many bytes of them."""

IN_USE_S, MAX_BYTES_IN_USE = 60.0, 4 * MAX_BYTES
"""How long after its last request a study counts as in use, and how much those in use may take: to read one anew every
few seconds costs more than to keep it, to run out of memory costs more still."""

SCHEMA = head()
"""The schema version that this server works with."""

logger = logging.getLogger(__name__)

__all__ = ["SCHEMA", "Application", "Worker"]


class Application:
    """One replica: batchers for the studies that are in use, the reaper, and readers."""

    def __init__(self, database_url: str) -> None:
        self.database = Database(database_url)
        self.studies = Studies(self.database)
        self.reading = Reading(self.database)
        self.explaining = Explaining(self.database)
        self.replaying = Replaying(self.database)
        self.reaper = Reaper(self.database, self.submit)
        self._executor = ThreadPoolExecutor(SAMPLING_THREADS, thread_name_prefix="sampling")
        self._batchers: dict[int, Batcher] = {}
        self._seen: set[str] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._closing = False

    async def start(self) -> None:
        """Begins the work that no request asks for."""
        self._tasks = [asyncio.create_task(self.reaper.run()), asyncio.create_task(self._tidy())]

    async def stop(self) -> None:
        """Finishes what is under way, then closes every connection."""
        self._closing = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(batcher.close() for batcher in self._batchers.values()))
        self._executor.shutdown(wait=False)
        await self.database.close()

    async def submit(self, study_id: int, command: Command) -> Any:
        """The answer to the command, once it is committed. Raises whatever the command may raise."""
        if self._closing:
            raise ShuttingDown("the server is shutting down; send the request again")
        batcher = self._batchers.pop(study_id, None)
        if batcher is None:
            batcher = Batcher(study_id, self.database, self._executor)
        # Put back at the end: the dict's order is that of use.
        self._batchers[study_id] = batcher
        if isinstance(command, Ask):
            self._seen.add(command.worker)
        return await batcher.submit(command)

    async def ready(self) -> None:
        """Raises where this replica should get no requests: it leaves, or database or schema are not as they should."""
        if self._closing:
            raise ShuttingDown("this server is shutting down")
        try:
            async with self.database.reading() as connection:
                await service.check_schema(connection)
        except SchemaMismatch as mismatch:
            raise DatabaseUnavailable(str(mismatch)) from mismatch

    async def incarnation(self) -> str:
        """Which life of the database this is."""
        return await incarnation(self.database)

    async def export(self, study_id: int) -> AsyncGenerator[Line]:
        """The study's lines as of one moment. Raises StudyNotFound, Overloaded and DatabaseUnavailable."""
        async with self.database.exporting() as connection, aclosing(study_lines(connection, study_id)) as lines:
            async for line in lines:
                yield line

    async def register(self, worker: Worker) -> None:
        """Knows the worker from here on."""
        await self.database.transaction(lambda connection: service.register(connection, worker))

    async def workers(self) -> list[Worker]:
        """All workers that ever registered, the last seen first."""
        async with self.database.reading() as connection:
            return await service.workers(connection)

    async def _tidy(self) -> None:
        while True:
            await asyncio.sleep(TIDY_S)
            self._drop_idle()
            try:
                await self._write_seen()
            except DomainError as error:
                logger.warning("housekeeping could not work: %s", error)
            except Exception:
                # Without this task idle studies would be kept for ever: it outlives whatever goes wrong.
                logger.exception("housekeeping failed; it goes on")

    def _drop_idle(self) -> None:
        """Keeps those used last, as far as there is room; the very last one, and what is under way, however large."""
        used_since = asyncio.get_running_loop().time() - IN_USE_S
        kept = taken = 0
        for study_id, batcher in reversed(list(self._batchers.items())):
            size = 0 if batcher.history is None else batcher.history.size
            in_use = batcher.used_at > used_since
            full = taken + size > (MAX_BYTES_IN_USE if in_use else MAX_BYTES)
            if kept and batcher.idle and (full or (kept >= MAX_STUDIES and not in_use)):
                del self._batchers[study_id]
            else:
                kept, taken = kept + 1, taken + size

    async def _write_seen(self) -> None:
        if not self._seen:
            return
        ids, self._seen = sorted(self._seen), set()
        await self.database.transaction(lambda connection: service.seen(connection, ids))
