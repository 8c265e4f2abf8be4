"""Takes trials back from workers that fell silent. Runs in every replica; each expiry is checked again under the lock.

After an outage, in which nobody could renew, every lease first gets a fresh period.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable

from tpeak_server.domain.errors import DomainError
from tpeak_server.service.commands import Command, Expire, GrantAll
from tpeak_server.service.leasing import AMNESTY_SHARE
from tpeak_server.storage import service
from tpeak_server.storage.database import Database, Driver

TICK_S = 0.5
"""Time between two looks; less than a third of the shortest lease, so that a healthy reaper grants no amnesty."""

Submit = Callable[[int, Command], Awaitable[object]]

logger = logging.getLogger(__name__)


class Reaper:
    """Looks for overdue leases every TICK_S seconds."""

    def __init__(self, database: Database, submit: Submit) -> None:
        self._database = database
        self._submit = submit
        self._owed: set[int] = set()

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
        """One look: amnesty where it is due, then the tick, then the overdue leases."""
        async with self._database.reading() as connection:
            away_s = await service.tick_age(connection)
            leased = await service.leased_studies(connection)
        due = {study for study, lease_seconds in leased.items() if away_s > AMNESTY_SHARE * lease_seconds}
        # A study that could not be pardoned stays owed it, though the tick says that a reaper was here.
        self._owed = await self._all([(study, GrantAll()) for study in sorted(due | self._owed)])
        # The outage may have come, or come again, after the look, and the tick have waited for its end.
        away_s = await self._tick()
        missed = {study for study, lease_seconds in leased.items() if away_s > AMNESTY_SHARE * lease_seconds}
        self._owed |= await self._all([(study, GrantAll()) for study in sorted(missed)])
        async with self._database.reading() as connection:
            ticked_at = await service.last_tick(connection)
            overdue = await service.overdue(connection)
        await self._all([
            (s, Expire(number=n, epoch=epoch, ticked_at=ticked_at)) for s, n, epoch in overdue if s not in self._owed
        ])  # fmt: skip

    async def _tick(self) -> float:
        """Says that a reaper is at work; the seconds since one last said so."""
        ages: list[float] = []

        async def tick(connection: Driver) -> None:
            ages.append(await service.tick(connection))

        await self._database.transaction(tick)
        # Where the first try was committed without an answer, the second one sees that tick.
        return max(ages)

    async def _all(self, commands: list[tuple[int, Command]]) -> set[int]:
        """Submits them all and gives the studies where one failed: such trouble must not keep the others waiting."""
        by_study: dict[int, list[Command]] = defaultdict(list)
        for study, command in commands:
            by_study[study].append(command)
        done = await asyncio.gather(*(self._one_study(study, its) for study, its in by_study.items()))
        return {study for study, all_went_well in zip(by_study, done, strict=True) if not all_went_well}

    async def _one_study(self, study: int, commands: list[Command]) -> bool:
        results = await asyncio.gather(*(self._submit(study, command) for command in commands), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                logger.warning("the reaper left a lease of study %d for later: %s", study, result)
                return False
        return True
