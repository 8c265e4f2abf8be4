"""Takes trials back from workers that fell silent. Runs in every replica; each expiry is checked again under the lock.

After an outage, in which nobody could renew, every lease gets a fresh period. Ticks that are too far apart are kept in
the database as an outage, so whichever replica looks knows of it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable

from tpeak_server.domain.errors import DomainError
from tpeak_server.domain.study import MIN_LEASE_SECONDS
from tpeak_server.service.commands import Command, Expire
from tpeak_server.service.leasing import AMNESTY_SHARE
from tpeak_server.storage import service
from tpeak_server.storage.database import Database

TICK_S = 0.5
"""Time between two looks; less than a third of the shortest lease, so that a healthy reaper grants no amnesty."""

SHORTEST_OUTAGE_S = AMNESTY_SHARE * MIN_LEASE_SECONDS
"""What is no outage for the shortest lease is none for any."""

Submit = Callable[[int, Command], Awaitable[object]]

logger = logging.getLogger(__name__)


class Reaper:
    """Looks for overdue leases every TICK_S seconds."""

    def __init__(self, database: Database, submit: Submit) -> None:
        self._database = database
        self._submit = submit

    async def run(self) -> None:
        """Ticks until it is cancelled; trouble with the database only delays the next tick."""
        trouble = None
        while True:
            try:
                await self.tick()
                trouble = None
            except DomainError as error:
                if str(error) != trouble:  # what lasts is said once, not twice a second
                    logger.warning("the reaper could not work: %s", error)
                trouble = str(error)
            except Exception:
                logger.exception("the reaper failed; it goes on")
            await asyncio.sleep(TICK_S)

    async def tick(self) -> None:
        """One look: the tick first, which tells of an outage if there was one, then the overdue leases."""
        await self._database.transaction(lambda connection: service.tick(connection, SHORTEST_OUTAGE_S))
        async with self._database.reading() as connection:
            ticked_at = await service.last_tick(connection)
            overdue = await service.overdue(connection, AMNESTY_SHARE)
        await self._all([(s, Expire(number=n, epoch=epoch, ticked_at=ticked_at)) for s, n, epoch in overdue])

    async def _all(self, commands: list[tuple[int, Command]]) -> None:
        """Submits them all, and waits for the slowest: an error in one study keeps no other from being looked at.

        A study that cannot be written to for seconds makes the next tick late, though, which may become an outage. Its
        workers could not renew either, and are excused by that, as are all others: each for one lease more.
        """
        by_study: dict[int, list[Command]] = defaultdict(list)
        for study, command in commands:
            by_study[study].append(command)
        await asyncio.gather(*(self._one_study(study, its) for study, its in by_study.items()))

    async def _one_study(self, study: int, commands: list[Command]) -> None:
        results = await asyncio.gather(*(self._submit(study, command) for command in commands), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                logger.warning("the reaper left a lease of study %d for later: %s", study, result)
                return
