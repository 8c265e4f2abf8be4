"""Studies as a whole: create, find, list, archive."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tpeak_server.domain.errors import RequestIdReused, StudyExists, StudyNotFound
from tpeak_server.domain.study import Direction, Study, to_path
from tpeak_server.domain.warm import WarmSource, WarmTrial
from tpeak_server.pruners.agreement import check_objective
from tpeak_server.pruners.registry import resolve as resolve_pruner
from tpeak_server.samplers.agreement import check_objectives, check_space
from tpeak_server.samplers.registry import resolve as resolve_sampler
from tpeak_server.service.warming import warmed
from tpeak_server.storage import studies
from tpeak_server.storage.database import Database, Driver
from tpeak_server.storage.studies import StudyCounts

COMPARED = (
    "directions",
    "sampler",
    "pruner",
    "space",
    "seed",
    "max_trials",
    "timeout_s",
    "lease_seconds",
    "max_attempts",
    "max_host_failures",
    "late_results",
    "stop_when",
    "warm_start",
)
"""Settings that a second creator of a study may contradict, and is told so."""

__all__ = ["Created", "NewStudy", "Studies", "StudyCounts", "resolved"]

SEED_BITS = 53
"""Bits of a seed that is drawn here: what every JSON reader keeps exact."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewStudy:
    """What a study is to be; `settings` holds only the fields that were given."""

    request_id: str
    name: str
    settings: Mapping[str, Any]
    load_if_exists: bool

    def fingerprint(self) -> bytes:
        """A hash of the content, without the request id."""
        text = json.dumps([self.name, self.load_if_exists, self.settings], sort_keys=True, default=_plain)
        return hashlib.blake2b(text.encode(), digest_size=16).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A setting that was given and is stored otherwise."""

    field: str
    stored: Any
    asked: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """The study, whether this request made it, and where it is not what was asked for."""

    study: Study
    counts: StudyCounts
    created: bool
    differences: tuple[Difference, ...] = ()


class Studies:
    """The studies of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, new: NewStudy) -> Created:
        """Makes the study, or loads the one of that name. Raises StudyExists and RequestIdReused."""
        wanted, trials = await warmed(self._database, _wanted(new))
        made = await self._database.transaction(lambda connection: _create(connection, new, wanted, trials))
        study, counts = await self.get(made[0].id)
        if made[1]:
            return Created(study=study, counts=counts, created=True)
        return Created(study=study, counts=counts, created=False, differences=_differences(study, wanted, new.settings))

    async def get(self, study_id: int) -> tuple[Study, StudyCounts]:
        """The study with its counts. Raises StudyNotFound."""
        async with self._database.reading() as connection:
            study = await studies.by_id(connection, study_id)
            if study is None:
                raise StudyNotFound("there is no such study; it may have been made on another database")
            return study, (await studies.counts(connection, [study_id]))[study_id]

    async def named(self, name: str) -> list[tuple[Study, StudyCounts]]:
        """The one unarchived study of this name, or none."""
        async with self._database.reading() as connection:
            study = await studies.by_name(connection, name)
            found = [] if study is None else [study]
            return await _with_counts(connection, found)

    async def page(self, after: str | None, limit: int) -> list[tuple[Study, StudyCounts]]:
        """Unarchived studies by name."""
        async with self._database.reading() as connection:
            return await _with_counts(connection, await studies.page(connection, after, limit))


def resolved(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with sampler and pruner checked and filled with defaults. Raises Invalid."""
    full = dict(settings)
    if "sampler" in full:
        full["sampler"] = resolve_sampler(full["sampler"])
    if "pruner" in full:
        full["pruner"] = resolve_pruner(full["pruner"])
    return full


def _wanted(new: NewStudy) -> Study:
    defaults: dict[str, Any] = {
        "directions": (Direction.MINIMIZE,),
        "sampler": {"name": "auto"},
        "pruner": {"name": "median"},
        "seed": secrets.randbits(SEED_BITS),
    }
    settings = resolved({**defaults, **new.settings})
    check_space(settings["sampler"], settings.get("space"))
    check_objectives(settings["sampler"], len(settings["directions"]))
    check_objective(settings["pruner"], len(settings["directions"]))
    if settings.get("stop_when") is not None:
        settings["stop_when"].check(len(settings["directions"]))
    # The sign bit stays clear: ids are positive bigints.
    return Study(id=secrets.randbits(63), name=new.name, **settings)


async def _create(connection: Driver, new: NewStudy, wanted: Study, trials: Sequence[WarmTrial]) -> tuple[Study, bool]:
    """The study of the name, and whether this request made it, now or in an earlier try."""
    if await studies.create(connection, wanted, trials, new.request_id, new.fingerprint()):
        return wanted, True
    stored = await studies.by_name(connection, new.name)
    if stored is None:
        # The name was freed after the claim was refused: the next run of the transaction can have it.
        return await _create(connection, new, wanted, trials)
    earlier = await studies.created_with(connection, stored.id, new.request_id)
    if earlier is not None and earlier != new.fingerprint():
        raise RequestIdReused("this request_id made the study with other settings; use a new one", where="/request_id")
    if earlier is None and not new.load_if_exists:
        raise StudyExists(
            f"there is a study named {new.name!r} already; load it, or choose another name", where="/name"
        )
    return stored, earlier is not None


def _differences(stored: Study, wanted: Study, given: Mapping[str, Any]) -> tuple[Difference, ...]:
    pairs = ((field, getattr(stored, field), getattr(wanted, field)) for field in COMPARED if field in given)
    return tuple(
        Difference(field=field, stored=_shown(have), asked=_shown(want)) for field, have, want in pairs if have != want
    )


def _shown(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_shown(item) for item in value]
    if isinstance(value, Mapping):
        return {name: item.spec() if hasattr(item, "spec") else item for name, item in value.items()}
    if isinstance(value, WarmSource):
        return {"study": to_path(value.study), "params": dict(value.params), "weight": value.weight}
    return value.spec() if hasattr(value, "spec") else value


async def _with_counts(connection: Driver, found: Sequence[Study]) -> list[tuple[Study, StudyCounts]]:
    counts = await studies.counts(connection, [study.id for study in found])
    return [(study, counts[study.id]) for study in found]


def _plain(value: Any) -> Any:
    return value.spec()
