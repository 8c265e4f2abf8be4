"""Studies with many finished trials: made once and copied for every run, so that no run finds what another one left."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from cycles.cycle import loss
from cycles.wire import Connection
from server import Address, Running, serving

BATCH = 250
"""Finished trials a request: a body of less than 1 MiB."""

PATHS_FILE = "studies.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """A database with so many studies, each of so many complete trials with so many float parameters."""

    trials: int
    params: int = 10
    studies: int = 1

    @property
    def label(self) -> str:
        """What its folder is called."""
        return f"{self.studies}x{self.trials}x{self.params}"


class Seeds:
    """The data directories of the seeds, made when they are first asked for and kept below `home`; a copy is served by
    so many processes.
    """

    def __init__(self, home: Path, processes: int = 1) -> None:
        self._home = home
        self._processes = processes
        home.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def served(self, seed: Seed) -> Iterator[tuple[Running, list[str]]]:
        """A server that has just started, on a copy that goes away, and its studies' paths; the names are "seeded-0"
        and so on.
        """
        made = self._made(seed)
        folder = Path(tempfile.mkdtemp(prefix="tpeak-bench-"))
        try:
            _copy(made / "data", folder)
            with serving(folder, self._processes) as running:
                yield running, json.loads((made / PATHS_FILE).read_text())
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _made(self, seed: Seed) -> Path:
        place, new = self._home / seed.label, self._home / f"{seed.label}-{uuid.uuid4().hex}"
        if not place.exists():
            folder = Path(tempfile.mkdtemp(prefix="tpeak-bench-"))
            try:
                with serving(folder) as running:
                    paths = asyncio.run(add_studies(running.address, seed))
                    with psycopg.connect(running.database_url, autocommit=True) as connection:
                        connection.execute("VACUUM ANALYZE")  # which would else come in the middle of a run
                new.mkdir()
                _copy(folder, new / "data")
            finally:
                shutil.rmtree(folder, ignore_errors=True)
            (new / PATHS_FILE).write_text(json.dumps(paths))
            new.rename(place)
        return place


async def add_studies(address: Address, seed: Seed) -> list[str]:
    """The paths of new studies with complete trials of a random bowl."""
    connection = await Connection(address).open()
    try:
        return [await _add_study(connection, f"seeded-{number}", seed) for number in range(seed.studies)]
    finally:
        connection.close()


async def _add_study(connection: Connection, name: str, seed: Seed) -> str:
    dice = random.Random(name)
    names = [f"x{number}" for number in range(seed.params)]
    space = {name: {"type": "float", "low": 0.0, "high": 1.0} for name in names}
    created = await connection.post("/studies", {"request_id": uuid.uuid4().hex, "name": name})
    study = f"/studies/{created['study']['id']}"
    for first in range(0, seed.trials, BATCH):
        trials = []
        for _ in range(min(BATCH, seed.trials - first)):
            params = {name: dice.random() for name in names}
            trials.append({"state": "complete", "params": params, "distributions": space, "values": [loss(params)]})
        await connection.post(f"{study}/trials", {"request_id": uuid.uuid4().hex, "trials": trials})
    return study


def _copy(source: Path, target: Path) -> None:
    """Copies the folder's content with its owners, and waits until the disk has it: that would slow down a run."""
    target.mkdir(mode=0o700, exist_ok=True)
    subprocess.run(["cp", "-a", f"{source}/.", str(target)], check=True)
    os.sync()
