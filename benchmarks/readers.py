"""What it takes to read all of a study: seconds, MB on the wire, and how long others wait meanwhile.

    python benchmarks/readers.py [--runs 5] [--trials 100000] [--params 10] [--reports 1] [--seeds FOLDER] [--json FILE]

Every run has a server that has just started, and readers one after the other: of the packed columns, as a dashboard
takes them; of the same trials as JSON numbers, page by page (`form=columns`); and the client's `get_trials`, which asks
for packed columns, until it returns, and until values, parameters, reports and times of every trial were looked at.
Another process asks for trials of another study all the while. Each trial has been told by a worker, with so many
reports and times of its own. PostgreSQL, server and readers share the machine.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path

import httpx
import psycopg

import tpeak
from cycles.figures import quantile
from cycles.seeding import Seed, Seeds
from machine import commits_per_s
from memory import peak_mib
from report import spread, table, versions, write_json
from server import Running

PAGE = 10_000
"""Trials a request of `form=columns`, the most that the server gives."""

PROCESSES = multiprocessing.get_context("spawn")
"""Who asks is a process of its own: a reader would keep its interpreter to itself."""

ASK_EVERY_S = 0.02
SPACE = {"x": {"type": "float", "low": 0.0, "high": 1.0}}

TITLES = {
    "columns": "packed columns",
    "json_columns": "form=columns, page by page",
    "get_trials": "get_trials",
    "get_trials_used": "get_trials, all fields used",
    "idle": "nobody reads",
}

LEASES = """
INSERT INTO leases (study_id, number, epoch, token, worker, request_id, ordinal, request_hash, used, live, ended,
    issued_at, expires_at)
SELECT study_id, number, 1, number::text, 'w', number::text, 0, '', ARRAY(
    SELECT name FROM distributions WHERE distributions.study_id = trials.study_id ORDER BY id), false, 'told',
    created_at, created_at
FROM trials
"""
TOLD = """
UPDATE trials SET epoch = 1, told_epoch = 1, started_at = created_at + number * interval '1 s' * random(),
    finished_at = created_at + number * interval '1 s' * (1 + random())
"""
REPORTS = """
INSERT INTO reports (study_id, number, epoch, step, values, seq, prune)
SELECT study_id, number, 1, step, ARRAY[random()], 0, false FROM trials, generate_series(1, %s) AS step
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """One reading: seconds, MB on the wire (None: not counted), and the ms that asks took meanwhile."""

    seconds: float
    mb: float | None
    asks_ms: Sequence[float]


class Readers:
    """The readers of one study of a running server. They raise RuntimeError where they do not get all its trials."""

    def __init__(self, running: Running, path: str, trials: int) -> None:
        url = f"http://{running.address.host}:{running.address.port}"
        self.headers = {"Authorization": f"Bearer {running.address.token}"}
        self._api = httpx.Client(base_url=f"{url}/api/v1", headers=self.headers, timeout=120)
        self._path = path
        self._trials = trials
        os.environ["TPEAK_TOKEN"] = running.address.token
        self._study = tpeak.load_study(study_name="seeded-0", storage=url)

    def columns(self) -> float:
        """Reads the packed columns, and gives MB as all readers do that count them."""
        with self._api.stream("GET", f"{self._path}/columns") as reply:
            content = b"".join(reply.iter_bytes())
            self._check(sum(1 for line in content.splitlines() if json.loads(line)["seq"]), least=1)
            return reply.num_bytes_downloaded / 1e6

    def json_columns(self) -> float:
        """Reads pages of columns."""
        after: int | None = -1
        mb, trials = 0.0, 0
        while after is not None:
            query = {"form": "columns", "limit": PAGE, "after": after}
            with self._api.stream("GET", f"{self._path}/trials", params=query) as reply:
                page = json.loads(reply.read())
                mb += reply.num_bytes_downloaded / 1e6
            trials += len(page["number"])
            after = page["next"]
        self._check(trials, self._trials)
        return mb

    def get_trials(self) -> None:
        """The client's call."""
        self._check(len(self._study.get_trials()), self._trials)

    def get_trials_used(self) -> None:
        """The client's call, and what a reader does with the trials."""
        found = [
            (trial.value, trial.params, trial.intermediate_values, trial.duration) for trial in self._study.get_trials()
        ]
        self._check(len(found), self._trials)

    def idle(self) -> None:
        """Reads nothing, for as long as a reader may take."""
        time.sleep(1.5)

    @contextmanager
    def asking(self) -> Iterator[list[float]]:
        """Asks for trials of another study within this, and keeps how many ms each took."""
        name = uuid.uuid4().hex
        body = {"request_id": name, "name": name, "sampler": {"name": "random"}}
        other = self._api.post("/studies", json=body).raise_for_status().json()["study"]["id"]
        found: list[float] = []
        ready, ended, (ours, theirs) = PROCESSES.Event(), PROCESSES.Event(), PROCESSES.Pipe(duplex=False)
        url = f"{self._api.base_url}studies/{other}/ask"
        asker = PROCESSES.Process(target=ask, args=(url, self.headers, ready, ended, theirs), daemon=True)
        asker.start()
        ready.wait()
        try:
            yield found
        finally:
            ended.set()
            found += ours.recv()
            asker.join()

    def _check(self, found: int, least: int) -> None:
        if found < least:
            raise RuntimeError(f"{found} came of {least}")


