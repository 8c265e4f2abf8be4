"""What brings each planted bug to light: short plays for two servers, which break nothing where there is no bug."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.play import LEASE_S, Play
from tests.chaos.proxy import LATE_S, Odds
from tests.chaos.stage import Actor
from tests.chaos.virtual import Habits, VirtualWorker

HELD_S = 1.6
"""How long a play holds a study's lock: less than the server's patience with one."""
UNANSWERED = 3
"""How many of its asks a real client must do without an answer to."""


async def ask_twice(play: Play) -> None:
    study = await play.study()
    for server in (0, 1, 0):
        await play.ask(study, "one key", server)


async def zombie(play: Play) -> None:
    """A worker falls silent, another one gets its trial, and the first one comes back with a failure."""
    study = await play.study()
    first = await play.trial(study, "first")
    for turn in range(60):
        await asyncio.sleep(0.1)
        if turn > 20 and (await play.wire(0).send("GET", f"{study}/trials/0")).reply["state"] == "waiting":
            break
    await play.trial(study, "second", 1)
    await play.of(study, first, "tell", state="failed", error="late")


async def saved_at_the_last_moment(play: Play) -> None:
    """The lease is overdue, its worker's heartbeat waits for the lock, and the reaper behind it."""
    study = await play.study()
    trial = await play.trial(study, "one")
    await asyncio.sleep(LEASE_S - 0.6)
    async with play.held(study):
        beat = asyncio.create_task(play.of(study, trial, "heartbeat", 1))
        await asyncio.sleep(HELD_S)
    await beat
    await asyncio.sleep(0.3)


async def crash_of_the_database(play: Play) -> None:
    """PostgreSQL crashes at the very moment that a result is acknowledged."""
    study = await play.study(lease_seconds=60.0)
    postgres = play.cluster.postgres
    # What nobody waits for is written late: 0.2 s is the default, which a crash may just miss.
    play.cluster.sql("ALTER SYSTEM SET wal_writer_delay = '10s'")
    play.cluster.sql("SELECT pg_reload_conf()")
    for turn in range(6):
        trial = await play.trial(study, f"ask {turn}")
        wire = play.wire(0)
        for step in range(10):
            body = {"lease": trial["lease"], "reports": [{"step": step, "values": [0.5]}]}
            await wire.send("POST", f"{study}/trials/{trial['number']}/report", body)
        pid = postgres.postmaster()
        assert pid is not None, "a PostgreSQL that runs"
        os.kill(pid, signal.SIGQUIT)
        while postgres.postmaster() is not None:
            await asyncio.sleep(0.02)
        await asyncio.to_thread(postgres.start)
        await asyncio.gather(*(server.ready() for server in play.cluster.servers))
        await wire.insist("POST", f"{study}/trials/{trial['number']}/heartbeat", {"lease": trial["lease"]})


async def two_asks_at_once(play: Play) -> None:
    """An ask through each server, both held up until both are there."""
    study = await play.study()
    async with play.held(study):
        asks = [asyncio.create_task(play.ask(study, f"ask {server}", server)) for server in (0, 1)]
        await play.waiting(2)
    await asyncio.gather(*asks)


async def crowd(play: Play) -> None:
    """Workers of both servers at once, for two seconds."""
    study = await play.study()
    stop = asyncio.Event()
    habits = Habits(lease_s=LEASE_S, think_s=0.0, zombie=0.0, vanish=0.0)
    workers = [
        VirtualWorker(play.wire(n % 2, f"crowd-{n}"), [(study.rpartition("/")[2], 1.0)], habits, play.dice)
        for n in range(8)
    ]
    tasks = [asyncio.create_task(worker.run(stop)) for worker in workers]
    await asyncio.sleep(2.0)
    stop.set()
    await asyncio.gather(*tasks)


async def late_commit(play: Play) -> None:
    """A COMMIT takes its time; whoever is told that the result is there must find it."""
    study = await play.study(lease_seconds=60.0)
    trial = await play.trial(study, "one")
    # Enough of them for the reaper's, too.
    play.cluster.databases[0].at_commit += ["late COMMIT"] * 5
    tell = asyncio.create_task(play.tell(study, trial, 1.0))
    await asyncio.wait([tell], timeout=LATE_S / 2)
    await play.wire(1).send("GET", f"{study}/trials/{trial['number']}")
    await tell
    play.cluster.databases[0].at_commit.clear()


async def real_worker(play: Play) -> None:
    """A real client, which gets no answer to many of its requests."""
    study = await play.study(lease_seconds=4.0)
    order = {
        "urls": play.cluster.urls[:1], "token": play.cluster.token, "seed": 1, "workers": 1, "think_s": 0.02,
        "studies": [(await play.wire(0).send("GET", study)).reply["name"]], "kill_every_s": 1000.0, "timeout_s": 1.0,
        "deadline_s": 20.0, "mutant": play.cluster.mutant,
    }  # fmt: skip
    front = play.cluster.fronts[0]
    worker = Actor("workers", play.cluster.folder, order)
    await worker.start()
    try:
        front.odds = Odds(lost_reply=0.3)
        async with asyncio.timeout(30.0):
            while _unanswered_asks(play.cluster.folder) < UNANSWERED:
                await asyncio.sleep(0.1)
        front.odds = Odds()
        await worker.go_on()
        await worker.go_on()
        await worker.said(30.0)
    finally:
        worker.end()


