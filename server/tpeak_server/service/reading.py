"""Reading trials: one, pages of them, the best."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, replace

from tpeak_server.domain.errors import Invalid, NoCompleteTrial, StudyNotFound, TrialNotFound
from tpeak_server.domain.trial import Interned, TrialRecord
from tpeak_server.domain.which import Which
from tpeak_server.service.aside import aside
from tpeak_server.service.columns import TrialColumns, trial_columns
from tpeak_server.storage import studies, trials
from tpeak_server.storage.columns import load_page, load_params
from tpeak_server.storage.database import Database, Driver
from tpeak_server.storage.history import load_rows, load_trials


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some trials of a study, the distributions that their values refer to, and the seq they were read at."""

    records: Sequence[TrialRecord]
    interned: Mapping[int, Interned]
    next: int | None
    seq: int


class Reading:
    """Reads one database under snapshots; never waits for a writer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def trial(self, study_id: int, number: int) -> Page:
        """The trial, alone on its page. Raises TrialNotFound."""
        async with self._database.reading() as connection:
            page = await _page(connection, study_id, [number])
        if not page.records:
            raise TrialNotFound(f"the study has no trial {number}")
        return page

    async def trials(self, study_id: int, which: Which, limit: int) -> Page:
        """Those trials, at most so many; `next` continues where there may be more. Raises as `Which.check`."""
        async with self._database.reading() as connection:
            numbers = await trials.page(connection, study_id, which, limit)
            page = await _page(connection, study_id, [])
            records: list[TrialRecord] = []
            async for rows in load_rows(connection, study_id, numbers):
                records += await aside(rows.records)
        which.check(page.seq)
        return replace(page, records=records, next=numbers[-1] if len(numbers) == limit else None)

    async def columns(self, study_id: int, which: Which, limit: int) -> TrialColumns:
        """State, values and parameters of those trials, at most so many; `next` as in `trials`."""
        async with self._database.reading() as connection:
            rows = await load_params(connection, study_id, which, limit)
        which.check(rows.seq)
        return await aside(trial_columns, rows)

    async def all_columns(self, study_id: int, which: Which) -> AsyncGenerator[TrialColumns]:
        """All of those trials, some thousand at a time; each page is one moment, and there is at least one.

        While one is looked at the next is read already. No connection is held in between, so a slow reader starves
        nobody. Raises as `Which.check`, before the first page.
        """
        ahead = asyncio.create_task(self._whole_page(study_id, which))
        try:
            while True:
                page = await asyncio.shield(ahead)
                if page.next is None:
                    yield page
                    return
                ahead = asyncio.create_task(self._whole_page(study_id, which.beyond(page.next)))
                yield page
        finally:
            # A reader that leaves breaks no connection: what was begun ends by itself.
            await asyncio.gather(ahead, return_exceptions=True)

    async def _whole_page(self, study_id: int, which: Which) -> TrialColumns:
        async with self._database.reading() as connection:
            rows = await load_page(connection, study_id, which)
        which.check(rows.seq)
        return await aside(trial_columns, rows)

    async def best(self, study_id: int) -> Page:
        """The best trial, alone on its page. Raises NoCompleteTrial, and Invalid for several objectives."""
        async with self._database.reading() as connection:
            study = await studies.by_id(connection, study_id)
            if study is None:
                raise StudyNotFound("there is no such study; it may have been made on another database")
            if len(study.directions) > 1:
                raise Invalid("a study of several objectives has no single best trial")
            number = await trials.best(connection, study_id, study.signs[0])
            if number is None:
                raise NoCompleteTrial("no trial is complete with a finite value and feasible yet")
            return await _page(connection, study_id, [number])


async def _page(connection: Driver, study_id: int, numbers: list[int]) -> Page:
    delta = await load_trials(connection, study_id, numbers)
    interned = {row.id: row for row in delta.interned}
    visible = [record for record in delta.records if not record.trial.deleted]
    return Page(records=visible, interned=interned, next=None, seq=delta.clock.seq)
