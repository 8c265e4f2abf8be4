"""The chaos stage: `python -m tests.chaos.stage [--short] [--seed N] [--seconds S]`.

PostgreSQL, two servers, and workers that never give up, while everything is killed, stopped and cut; then the checker.
It prints the seed and what happened. Where it fails, it leaves the evidence and says where.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import uvloop

from tests.chaos.cluster import Cluster, clean, cluster, make_postgres
from tests.chaos.proxy import Odds
from tests.chaos.schedule import CALM, GROUPS, SHORT_GROUPS, Faults, plan, write_plan

REAL_STUDIES: dict[str, dict[str, Any]] = {"real": {"max_attempts": 3}, "real budget": {"max_trials": 300}}
"""Where the real workers work."""

STOP_S = 30.0
FINISH_S = 120.0
"""How long load and workers may take to stop, and to drain."""

EXTRA_S = 110.0
CALM_THINK_S = 30.0
"""How long virtual workers think once nothing is broken: some 60 requests a second, with load, servers, PostgreSQL and
the proxies between them on two cores. What the service does then is what a user sees; the storm shows what is left of
it at the machine's limit."""

LAG_S = 0.05
"""Time between two looks at how late this process is woken: what else the machine has to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How large a run is; it goes on, for EXTRA_S at most, until there were so many `requests`."""

    seconds: float
    virtual_workers: int
    real_workers: int
    worker_kills: int
    cuts: int
    stop_s: float
    calm_s: float
    groups: Sequence[Sequence[str]]
    requests: int = 0
    odds: Odds = field(default_factory=lambda: Odds(lost_request=0.08, lost_reply=0.08, duplicate=0.08, delayed=0.05))
    habits: dict[str, float] = field(default_factory=dict)


FULL = Profile(
    seconds=180.0, virtual_workers=500, real_workers=20, worker_kills=104, cuts=60, stop_s=12.0, calm_s=40.0,
    groups=GROUPS, requests=95_000,
    habits={"think_s": 1.05},
)  # fmt: skip
SHORT = Profile(
    seconds=24.0, virtual_workers=100, real_workers=4, worker_kills=8, cuts=12, stop_s=5.0, calm_s=3.0,
    groups=SHORT_GROUPS,
    habits={"think_s": 0.4, "zombie": 0.1},
)  # fmt: skip


class Actor:
    """A process that says JSON and is told to go on by a line."""

    def __init__(self, module: str, folder: Path, order: dict[str, Any]) -> None:
        self._module, self._folder, self._order = module, folder, order

    async def start(self) -> None:
        log = (self._folder / f"{self._module}.log").open("ab")
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", f"tests.chaos.{self._module}", str(self._folder), env=clean(),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
        )  # fmt: skip
        await self.go_on(json.dumps(self._order))

    async def go_on(self, line: str = "") -> None:
        assert self.process.stdin is not None, "a pipe"
        self.process.stdin.write(line.encode() + b"\n")
        await self.process.stdin.drain()

    async def said(self, patience_s: float) -> dict[str, Any]:
        """The next thing it says. Raises RuntimeError where it has ended or says nothing."""
        assert self.process.stdout is not None, "a pipe"
        line = await asyncio.wait_for(self.process.stdout.readline(), patience_s)
        if not line:
            raise RuntimeError(f"{self._module} ended early; see {self._folder / self._module}.log")
        found: dict[str, Any] = json.loads(line)
        return found

    def end(self) -> None:
        if self.process.returncode is None:
            self.process.kill()


async def storm(servers: Cluster, profile: Profile, seed: int) -> list[str]:
    """Load and faults, the draining, and what is at rest; troubles that no history shows."""
    dice, folder = random.Random(seed), servers.folder
    faults = plan(dice, profile.seconds, profile.groups, profile.cuts)
    write_plan(folder / "plan.txt", seed, faults)
    common = {"urls": servers.urls, "token": servers.token}
    load = Actor("load", folder, {
        **common, "seed": dice.random(), "workers": profile.virtual_workers, "habits": profile.habits,
        "extra": REAL_STUDIES, "calm_think_s": CALM_THINK_S,
    })  # fmt: skip
    real = Actor("workers", folder, {
        **common, "seed": dice.random(), "workers": profile.real_workers, "studies": list(REAL_STUDIES),
        "kill_every_s": profile.seconds / profile.worker_kills, "think_s": 0.3, "timeout_s": 3.0, "deadline_s": 6.0,
    })  # fmt: skip
    lags: list[float] = []
    try:
        await load.start()
        await load.said(STOP_S)  # the studies are there
        await real.start()
        for front in servers.fronts:
            front.odds = profile.odds
        lag = asyncio.create_task(note_lag(lags))
        breaking = Faults(servers, dice, stop_s=profile.stop_s)
        began = time.monotonic()
        await breaking.run(faults)
        while (left_s := began + profile.seconds - time.monotonic()) > 0 or (
            left_s > -EXTRA_S and sum(front.requests for front in servers.fronts) < profile.requests
        ):
            await asyncio.sleep(0.5)
        await load.go_on()
        calm_from = time.time()
        await asyncio.sleep(profile.calm_s)
        note_calm(folder, calm_from)
        lag.cancel()
        await settle(servers)
        await real.go_on()
        await load.go_on()
        zombies = (await load.said(STOP_S))["zombies"]
        await real.go_on()
        left = (await real.said(FINISH_S))["left"]
        await load.go_on()
        await load.said(FINISH_S)
    finally:
        for actor in (load, real):
            actor.end()
    lag_ms = int(1000 * sorted(lags)[int(0.99 * len(lags))])
    seen = {"zombies": zombies, "results left in the spool": left, "p99 lag of the machine, ms": lag_ms}
    await note_rest(servers, seen, drained=True)
    return breaking.troubles + ([f"{left} results were left in the spool"] if left else [])


