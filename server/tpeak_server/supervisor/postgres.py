"""The embedded PostgreSQL: made, started, adopted, stopped. Whoever uses this holds the data directory's lock."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

from tpeak_server.supervisor.account import Account
from tpeak_server.supervisor.directory import DataDirectory
from tpeak_server.supervisor.processes import command_of
from tpeak_server.supervisor.programs import MAJOR, programs
from tpeak_server.supervisor.refusals import Refused
from tpeak_server.supervisor.socket_folder import PORT, make_private, remove, socket_folder

DATABASE = "tpeak"

START_S = 10.0
"""How long starts are tried again: after a crash, left-over backends keep a new postmaster out for a moment."""

RECOVERY_S = 300.0
"""How long a postmaster that lives may replay its log before it takes connections."""

FIRST_PAUSE_S = 0.02
LONGEST_PAUSE_S = 0.25
"""Between two looks whether it takes connections; it logs each of them."""

MAX_CONNECTIONS = 300
"""Room for the pools of as many server processes as can be asked for."""

LARGE_LOG = 10 << 20
"""Bytes of log that are kept as they are at a start; more is put aside, and replaces what was."""

STOP_S = 20.0
QUIT_S = 5.0

PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR", "TZ")
"""Variables that PostgreSQL sees: no PGPORT, no LANG, nobody's secrets."""


