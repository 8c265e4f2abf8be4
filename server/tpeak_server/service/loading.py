"""A study's cache, put together from its rows, page by page, while the event loop serves others."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from tpeak_server.service.history import History
from tpeak_server.storage.database import Driver
from tpeak_server.storage.history import Rows, load_pages, load_without_trials


async def load_history(connection: Driver, study_id: int) -> History:
    """The cache of the whole study; the caller's transaction sees one snapshot. Raises StudyNotFound."""
    frame = await load_without_trials(connection, study_id)
    history = History(frame)
    more = replace(frame, interned=[], warm=None)

    def take(rows: Rows) -> None:
        history.apply(replace(more, records=rows.records()))

    async for rows in load_pages(connection, study_id, frame.clock.next_number):
        await asyncio.to_thread(take, rows)
    return history
