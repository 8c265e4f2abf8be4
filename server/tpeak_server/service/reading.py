"""Reading trials: one, pages of them, the best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tpeak_server.domain.errors import DatabaseUnavailable, Invalid, NoCompleteTrial, StudyNotFound, TrialNotFound
from tpeak_server.domain.trial import Interned, TrialRecord
from tpeak_server.storage import studies, trials
from tpeak_server.storage.database import Database, Driver
from tpeak_server.storage.history import load_trials


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

    async def trials(
        self,
        study_id: int,
        *,
        after: int = -1,
        limit: int,
        states: Sequence[str] | None = None,
        since_seq: int | None = None,
        min_seq: int = 0,
    ) -> Page:
        """Trials above the number `after`, in order; `next` continues where there may be more.

        Raises DatabaseUnavailable where what is read ends before `min_seq`: a standby that lags behind.
        """
        async with self._database.reading() as connection:
            numbers = await trials.page(
                connection, study_id, after=after, limit=limit, states=states, since_seq=since_seq
            )
            page = await _page(connection, study_id, numbers, numbers[-1] if len(numbers) == limit else None)
        if page.seq < min_seq:
            raise DatabaseUnavailable(f"the study is read at seq {page.seq}, before {min_seq}; try again")
        return page

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


async def _page(connection: Driver, study_id: int, numbers: list[int], following: int | None = None) -> Page:
    delta = await load_trials(connection, study_id, numbers)
    interned = {row.id: row for row in delta.interned}
    visible = [record for record in delta.records if not record.trial.deleted]
    return Page(records=visible, interned=interned, next=following, seq=delta.clock.seq)
