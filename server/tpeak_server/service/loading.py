"""A study's cache, put together from what is stored, part by part, while the event loop serves others."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from tpeak_server.service.history import History
from tpeak_server.storage.database import Driver
from tpeak_server.storage.finished import Columns
from tpeak_server.storage.history import Rows, load_parts, load_without_trials


async def load_history(connection: Driver, study_id: int) -> History:
    """The cache of the whole study; the caller's transaction sees one snapshot. Raises StudyNotFound."""
    frame = await load_without_trials(connection, study_id)
    history = History(frame)
    more = replace(frame, interned=[], warm=None)

    def take(part: Columns | Rows) -> None:
        if isinstance(part, Columns):
            history.fill(part.finished())
        else:
            history.apply(replace(more, records=part.records()))

    # While a thread takes one part over, the database puts the next one together.
    taken: asyncio.Future[None] | None = None
    try:
        async for part in load_parts(connection, study_id, frame.clock.next_number, len(frame.interned)):
            if taken is not None:
                await taken
            taken = asyncio.ensure_future(asyncio.to_thread(take, part))
    finally:
        if taken is not None:
            await taken
    await asyncio.to_thread(history.spread)
    return history
