"""What a new study learns from others: read from each in a snapshot of its own, and copied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tpeak_server.domain.errors import Invalid, StudyNotFound, pointer
from tpeak_server.domain.observations import Floats, Outcome, View
from tpeak_server.domain.study import Direction, Study
from tpeak_server.domain.trial import Interned, TrialRecord
from tpeak_server.domain.warm import WarmSource, WarmTrial
from tpeak_server.samplers.tpe.split import ranking
from tpeak_server.storage import studies, warm
from tpeak_server.storage.database import Database, Driver
from tpeak_server.storage.history import load_trials

BEST = 100
NEWEST = 300
"""Trials that are taken of a source: the best, which show where to look, and of the others the newest, which lie around
them, as its own search had come to know the space."""


async def warmed(database: Database, study: Study) -> tuple[Study, Sequence[WarmTrial]]:
    """The study with all that is known of its sources, and their trials. Raises StudyNotFound and Invalid."""
    sources, trials = [], []
    for index, wanted in enumerate(study.warm_start):
        where = f"/warm_start/{index}"
        if any(wanted.study == other.study for other in study.warm_start[:index]):
            raise Invalid("this study is named twice", where=f"{where}/study")
        async with database.reading() as connection:
            source, taken = await _taken(connection, wanted, index, study.directions, where)
        sources.append(source)
        trials += taken
    return replace(study, warm_start=tuple(sources)), trials


async def _taken(
    connection: Driver, wanted: WarmSource, index: int, directions: Sequence[Direction], where: str
) -> tuple[WarmSource, list[WarmTrial]]:
    found = await studies.by_id(connection, wanted.study)
    if found is None:
        raise StudyNotFound("there is no such study to start from", where=f"{where}/study")
    if len(found.directions) != len(directions):
        raise Invalid(
            f"study {found.name!r} has {len(found.directions)} objective(s), this one {len(directions)}",
            where=f"{where}/study",
        )
    known = await warm.names(connection, wanted.study)
    for name, there in wanted.params.items():
        if there not in known:
            raise Invalid(f"no trial of study {found.name!r} has {there!r}", where=where + pointer(["params", name]))
    order, numbers = _ranked(await warm.complete(connection, wanted.study), found.signs)
    chosen = _chosen(order)
    delta = await load_trials(connection, wanted.study, [int(numbers[at]) for at in chosen])
    rank = dict(zip(numbers[order].tolist(), range(len(order)), strict=True))
    interned = {one.id: one for one in delta.interned}
    trials = [
        WarmTrial(
            source=index,
            number=record.trial.number,
            rank=rank[record.trial.number],
            params=_renamed(record, interned, wanted.params),
        )
        for record in delta.records
    ]
    return replace(wanted, name=found.name, seen=len(order), trials=len(trials)), trials


def _ranked(
    rows: Sequence[tuple[int, list[float], list[float] | None]], signs: Sequence[float]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The complete trials from best to worst, as indices into their numbers."""
    numbers = np.array([row[0] for row in rows], dtype=np.int64)
    loss = np.array([row[1] for row in rows], dtype=np.float64).reshape(len(rows), len(signs)) * signs
    view = View(
        seq=0,
        numbers=numbers,
        outcome=np.full(len(rows), Outcome.COMPLETE, dtype=np.int8),
        loss=loss,
        last_step=np.full(len(rows), -1),
        last_loss=np.full(len(rows), np.nan),
        violation=_violations([row[2] for row in rows]),
        columns={},
    )
    return ranking(view), numbers


def _violations(constraints: Sequence[list[float] | None]) -> Floats:
    return np.array([np.nansum(np.maximum(row, 0.0)) if row else 0.0 for row in constraints])


def _chosen(order: NDArray[np.int64]) -> NDArray[np.int64]:
    """The indices of the trials that are taken, of all from best to worst."""
    return np.concatenate([order[:BEST], np.sort(order[BEST:])[-NEWEST:]])


def _renamed(record: TrialRecord, interned: Mapping[int, Interned], params: Mapping[str, str]) -> dict[str, Any]:
    values = {
        name: interned[distribution_id].distribution.to_external(value)
        for name, (distribution_id, value) in record.params(interned).items()
    }
    own = {name: value for name, value in values.items() if name not in {*params, *params.values()}}
    return own | {name: values[there] for name, there in params.items() if there in values}