def ask(url: str, headers: dict[str, str], ready: Event, ended: Event, found: Connection) -> None:
    """Asks every now and then until it is over, and sends the ms that each ask took from when it was ready on."""
    times: list[float] = []
    with httpx.Client(headers=headers, timeout=120) as client:
        while not ended.wait(ASK_EVERY_S):
            body = {"request_id": uuid.uuid4().hex, "worker": "w", "distributions": SPACE}
            began = time.perf_counter()
            client.post(url, json=body).raise_for_status()
            if ready.is_set():
                times.append(1000 * (time.perf_counter() - began))
            ready.set()
    found.send(times)


def main() -> int:
    """Measures and prints; the exit code."""
    given = _arguments()
    reads: dict[str, list[Read]] = {name: [] for name in TITLES}
    memory, commits = [], []
    with tempfile.TemporaryDirectory() as temporary:
        seeds = Seeds(given.seeds or Path(temporary))
        for _ in range(given.runs):
            with seeds.served(Seed(trials=given.trials, params=given.params)) as (running, (path,)):
                live(running.database_url, given.reports)
                commits.append(commits_per_s(running.database_url))
                readers = Readers(running, path, given.trials)
                before = peak_mib(running.pid)
                readers.get_trials()  # what is read for the first time comes from the disk
                for name, runs in reads.items():
                    runs.append(_read(readers, getattr(readers, name)))
                memory.append(peak_mib(running.pid) - before)
    _show(given, reads, memory, commits)
    if given.json:
        write_json(given.json, named(reads) | {"reader_memory_mib": ("MiB", memory)})
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="reading all of a study")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--trials", type=int, default=100_000)
    parser.add_argument("--params", type=int, default=10)
    parser.add_argument("--reports", type=int, default=1, help="of each trial")
    parser.add_argument("--seeds", type=Path, metavar="FOLDER", help="keeps the seeded database for the next time")
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args()


def live(database_url: str, reports: int) -> None:
    """Gives the seed's trials what they would have from a worker."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(LEASES)
        connection.execute(TOLD)
        connection.execute(REPORTS, (reports,))
        connection.execute("VACUUM ANALYZE")


def _read(readers: Readers, reader: Callable[[], float | None]) -> Read:
    with readers.asking() as asks:
        began = time.perf_counter()
        mb = reader()
        seconds = time.perf_counter() - began
    return Read(seconds=seconds, mb=mb, asks_ms=asks)


def named(reads: dict[str, list[Read]]) -> dict[str, tuple[str, Sequence[float]]]:
    """The figures by their names: seconds, MB where they were counted, and the asks' median and slowest in ms."""
    found: dict[str, tuple[str, Sequence[float]]] = {}
    for name, runs in reads.items():
        found[f"{name}_s"] = "s", [run.seconds for run in runs]
        mb = [run.mb for run in runs if run.mb is not None]
        if mb:
            found[f"{name}_mb"] = "MB", mb
        found[f"{name}_ask_p50_ms"] = "ms", [quantile(run.asks_ms, 0.5) for run in runs]
        found[f"{name}_ask_max_ms"] = "ms", [max(run.asks_ms) for run in runs]
    return found


def _show(
    given: argparse.Namespace, reads: dict[str, list[Read]], memory: Sequence[float], commits: Sequence[float]
) -> None:
    figures = named(reads)
    rows = []
    for name, title in TITLES.items():
        mb = spread(figures[f"{name}_mb"][1], ".2f") if f"{name}_mb" in figures else ""
        asks = [spread(figures[f"{name}_ask_{which}_ms"][1], ".0f") for which in ("p50", "max")]
        rows.append([title, spread(figures[f"{name}_s"][1], ".2f"), mb, *asks])
    title = f"{given.trials:,} trials x {given.params} floats, {given.reports} report(s) each; {given.runs} runs"
    print(table(title, ["", "s", "MB", "ask p50 ms", "slowest ask ms"], rows))
    print(f"the server's process grew by {spread(memory, '.0f')} MiB")
    print(f"one client's INSERT + COMMIT/s: {spread(commits, '.0f')}")
    print(versions("tpeak", "httpx", "uvicorn", "psycopg", "numpy"))


if __name__ == "__main__":
    sys.exit(main())