class Postgres:
    """The PostgreSQL of a data directory. `pause` waits, and may raise to give up."""

    def __init__(self, directory: DataDirectory, account: Account, pause: Callable[[float], None] = time.sleep) -> None:
        self.pgdata = directory.pgdata(MAJOR)
        self._directory = directory
        self._account = account
        self._pause = pause
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The URL of the database; it works for this user alone."""
        return self._url(DATABASE)

    def start(self) -> None:
        """Starts it, or adopts a running one, and returns when it takes connections. Raises Refused."""
        binaries = programs(self._directory.path, self._account)
        if not self.pgdata.exists():
            self._refuse_other_major()
            self._initialize(binaries)
        began, pause_s = time.monotonic(), FIRST_PAUSE_S
        while (trouble := self._unreachable()) is not None:
            alive = self.postmaster() is not None
            if not alive:
                self._launch(binaries)
            if time.monotonic() - began > (RECOVERY_S if alive else START_S):
                raise Refused(f"PostgreSQL in {self.pgdata} does not start: {trouble}\n{self._log_tail()}")
            self._pause(pause_s)
            pause_s = min(1.5 * pause_s, LONGEST_PAUSE_S)
        self._ensure_database()

    def postmaster(self) -> int | None:
        """The process id of the running postmaster, None where there is none."""
        own = self._child.pid if self._child else 0
        lines = self._pid_file()
        pid = int(lines[0]) if lines and lines[0].isdigit() else own
        return pid if self._lives(pid) else None

    def stop(self) -> bool:
        """Stops it, whoever started it; says whether there was one to stop."""
        folder = self._socket_folder()
        own = self._child.pid if self._child and self._child.poll() is None else None
        found = {pid for pid in (self.postmaster(), own) if pid is not None}
        for pid in found:
            fast, immediate = signal.SIGINT, getattr(signal, "SIGQUIT", signal.SIGTERM)
            if not self._ends(pid, fast, STOP_S):
                self._ends(pid, immediate, QUIT_S)
        if self._child is not None:
            self._child.wait()
        remove(folder, self.pgdata)
        return bool(found)

    def _ends(self, pid: int, number: int, patience_s: float) -> bool:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        deadline = time.monotonic() + patience_s
        while self._lives(pid) and time.monotonic() < deadline:
            time.sleep(0.02)
        return not self._lives(pid)

    def _lives(self, pid: int) -> bool:
        """Whether the process is this cluster's postmaster: after a boot, or just later, the id may be another's."""
        command = " ".join(command_of(pid)) if pid > 0 else ""
        return "postgres" in command and f" -D {self.pgdata} " in command + " "

    def _pid_file(self) -> list[str]:
        """The lines of postmaster.pid: process, cluster, start, port, folder of the socket, and more."""
        try:
            return (self.pgdata / "postmaster.pid").read_text().splitlines()
        except OSError:
            return []

    def _socket_folder(self) -> Path:
        lines = self._pid_file()
        return Path(lines[4]) if len(lines) > 4 and lines[4] else socket_folder(self.pgdata)

    def _url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={quote(str(self._socket_folder()), safe='')}&port={PORT}"

    def _connect(self, database: str) -> psycopg.Connection[Any]:
        return psycopg.connect(self._url(database), connect_timeout=3, autocommit=True)

    def _unreachable(self) -> str | None:
        """What a real connection fails with, None where it works: a pid file proves nothing."""
        try:
            with self._connect("postgres") as connection:
                connection.execute("SELECT 1")
        except psycopg.OperationalError as error:
            return str(error).strip()
        return None

    def _ensure_database(self) -> None:
        with self._connect("postgres") as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
                connection.execute(f"CREATE DATABASE {DATABASE}")

    def _refuse_other_major(self) -> None:
        if others := self._directory.other_majors(MAJOR):
            raise Refused(
                f"{others[-1]} holds a database of another PostgreSQL version, and this tpeak brings {MAJOR}; it stays "
                f"as it is. Install the tpeak that made it and dump it (pg_dump), or start anew with another --data-dir"
            )

    def _initialize(self, binaries: Path) -> None:
        """Makes the cluster beside its place and moves it there whole: a killed initdb leaves no half one."""
        for left in self._directory.path.glob(".postgres-*"):
            shutil.rmtree(left, ignore_errors=True)
        new = Path(tempfile.mkdtemp(dir=self._directory.path, prefix=".postgres-"))
        self._account.owns(new)
        options = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-instructions"]
        with self._directory.postgres_log.open("ab") as log:
            made = subprocess.run(
                [binaries / "initdb", *options, "-D", new],
                check=False,
                **self._surroundings(log),
                start_new_session=True,
            )
        if made.returncode != 0:
            shutil.rmtree(new, ignore_errors=True)
            raise Refused(f"PostgreSQL cannot make its files in {self._directory.path}:\n{self._log_tail()}")
        new.rename(self.pgdata)

    def _launch(self, binaries: Path) -> None:
        # PostgreSQL itself checks the id in a left-over file, but would take any process of that id for a postmaster.
        (self.pgdata / "postmaster.pid").unlink(missing_ok=True)
        folder = socket_folder(self.pgdata)
        if folder != self.pgdata:
            make_private(folder, self._account)
        options = {
            "listen_addresses": "",
            "port": str(PORT),
            "unix_socket_directories": str(folder),
            "unix_socket_permissions": "0700",
            "max_connections": str(MAX_CONNECTIONS),
        }
        if sys.platform == "linux":
            # After a crash every file is synced first: one by one that was seen to take 5 s.
            options["recovery_init_sync_method"] = "syncfs"
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        log_file = self._directory.postgres_log
        if log_file.exists() and log_file.stat().st_size > LARGE_LOG:
            log_file.replace(log_file.with_suffix(".log.1"))
        with log_file.open("ab") as log:
            self._child = subprocess.Popen(
                [binaries / "postgres", "-D", self.pgdata, *settings], **self._surroundings(log), start_new_session=True
            )

    def _surroundings(self, log: Any) -> dict[str, Any]:
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        return {
            "stdin": subprocess.DEVNULL, "stdout": log, "stderr": log, "cwd": "/", "env": environment,
            **self._account.popen_arguments(),
        }  # fmt: skip

    def _log_tail(self, lines: int = 8) -> str:
        log = self._directory.postgres_log
        tail = log.read_text(errors="replace").splitlines()[-lines:]
        return "\n".join(["  " + line for line in tail] + [f"(from {log})"])


@contextmanager
def embedded(directory: DataDirectory, account: Account, pause: Callable[[float], None]) -> Iterator[Postgres]:
    """The directory's PostgreSQL, running; stopped at the end, whoever had started it."""
    postgres = Postgres(directory, account, pause)
    try:
        postgres.start()
        yield postgres
    finally:
        postgres.stop()
