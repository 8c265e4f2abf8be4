"""Why a trial has the parameters that it has: its proposal drawn again, and what lies near."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tpeak_server.domain.distributions import Distribution
from tpeak_server.domain.errors import Overloaded
from tpeak_server.domain.observations import Outcome
from tpeak_server.domain.trial import Interned, TrialRecord
from tpeak_server.samplers.nearest import distances
from tpeak_server.samplers.registry import build
from tpeak_server.samplers.replay import Drawn, Replay, not_drawn, replay
from tpeak_server.samplers.seam import Stream, walks
from tpeak_server.service.past import Moment, Rebuilding, numbered
from tpeak_server.storage.database import Database
from tpeak_server.storage.history import load_trials
from tpeak_server.storage.past import Past, events, parts, read

NEAREST = 5

MAX_EXPLAINING = 8
"""Explanations that may be under way: one at a time holds the columns of a whole study, the others wait for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Late:
    """A parameter that came after the ask: enqueued, or sampled with the names `given` fixed already."""

    name: str
    seq: int
    origin: str
    given: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """A trial that had finished by then, and how far its parameters are, in ranges."""

    record: TrialRecord
    distance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """All that is known about how a trial came by its parameters; `sampler` is the study's, as of now.

    `seen` and `pending` are how many trials its proposal was made in sight of: finished ones, and others;
    `warm` how many of other studies, which the study began with.
    """

    record: TrialRecord
    interned: Mapping[int, Interned]
    sampler: str
    replay: Replay
    notes: Sequence[str]
    seen: int
    warm: int
    pending: int
    late: Sequence[Late]
    nearest: Sequence[Neighbour]
    seq: int


class Explaining:
    """Explains trials of one database, one at a time: never from a cache, and in nobody's way."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._turn = asyncio.Lock()
        self._under_way = 0

    async def explain(self, study_id: int, number: int) -> Explained:
        """Why the trial is as it is. Raises StudyNotFound, TrialNotFound and Overloaded."""
        if self._under_way >= MAX_EXPLAINING:
            raise Overloaded(f"{MAX_EXPLAINING} explanations are under way on this server; try again later")
        self._under_way += 1
        try:
            async with self._turn:
                return await self._explain(study_id, number)
        finally:
            self._under_way -= 1

    async def _explain(self, study_id: int, number: int) -> Explained:
        async with self._database.reading() as connection:
            past = await read(connection, study_id, number)
            rebuilding = Rebuilding(past)
            async for page in events(connection, past):
                await asyncio.to_thread(rebuilding.take_events, page)
            async for part in parts(connection, past, whole=rebuilding.few()):
                await asyncio.to_thread(rebuilding.take, part)
        then = rebuilding.moment()
        apart = await asyncio.to_thread(_nearest, past, then)
        async with self._database.reading() as connection:
            found = await load_trials(connection, study_id, list(apart))
        there = [one for one in found.records if not one.trial.deleted]
        nearest = [Neighbour(record=one, distance=apart[one.trial.number]) for one in there]
        return await asyncio.to_thread(_explained, past, then, sorted(nearest, key=lambda one: one.distance))


def _explained(past: Past, then: Moment, nearest: Sequence[Neighbour]) -> Explained:
    record = then.current
    proposed = {past.interned[i].name: (i, value) for i, value in record.trial.proposed.items()}
    space = _space(past, proposed)
    sampler = build(past.study.sampler)
    view, pending = then.view(space, walks=walks(sampler)), then.pending(space)
    drawn = Drawn(
        view=view,
        space=space,
        pending=pending,
        stream=Stream(past.study.seed, past.number),
        values={name: value for name, (_, value) in proposed.items()},
        version=record.trial.sampler_version or "",
        changed=then.changed,
        doubtful=then.doubtful,
    )
    return Explained(
        record=record,
        interned=past.interned,
        sampler=str(past.study.sampler["name"]),
        replay=_elsewhere(then) or replay(sampler, drawn),
        notes=[f"deleted since: {numbered(then.gone)}"] if then.gone else [],
        seen=len(view.numbers),
        warm=0 if view.warm is None else len(view.warm.source),
        pending=max((len(column) for column in pending.values()), default=0),
        late=_late(then, list(proposed)),
        nearest=nearest,
        seq=past.clock.seq,
    )


def _elsewhere(then: Moment) -> Replay | None:
    """What is to be said of a proposal that this study has not drawn, None of any other."""
    if then.imported:
        return not_drawn("it was imported: what it was drawn from is another study's")
    if then.current.trial.sampled_at_seq is None:
        return not_drawn(f"it was {then.current.trial.origin}")
    return None


def _space(past: Past, known: Mapping[str, tuple[int, float]]) -> dict[str, Distribution]:
    return {name: past.interned[distribution_id].distribution for name, (distribution_id, _) in known.items()}


def _late(then: Moment, given: Sequence[str]) -> list[Late]:
    late, known = [], sorted(given)
    for one in then.late:
        enqueued = one.name in then.current.trial.fixed and then.current.trial.sampled_at_seq is None
        origin = "enqueued" if enqueued else "sampled"
        others = tuple(name for name in known if name != one.name)
        late.append(Late(name=one.name, seq=one.seq, origin=origin, given=() if origin == "enqueued" else others))
        known = sorted({*known, one.name})
    return late


def _nearest(past: Past, then: Moment) -> dict[int, float]:
    """The distances, by number, of the nearest trials that had finished when the proposal was made, and are there."""
    known = then.current.known(past.interned)
    space = _space(past, known)
    view = then.history.view(space)
    ended = (view.outcome == Outcome.COMPLETE) | (view.outcome == Outcome.PRUNED)
    there = np.flatnonzero(ended & ~np.isin(view.numbers, then.gone))
    columns = {name: column[there] for name, column in view.columns.items()}
    apart = distances(space, columns, len(there), {name: value for name, (_, value) in known.items()})
    nearest = np.argsort(apart, kind="stable")[:NEAREST]
    return {int(view.numbers[there[row]]): float(apart[row]) for row in nearest}