def _unanswered_asks(folder: Path) -> int:
    """How many asks of real workers have got no answer so far, by their histories."""
    asks: set[str] = set()
    unanswered = 0
    for file in folder.glob("history-worker-*.jsonl"):
        # What follows the last line's end is being written.
        for line in file.read_text().split("\n")[:-1]:
            entry = json.loads(line)
            if entry["type"] == "invoke" and entry["path"].endswith("/ask"):
                asks.add(entry["id"])
            unanswered += entry["type"] == "unknown" and entry["id"] in asks
    return unanswered


async def through_both(play: Play) -> None:
    """One server has looked at the database, and then a trial that it knows as running is told through the other."""
    study = await play.study(lease_seconds=60.0)
    first = await play.trial(study, "one")
    second = await play.trial(study, "two", 1)
    await play.trial(study, "three")
    await play.of(study, second, "report", 1, reports=[{"step": 0, "values": [1.0]}])
    await play.tell(study, first, 1.0)


async def lease_behind_a_lock(play: Play) -> None:
    """An ask waits for the lock: its lease begins when it is written."""
    study = await play.study()
    await play.trial(study, "one")
    async with play.held(study):
        ask = asyncio.create_task(play.ask(study, "two"))
        await asyncio.sleep(HELD_S)
    await ask


async def both_servers_stopped(play: Play) -> None:
    """Nobody can renew for two leases: nobody's trial may be taken for that."""
    study = await play.study()
    for turn in range(3):
        await play.trial(study, f"ask {turn}")
    await asyncio.sleep(0.6)
    for server in play.cluster.servers:
        server.signal(signal.SIGSTOP)
    await asyncio.sleep(2 * LEASE_S)
    for server in play.cluster.servers:
        server.signal(signal.SIGCONT)
    await asyncio.sleep(1.5)


async def report_again_later(play: Play) -> None:
    """A report was no reason to prune; sent again, after better trials have ended, it still is none."""
    study = await play.study(lease_seconds=60.0, pruner={"name": "median", "n_startup_trials": 1})
    trial = await play.trial(study, "one")
    await play.report(study, trial, 5.0)
    for turn in range(3):
        better = await play.trial(study, f"better {turn}")
        await play.report(study, better, 0.1)
        await play.tell(study, better, 0.1)
    await play.report(study, trial, 5.0)
    await play.report(study, trial, 5.0, 1)


async def another_report(play: Play) -> None:
    study = await play.study()
    trial = await play.trial(study, "one")
    for value in (1.0, 2.0, 1.0):
        await play.report(study, trial, value)


async def another_result(play: Play) -> None:
    study = await play.study()
    trial = await play.trial(study, "one")
    for value in (1.0, 2.0, 1.0):
        await play.tell(study, trial, value)


async def last_of_the_budget(play: Play) -> None:
    """Six ask at once, through both servers, for what is left of the budget."""
    study = await play.study(max_trials=3, lease_seconds=60.0)
    for server in (0, 1):
        await play.trial(study, f"first of {server}", server)
    async with play.held(study):
        asks = [asyncio.create_task(play.ask(study, f"ask {n}", n % 2)) for n in range(6)]
        await play.waiting(2)
    await asyncio.gather(*asks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A bug, the play that shows it, and the invariants of which at least one must be broken."""

    bug: str
    play: Callable[[Play], Awaitable[None]]
    invariants: frozenset[str]
    in_client: bool = False


CASES = [
    Case(bug="no request key", play=ask_twice, invariants=frozenset({"I2", "I11"})),
    Case(bug="no epoch check", play=zombie, invariants=frozenset({"I8"})),
    Case(bug="reaper without recheck", play=saved_at_the_last_moment, invariants=frozenset({"I19"})),
    Case(bug="asynchronous commit", play=crash_of_the_database, invariants=frozenset({"I2", "I4", "I6"})),
    Case(bug="max(number) + 1", play=two_asks_at_once, invariants=frozenset({"I1", "I2", "I17"})),
    Case(bug="no study lock", play=crowd, invariants=frozenset({"I2", "I7", "I17"})),
    Case(bug="reply before commit", play=late_commit, invariants=frozenset({"I18"})),
    Case(bug="client retry without key", play=real_worker, invariants=frozenset({"I11"}), in_client=True),
    Case(bug="cache cursor by id", play=through_both, invariants=frozenset({"I15"})),
    Case(bug="transaction time for clock time", play=lease_behind_a_lock, invariants=frozenset({"I19"})),
    Case(bug="no amnesty", play=both_servers_stopped, invariants=frozenset({"I19"})),
    Case(bug="prune decided again", play=report_again_later, invariants=frozenset({"I14"})),
    Case(bug="report overwritten", play=another_report, invariants=frozenset({"I6"})),
    Case(bug="tell hash ignored", play=another_result, invariants=frozenset({"I5"})),
    Case(bug="budget checked outside the lock", play=last_of_the_budget, invariants=frozenset({"I21"})),
]
