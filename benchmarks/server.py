"""A server for a benchmark: `tpeak_server serve` on its own embedded PostgreSQL, on loopback."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tpeak_server.supervisor.account import postgres_account
from tpeak_server.supervisor.directory import DataDirectory
from tpeak_server.supervisor.postgres import Postgres

START_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where the server listens, and what opens it."""

    host: str
    port: int
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A server under test, by its supervisor's process id, and the PostgreSQL below it."""

    address: Address
    database_url: str
    pid: int


@contextmanager
def server() -> Iterator[Running]:
    """A fresh server, gone at the end."""
    folder = Path(tempfile.mkdtemp(prefix="tpeak-bench-"))
    try:
        with serving(folder) as running:
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def serving(folder: Path, processes: int = 1) -> Iterator[Running]:
    """A server of so many processes on the data directory, which stays."""
    connect_file = folder / "connect.json"
    connect_file.unlink(missing_ok=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TPEAK_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "tpeak_server", "serve", "--port", "0", "--data-dir", str(folder),
         "--connect-file", str(connect_file), "--processes", str(processes)],
        stdout=subprocess.DEVNULL, env=environment,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + START_S
        while not connect_file.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the server did not start; its messages are above")
            time.sleep(0.05)
        postgres = Postgres(DataDirectory(folder), postgres_account())
        yield Running(address=address_of(connect_file), database_url=postgres.url, pid=process.pid)
    finally:
        process.terminate()
        process.wait(40)


def address_of(connect_file: Path) -> Address:
    """The address in a connect file."""
    content = json.loads(connect_file.read_text())
    host, _, port = content["url"].rpartition("//")[2].partition(":")
    return Address(host=host, port=int(port), token=content["token"])
