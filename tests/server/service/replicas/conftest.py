"""A storm: two replicas on one database, and workers that send them random commands, in their turn, late or twice."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest

from tpeak_server.domain.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from tpeak_server.domain.errors import DomainError, TrialNotFound
from tpeak_server.domain.trial import FINAL, TrialState
from tpeak_server.service.asking import Issued
from tpeak_server.service.batcher import Batcher
from tpeak_server.service.commands import (
    Action,
    Add,
    Added,
    Ask,
    ChangeStudy,
    ChangeTrial,
    Command,
    Control,
    ControlStudy,
    Delete,
    Heartbeat,
    Release,
    ReportSteps,
    SetAttrs,
    Step,
    Suggest,
    Tell,
)
from tpeak_server.service.explaining import Explained, Explaining
from tpeak_server.service.history import History
from tpeak_server.service.loading import load_history
from tpeak_server.service.reading import Reading
from tpeak_server.service.reaper import Reaper
from tpeak_server.service.studies import NewStudy, Studies
from tpeak_server.storage.database import Database

TABLES = ("study_clocks", "trials", "leases", "reports", "suggestions", "events", "late_results", "hosts")
X = FloatDistribution(low=0.0, high=1.0)
LATE = {
    "x": FloatDistribution(low=0.5, high=2.0),
    "depth": IntDistribution(low=1, high=9),
    "k": CategoricalDistribution(choices=("a", None, 1)),
}
WORKERS = 8
COMMANDS_EACH = 250
REMEMBERED = 25
"""How many of the latest leases are still heard of: some of them ended long ago."""

WEIGHTS = {
    "ask": 25,
    "report": 25,
    "tell": 24,
    "suggest": 8,
    "beat": 5,
    "release": 10,
    "add": 3,
    "attrs": 5,
    "change": 1,
    "repeat": 12,
    "act": 10,
    "delete": 3,
    "control": 1,
}
"""How often each thing is said."""

LEASE_S = 10.0
BUDGET = 10_000
"""More than is ever handed out: what is given back shows in the clock's `handed`."""


class Replica:
    """What one server has of the study."""

    def __init__(self, database_url: str, study_id: int, executor: ThreadPoolExecutor) -> None:
        self.database = Database(database_url)
        self.batcher = Batcher(study_id, self.database, executor)
        self.reading = Reading(self.database)
        self.reaper = Reaper(self.database, lambda _, command: self.batcher.submit(command))


@dataclass
class Storm:
    """What was sent and answered, what is stored, and what each replica and a fresh one has in its cache."""

    sampler: str
    answers: list[tuple[Command, Any]] = field(default_factory=list)
    unfinished_after_tell: list[int] = field(default_factory=list)
    retried: set[int] = field(default_factory=set)
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    caches: list[History] = field(default_factory=list)
    explained: list[Explained] = field(default_factory=list)

    def answered(self, kind: type[Command]) -> Iterator[tuple[Any, Any]]:
        """The commands of one kind that were acknowledged, and how."""
        return ((c, answer) for c, answer in self.answers if isinstance(c, kind) and not isinstance(answer, Exception))

    def tried_again(self, number: int) -> bool:
        """Whether somebody had the trial tried again, or may just be doing so."""
        return number in self.retried

    def issued(self) -> list[Issued]:
        return [trial for _, asked in self.answered(Ask) for trial in asked.trials]


@pytest.fixture(scope="module", params=[(1, "tpe"), (2, "tpe"), (3, "auto")], ids=str)
def storm(database_url: str, request: pytest.FixtureRequest) -> Storm:
    seed, sampler = request.param
    return asyncio.run(asyncio.wait_for(_play(database_url, seed, sampler), 120))


async def _play(database_url: str, seed: int, sampler: str) -> Storm:
    storm, rng = Storm(sampler), random.Random(seed)
    with ThreadPoolExecutor(2) as executor, psycopg.connect(database_url, autocommit=True) as sql:
        database = Database(database_url)
        settings = {
            "sampler": {"name": sampler},
            "lease_seconds": LEASE_S,
            "max_attempts": 2,
            "max_trials": BUDGET,
            "max_host_failures": 2,
            "pruner": {"name": "median", "n_startup_trials": 3},
        }
        new = NewStudy(request_id="storm", name=f"storm {seed}", settings=settings, load_if_exists=False)
        study_id = (await Studies(database).create(new)).study.id
        _move(sql, 0.0)
        replicas = [Replica(database_url, study_id, executor) for _ in range(2)]
        await replicas[0].reaper.tick()
        await asyncio.gather(*(_worker(storm, replicas, study_id, sql, rng) for _ in range(WORKERS)))
        for replica in replicas:
            storm.caches.append(await _caught_up(replica))
        async with database.reading() as connection:
            storm.caches.append(await load_history(connection, study_id))
        explaining = Explaining(database)
        visible = sql.execute(
            "SELECT number FROM trials WHERE study_id = %s AND NOT deleted ORDER BY number", [study_id]
        )
        storm.explained = [await explaining.explain(study_id, number) for (number,) in visible.fetchall()]
        storm.rows = {table: _table(sql, table, study_id) for table in TABLES}
        for one in (database, *(replica.database for replica in replicas)):
            await one.close()
    return storm


