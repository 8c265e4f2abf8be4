"""The server's studies: create, load, delete, list."""

from __future__ import annotations

import uuid
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from tpeak.connection import Connection, Storage, connect
from tpeak.distributions import Distribution, specs
from tpeak.errors import InvalidValue, StudyExists, StudyNotFound
from tpeak.pruners import Pruner
from tpeak.routes import StudyRoutes
from tpeak.samplers import Sampler
from tpeak.states import StudyDirection
from tpeak.stopping import StopWhen
from tpeak.study import Study
from tpeak.warm import WarmStart
from tpeak.wire import plain, settings_out


def create_study(
    *,
    storage: Storage = None,
    sampler: Sampler | None = None,
    pruner: Pruner | None = None,
    study_name: str | None = None,
    direction: str | StudyDirection | None = None,
    load_if_exists: bool = False,
    directions: Sequence[str | StudyDirection] | None = None,
    max_trials: int | None = None,
    timeout: float | None = None,
    lease_seconds: float | None = None,
    max_attempts: int | None = None,
    space: Mapping[str, Distribution] | None = None,
    user_attrs: dict[str, Any] | None = None,
    tags: Sequence[str] | None = None,
    note: str | None = None,
    max_host_failures: int | None = None,
    late_results: Literal["accept", "refuse"] | None = None,
    stop_when: StopWhen | None = None,
    warm_start: Sequence[Study | str | WarmStart] | None = None,
) -> Study:
    """A new study on the server at the URL `storage`, or, with `load_if_exists`, the one of that name.

    `max_trials` and `timeout` (seconds from the first ask) bound the study over all its workers. A worker that is
    silent for `lease_seconds` loses its trial to another, at most `max_attempts` times a trial; where `late_results`
    are "refuse", a result that it still brings does not count. A host on which `max_host_failures` trials in a row
    fail within seconds pauses. The study ends by itself as `stop_when` says. `space` declares parameters in advance.
    It begins with what the studies in `warm_start`, or their names, have found.
    What is left out is the server's default: the AutoSampler, the median pruner, "minimize". Where the study was there
    with other settings they stand, and a warning names each. Raises StudyExists, ValueError for settings that
    contradict each other, ServerUnreachable, Unauthorized.
    """
    settings = {
        "name": f"no-name-{uuid.uuid4()}" if study_name is None else study_name,
        "directions": _directions(direction, directions),
        "sampler": None if sampler is None else settings_out(sampler, "sampler"),
        "seed": None if sampler is None else sampler.seed,
        "pruner": None if pruner is None else settings_out(pruner, "pruner"),
        "max_trials": max_trials,
        "timeout_s": timeout,
        "lease_seconds": lease_seconds,
        "max_attempts": max_attempts,
        "max_host_failures": max_host_failures,
        "late_results": late_results,
        "stop_when": None if stop_when is None else stop_when.wire(),
        "space": None if space is None else specs(space),
        "user_attrs": None if user_attrs is None else plain(user_attrs),
        "tags": None if tags is None else list(tags),
        "note": note,
    }
    given = {name: value for name, value in settings.items() if value is not None}
    keys = {"request_id": uuid.uuid4().hex, "if_exists": "load" if load_if_exists else "error"}
    connection = connect(storage)
    if warm_start is not None:
        given["warm_start"] = [_warm(connection, source) for source in warm_start]
    try:
        reply = connection.client.post("/studies", given | keys)
    except StudyExists:
        raise StudyExists(
            f"{connection.client.url} has a study named {study_name!r} already: load_if_exists=True goes on with it, "
            "another study_name makes a new one"
        ) from None
    for difference in reply["differences"]:
        _warn_of_difference(reply["study"]["name"], **difference)
    return Study(connection, reply["study"])


