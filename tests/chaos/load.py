"""The load: many virtual workers in one light process, and the draining at the end.

`python -m tests.chaos.load FOLDER < ORDER`: the order is a line of JSON; a second line on stdin makes the load light, a
third one ends it; then all that is left in the studies is asked for and told. What it prints is JSON too.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import uvloop

from tests.chaos.control import Controller
from tests.chaos.history import GroupRecorder
from tests.chaos.virtual import SPACE, Habits, VirtualWorker
from tests.chaos.wire import Wire

PRUNER = {"name": "median", "n_startup_trials": 3}

STUDIES: dict[str, tuple[float, dict[str, Any]]] = {
    "tpe": (1.0, {"pruner": PRUNER}),
    "largest": (3.0, {"sampler": {"name": "random"}, "directions": ["maximize"], "pruner": PRUNER, "max_attempts": 2}),
    "plain": (8.0, {"sampler": {"name": "random"}, "pruner": {"name": "nop"}}),
    "one attempt": (2.0, {"sampler": {"name": "random"}, "pruner": PRUNER, "max_attempts": 1}),
    "budget": (2.0, {"max_trials": 200, "pruner": PRUNER}),
    "larger budget": (2.0, {"max_trials": 1500, "sampler": {"name": "random"}, "max_attempts": 2}),
    "controlled": (1.0, {"sampler": {"name": "random"}, "pruner": PRUNER, "max_attempts": 2}),
    "hosts": (0.5, {"sampler": {"name": "random"}, "max_host_failures": 3, "max_trials": 3000}),
    "seldom": (0.15, {"sampler": {"name": "random"}}),
}
"""How often workers choose a study, and its settings. Where few come, expired trials wait for long."""

STOP_S = 20.0
"""How long workers may take to come to their end; who is silent then stays so."""

DRAIN_S = 60.0


async def main(folder: Path) -> None:
    """Makes the studies, lets the workers work, drains."""
    stdin = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin)
    order = json.loads(await stdin.readline())
    dice = random.Random(order["seed"])
    recorder = GroupRecorder(folder / "history-load.jsonl")
    habits = Habits(**order["habits"])

    def wire(name: str) -> Wire:
        return Wire(name, order["urls"], order["token"], recorder, random.Random(dice.random()))

    studies = await make_studies(wire("maker"), habits.lease_s, order["extra"])
    _say({"studies": {name: study for name, study, _ in studies}})
    stop = asyncio.Event()
    chosen = [(study, weight) for _, study, weight in studies if weight]
    workers = [
        VirtualWorker(wire(f"virtual-{n}"), chosen, habits, random.Random(dice.random()))
        for n in range(order["workers"])
    ]
    controller = Controller(
        wire("controller"), [study for name, study, _ in studies if name == "controlled"], random.Random(dice.random())
    )
    tasks = [asyncio.create_task(worker.run(stop)) for worker in [*workers, controller]]
    await _told(stdin)
    for worker in workers:
        worker.slow_down(order["calm_think_s"])
    await _told(stdin)
    stop.set()
    _, late = await asyncio.wait(tasks, timeout=STOP_S)
    for task in late:
        task.cancel()
    for task, outcome in zip(tasks, await asyncio.gather(*tasks, return_exceptions=True), strict=True):
        if isinstance(outcome, Exception) and task not in late:
            raise outcome
    _say({"zombies": sum(worker.zombies for worker in workers)})
    await _told(stdin)
    await drain(wire("drain"), [study for _, study, _ in studies], habits.lease_s)
    await recorder.flush()
    _say({"drained": time.time()})


async def make_studies(wire: Wire, lease_s: float, extra: dict[str, Any]) -> list[tuple[str, str, float]]:
    """(name, id, weight) of the studies; `extra` ones are for others, and get no virtual workers."""
    wanted = {**STUDIES, **{name: (0.0, settings) for name, settings in extra.items()}}
    found = []
    for name, (weight, settings) in wanted.items():
        body = {"request_id": f"make {name}", "name": name, "lease_seconds": lease_s, "max_host_failures": None}
        made = await wire.insist("POST", "/studies", {**body, **settings})
        found.append((name, made.reply["study"]["id"], weight))
    return found


async def drain(wire: Wire, studies: Sequence[str], lease_s: float) -> None:
    """Asks for all that waits, and tells it, until every study is at rest; then reads the best trials."""
    deadline = time.monotonic() + DRAIN_S
    for study in studies:
        path = f"/studies/{study}"
        while time.monotonic() < deadline:
            waiting = await _numbers(wire, path, "waiting")
            running = await _numbers(wire, path, "running")
            handed = await _ask(wire, path, min(waiting, 200), f"{study}-{time.time()}") if waiting else []
            if not handed and not running:
                break
            if not handed:
                await asyncio.sleep(lease_s / 8)
            for trial in handed:
                result = {"lease": trial["lease"], "state": "complete", "values": [1.0]}
                await wire.insist("POST", f"{path}/trials/{trial['number']}/tell", result)
    for study in studies:
        for _ in range(2):
            await wire.insist("GET", f"/studies/{study}/best")
            wire.hop()


async def _numbers(wire: Wire, path: str, state: str) -> int:
    page = await wire.insist("GET", f"{path}/trials?state={state}&limit=1000&form=columns")
    return len(page.reply["number"])


async def _ask(wire: Wire, path: str, count: int, key: str) -> list[dict[str, Any]]:
    body = {"request_id": f"drain-{key}", "worker": wire.worker, "count": count, "distributions": SPACE}
    asked = await wire.insist("POST", f"{path}/ask", body)
    trials: list[dict[str, Any]] = asked.reply["trials"] if asked.ok else []
    return trials


async def _told(stdin: asyncio.StreamReader) -> None:
    """Returns when a line came; where nobody is left to say so, this process ends."""
    if not await stdin.readline():
        sys.exit(1)


def _say(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1])))