def note_calm(folder: Path, start: float) -> None:
    """Notes, among the faults, when there was none and the load was light."""
    calm = {"kind": CALM, "start": start, "end": time.time(), "target": None}
    (folder / "faults-none.jsonl").write_text(json.dumps(calm) + "\n")


async def note_lag(lags: list[float]) -> None:
    """Notes how late this process is woken, in seconds, until it is cancelled."""
    while True:
        before = time.monotonic()
        await asyncio.sleep(LAG_S)
        lags.append(time.monotonic() - before - LAG_S)


async def settle(servers: Cluster) -> None:
    """Nothing goes wrong from here on."""
    for front in servers.fronts:
        front.odds = Odds()
    for database in servers.databases:
        database.at_commit.clear()
    await asyncio.gather(*(server.ready() for server in servers.servers))


async def note_rest(servers: Cluster, seen: dict[str, int], *, drained: bool) -> None:
    """Writes down what each replica's cache holds, and what proxies and workers counted."""
    at, caches = time.time() if drained else None, await caches_of(servers)
    counts: Counter[str] = Counter(seen)
    for proxy in (*servers.fronts, *servers.databases):
        counts.update(proxy.counts)
    for server, database in zip(servers.servers, servers.databases, strict=True):
        counts[f"connections of server {server.name}"] = database.links
    rest = {"at": at, "replicas": len(servers.servers), "caches": caches, "seen": counts}
    (servers.folder / "rest.json").write_text(json.dumps(rest))
    marks = "\n".join(mark for front in servers.fronts for mark in front.interfered)
    (servers.folder / "interfered.txt").write_text(marks)


async def caches_of(servers: Cluster) -> list[dict[str, Any]]:
    """What each replica holds of each study."""
    _, body = await servers.servers[0].get("/api/v1/studies?limit=1000")
    query = "&".join(f"study={study['id']}" for study in json.loads(body)["studies"])
    caches = []
    for server in servers.servers:
        _, body = await server.get(f"/chaos/caches?{query}")
        caches += [{**cache, "replica": server.name} for cache in json.loads(body)]
    return caches


async def run(profile: Profile, seed: int, *, full: bool) -> int:
    """The whole stage; the exit code."""
    base = Path(tempfile.mkdtemp(prefix="tpeak-chaos-", dir="/tmp"))
    base.chmod(0o711)
    print(f"chaos: seed {seed}, {profile.seconds:.0f} s, {profile.virtual_workers} + {profile.real_workers} workers",
          flush=True)  # fmt: skip
    code = 1
    postgres = await asyncio.to_thread(make_postgres, base / "data")
    try:
        async with cluster(base / "evidence", postgres, "chaos", seed) as servers:
            troubles = await storm(servers, profile, seed)
            command = [sys.executable, "-m", "tests.chaos.check", str(servers.folder), servers.sql_url]
            checking = await asyncio.create_subprocess_exec(*command, "--full" if full else "--counters", env=clean())
            code = await checking.wait() or int(bool(troubles))
            for trouble in troubles:
                print(f"NOT AS IT SHOULD BE: {trouble}")
    finally:
        await asyncio.to_thread(postgres.stop)
        if code == 0:
            shutil.rmtree(base, ignore_errors=True)
        else:
            print(f"chaos: FAILED with seed {seed}; the evidence is in {base}", flush=True)
    if code == 0:
        print(f"chaos: passed with seed {seed}")
    return code


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.stage", description="The chaos stage.")
    parser.add_argument("--short", action="store_true", help="a minute of it, without bars for times")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--seconds", type=float, default=None, help="how long things go wrong")
    given = parser.parse_args(arguments)
    profile = SHORT if given.short else FULL
    if given.seconds is not None:
        profile = scaled(profile, given.seconds)
    seed = secrets.randbelow(2**31) if given.seed is None else given.seed
    return uvloop.run(run(profile, seed, full=not given.short))


def scaled(profile: Profile, seconds: float) -> Profile:
    """The same faults over another time."""
    return replace(profile, seconds=seconds)


if __name__ == "__main__":
    sys.exit(main())