def load_study(
    *,
    study_name: str | None,
    storage: Storage = None,
    sampler: Sampler | None = None,
    pruner: Pruner | None = None,
) -> Study:
    """The study of that name, or the only one that there is if the name is None.

    A study keeps the sampler and pruner that it was created with: a warning says where others are given here. Raises
    StudyNotFound, a KeyError, and InvalidValue, a ValueError, where no name is given and there is not exactly one.
    """
    connection = connect(storage)
    if study_name is None:
        names = get_all_study_names(connection)
        if len(names) != 1:
            raise InvalidValue(f"{connection.client.url} has {len(names)} studies; say which one with study_name")
        study_name = names[0]
    study = _find(connection, study_name)
    for field, settings in (("sampler", sampler), ("pruner", pruner)):
        if settings is None:
            continue
        asked = settings_out(settings, field)
        if _differ(asked, study[field], getattr(settings, "defaults", {})):
            _warn_of_difference(study_name, field, study[field], asked)
    return Study(connection, study)


def delete_study(*, study_name: str, storage: Storage = None) -> None:
    """Archive the study: its name is free again. Raises StudyNotFound, a KeyError."""
    connection = connect(storage)
    study = _find(connection, study_name)
    connection.client.request("DELETE", f"/studies/{study['id']}")


def pause_study(*, study_name: str, storage: Storage = None) -> None:
    """Have the study hand out no trials until `resume_study`. Raises StudyNotFound, a KeyError."""
    _control("pause", study_name, storage)


def stop_study(*, study_name: str, storage: Storage = None) -> None:
    """End the study once its running trials are through: workers get no more. Raises StudyNotFound, a KeyError."""
    _control("stop", study_name, storage)


def cancel_study(*, study_name: str, storage: Storage = None) -> None:
    """Stop the study, and have its running trials ended: their `should_prune` says so. Raises StudyNotFound."""
    _control("cancel", study_name, storage)


def resume_study(*, study_name: str, storage: Storage = None) -> None:
    """Open a paused or stopped study again. Raises StudyNotFound, a KeyError."""
    _control("resume", study_name, storage)


def get_all_study_names(storage: Storage = None) -> list[str]:
    """The names of all studies on the server."""
    client = connect(storage).client
    names: list[str] = []
    query: dict[str, str | int | Sequence[str]] = {"limit": 100}
    while True:
        page = client.get("/studies", query)
        names += [study["name"] for study in page["studies"]]
        if page["next"] is None:
            return names
        query["after"] = page["next"]


def _control(verb: str, name: str, storage: Storage) -> None:
    connection = connect(storage)
    StudyRoutes(connection.client, _find(connection, name)["id"]).control(verb)


def _find(connection: Connection, name: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = connection.client.get("/studies", {"name": name})["studies"]
    if not found:
        raise StudyNotFound(f"{connection.client.url} has no study named {name!r}")
    return found[0]


def _directions(
    direction: str | StudyDirection | None, directions: Sequence[str | StudyDirection] | None
) -> list[str] | None:
    if direction is not None and directions is not None:
        raise InvalidValue("give direction or directions, not both")
    given = [direction] if direction is not None else directions
    if given is None:
        return None
    if isinstance(given, str) or not given:
        raise InvalidValue(f"directions must be a list of 'minimize' and 'maximize', got {given!r}")
    words = [str(getattr(each, "name", each)).lower() for each in given]  # Optuna's own members have these names too
    if not set(words) <= set(StudyDirection):
        raise InvalidValue(f"a direction is 'minimize' or 'maximize', got {words!r}")
    return words


def _warm(connection: Connection, source: Study | str | WarmStart) -> dict[str, Any]:
    """A study to learn from, as the wire has it. Raises StudyNotFound."""
    given = source if isinstance(source, WarmStart) else WarmStart(source)
    study = given.study
    study_id = _find(connection, study)["id"] if isinstance(study, str) else study._id
    wire: dict[str, Any] = {"study": study_id}
    if given.params:
        wire["params"] = dict(given.params)
    return wire if given.weight == 1.0 else {**wire, "weight": given.weight}


def _differ(asked: dict[str, Any], stored: dict[str, Any], defaults: Mapping[str, Any]) -> bool:
    """Whether a setting is another one; what is left out on either side has its default."""
    known = {**defaults, **stored}
    return any(known.get(name, value) != value for name, value in {**defaults, **asked}.items())


def _warn_of_difference(name: str, field: str, stored: Any, asked: Any) -> None:
    warnings.warn(f"study {name!r} keeps its {field} {stored!r}; {asked!r} was asked for", stacklevel=3)