async def _worker(storm: Storm, replicas: list[Replica], study_id: int, sql: Any, rng: random.Random) -> None:
    for _ in range(COMMANDS_EACH):
        replica = rng.choice(replicas)
        if rng.random() < 0.1:
            # One look for each step of time, none of which is long enough for an amnesty.
            _move(sql, rng.uniform(0.5, LEASE_S / 4))
            await replica.reaper.tick()
            continue
        command = _command(storm, rng)
        if isinstance(command, ChangeTrial) and command.action is Action.RETRY:
            storm.retried.add(command.number)
        try:
            answer = await replica.batcher.submit(command)
        except DomainError as error:
            answer = error
        storm.answers.append((command, answer))
        if isinstance(command, Tell) and not isinstance(answer, Exception):
            await _look(storm, rng.choice(replicas), study_id, command, answer)


async def _look(storm: Storm, replica: Replica, study_id: int, command: Tell, answer: Any) -> None:
    """Notes the trial if it is unfinished though a result was acknowledged, and nobody tried it again since."""
    try:
        page = await replica.reading.trial(study_id, command.number)
    except TrialNotFound:
        return
    found = page.records[0].trial
    if answer.state in FINAL and found.state not in FINAL and not storm.tried_again(command.number):
        storm.unfinished_after_tell.append(command.number)


def _command(storm: Storm, rng: random.Random) -> Command:
    """Anything that a worker may say, in its turn or late, or once more."""
    key = f"key {rng.getrandbits(64)}"
    recent = storm.issued()[-REMEMBERED:]
    kind = rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
    if kind == "ask" or not recent:
        host, wall_time_s = rng.choice([None, "good", "bad", "bad"]), rng.choice([None, None, None, 1.0])
        return Ask(
            request_id=key,
            worker="storm",
            count=rng.randint(1, 3),
            distributions={"x": X},
            host=host,
            wall_time_s=wall_time_s,
        )
    if kind == "control":
        # Most of the time the study is open.
        control = rng.choice([*Control, *[Control.RESUME] * 8])
        return ControlStudy(request_id=key, control=control)
    if kind == "repeat":
        return rng.choice(storm.answers[-4 * REMEMBERED :])[0]
    if kind == "add":
        done = Added(state=TrialState.COMPLETE, values=(rng.random(),), params={"x": 0.5}, distributions={"x": X})
        return Add(request_id=key, trials=(Added(params={"x": rng.random()}, distributions={"x": X}), done))
    if kind == "change":
        return ChangeStudy(request_id=key, settings={"note": key})
    newest = {trial.lease.number: trial.lease.epoch for trial in recent}
    overtaken = [trial for trial in recent if trial.lease.epoch < newest[trial.lease.number]]
    late = kind == "tell" and overtaken and rng.random() < 0.5
    if kind == "delete":
        return Delete(number=rng.choice(recent).lease.number)
    number, lease = (held := rng.choice(overtaken if late else recent).lease).number, held.token
    if kind == "attrs":
        return SetAttrs(request_id=key, number=number, user_attrs={rng.choice("ab"): rng.random()})
    if kind == "report":
        value = rng.choice([rng.random(), float("nan"), float("inf"), -0.0])
        used = rng.choice([None, ("x",), ("x", "depth")])
        step = rng.randint(0, 5)
        made = Step(step=step, values=(value,), cost=None if step % 3 == 0 else 0.125 * step)
        return ReportSteps(number=number, lease=lease, steps=(made,), used=used)
    if kind == "suggest":
        name = rng.choice(list(LATE))
        return Suggest(number=number, lease=lease, name=name, distribution=LATE[name])
    if kind == "beat":
        return Heartbeat(number=number, lease=lease)
    if kind == "release":
        return Release(number=number, lease=lease, checkpoint=rng.choice([None, "place"]))
    if kind == "act":
        action = rng.choice(list(Action))
        # One retry there must be. Each changes the history of all proposals that saw the trial, so the rest is chance.
        if action is Action.RETRY and not any(c.action is Action.RETRY for c, _ in storm.answered(ChangeTrial)):
            failed = [c.number for c, answer in storm.answered(Tell) if answer.state is TrialState.FAILED]
            number = rng.choice(failed[-REMEMBERED:] or [number])
        return ChangeTrial(request_id=key, number=number, action=action)
    state = rng.choice([TrialState.COMPLETE, TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAILED])
    if held.host == "bad":
        state = TrialState.FAILED
    values = (rng.random(),) if state is TrialState.COMPLETE else None
    retry = state is TrialState.FAILED and rng.random() < 0.5
    return Tell(number=number, lease=lease, state=state, values=values, retry=retry)


async def _caught_up(replica: Replica) -> History:
    """The replica's cache after it has looked at the database once more."""
    with pytest.raises(DomainError):
        await replica.batcher.submit(Heartbeat(number=10**6, lease="nobody's"))
    assert replica.batcher.history is not None
    return replica.batcher.history


def _move(sql: Any, seconds: float) -> None:
    """Moves the clock of the database, which stands still at all other times."""
    ((now,),) = sql.execute("SELECT tpeak_now()").fetchall()
    then = f"timestamptz ''{now.isoformat()}'' + interval ''{seconds:f} s''"
    sql.execute(f"CREATE OR REPLACE FUNCTION tpeak_now() RETURNS timestamptz LANGUAGE sql VOLATILE AS 'SELECT {then}'")


def _table(sql: Any, table: str, study_id: int) -> list[dict[str, Any]]:
    cursor = sql.execute(f"SELECT * FROM {table} WHERE study_id = %s", [study_id])
    names = [column.name for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
