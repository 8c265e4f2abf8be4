"""One study as a server keeps it between transactions: its history, and what samplers and pruners made of that."""

from __future__ import annotations

import asyncio

from tpeak_server.domain.changes import Delta
from tpeak_server.service.history import History
from tpeak_server.service.loading import load_history
from tpeak_server.service.verbs import Verbs
from tpeak_server.storage.database import Database


class Forgotten(Exception):
    """A history is no longer kept: it lags far behind, or the database may be another one than it was read from."""


class CachedStudy:
    """The cache of one study, which is read when somebody needs it, and anew after connections were lost."""

    def __init__(self, study_id: int, database: Database) -> None:
        self.study_id = study_id
        self.history: History | None = None
        self.verbs = Verbs()
        self._database = database
        self._breaks = 0
        self._reading = asyncio.Lock()

    async def warm(self) -> History:
        """The history, read if need be."""
        async with self._reading:
            if self._breaks != self._database.breaks:
                self.forget()
            if self.history is None:
                self._breaks = self._database.breaks
                async with self._database.reading() as connection:
                    self.history = await load_history(connection, self.study_id)
            return self.history

    def follow(self, history: History, delta: Delta) -> None:
        """Has the history take over what changed; one that took over half of it is no longer kept."""
        try:
            history.apply(delta)
        except BaseException:
            self.forget()
            raise

    def forget(self) -> None:
        """Has the history read anew by whoever needs it next; what was made of it goes with it."""
        self.history, self.verbs = None, Verbs()

    def check(self, history: History) -> None:
        """Raises Forgotten where connections were lost since this history was read, or it is no longer kept."""
        if self._database.breaks != self._breaks or history is not self.history:
            raise Forgotten
