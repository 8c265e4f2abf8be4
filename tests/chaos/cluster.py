"""PostgreSQL, two servers on it, and a proxy between each pair."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg

from tests.chaos import audit
from tests.chaos.proxy import BROKEN, HttpProxy, PostgresProxy, Streams, message
from tpeak_server.domain.tokens import generate
from tpeak_server.storage.schema import migrate
from tpeak_server.supervisor.account import postgres_account
from tpeak_server.supervisor.children import ONE_THREAD
from tpeak_server.supervisor.directory import DataDirectory
from tpeak_server.supervisor.postgres import Postgres

NAMES = "ab"
"""The servers."""

READY_S = 60.0
LEAVE_S = 30.0
"""How long a server may take to start, and to leave after SIGTERM."""


class Server:
    """A server process, started again after each of its deaths. Its messages go to one file."""

    def __init__(self, name: str, folder: Path, token: str, database_url: str, mutant: str | None) -> None:
        self.name = name
        self.port = _free_port()
        self.token = token
        self._log = folder / f"server-{name}.log"
        self._database_url = database_url
        self._mutant = [mutant] if mutant else []
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Begins to start."""
        own = {"TPEAK_CHAOS_DATABASE_URL": self._database_url, "TPEAK_CHAOS_TOKEN": self.token}
        environment = {**clean(), **ONE_THREAD, **own}
        command = [sys.executable, "-m", "tests.chaos.launch", str(self.port), *self._mutant]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=log, stderr=log)

    def signal(self, number: int) -> None:
        """Sends it a signal, if it is there."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    async def ended(self) -> int | None:
        """Its exit code, None where it did not leave in time; it is gone either way."""
        assert self._process is not None, "a server that was started"
        try:
            return await asyncio.to_thread(self._process.wait, LEAVE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            await asyncio.to_thread(self._process.wait)
            return None

    async def get(self, path: str, timeout_s: float = 30.0) -> tuple[int, bytes]:
        """Status and body of a GET that no proxy sees; status 0 where there is no answer."""
        try:
            async with asyncio.timeout(timeout_s):
                reader, writer = await self.connect()
                head = f"GET {path} HTTP/1.1\r\nHost: server\r\nAuthorization: Bearer {self.token}\r\n\r\n"
                writer.write(head.encode())
                reply = await message(reader)
                writer.close()
        except (*BROKEN, TimeoutError):
            return 0, b""
        head_end = (reply or b"").find(b"\r\n\r\n")
        return (int(reply[9:12]), reply[head_end + 4 :]) if reply else (0, b"")

    async def ready(self) -> None:
        """Returns when it serves. Raises RuntimeError where it does not come to that."""
        deadline = time.monotonic() + READY_S
        while (await self.get("/readyz", 2.0))[0] != 200:
            if time.monotonic() > deadline:
                raise RuntimeError(f"server {self.name} does not become ready; see {self._log}")
            await asyncio.sleep(0.05)

    async def connect(self) -> Streams:
        return await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 22)

    def end(self) -> None:
        """Kills it."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()


class Cluster:
    """All of it. `sql_url` leads to the database past the proxies."""

    def __init__(self, folder: Path, postgres: Postgres, sql_url: str, dice: random.Random, mutant: str | None) -> None:
        self.folder = folder
        self.postgres = postgres
        self.sql_url = sql_url
        self.token = generate("admin")
        self._dice = dice
        self.mutant = mutant
        self.databases: list[PostgresProxy] = []
        self.servers: list[Server] = []
        self.fronts: list[HttpProxy] = []

    async def start(self, count: int = 2) -> None:
        """Returns when that many servers serve."""
        socket_file = psycopg.conninfo.conninfo_to_dict(self.sql_url)
        place = f"{socket_file['host']}/.s.PGSQL.{socket_file['port']}"
        for name in NAMES[:count]:
            database = PostgresProxy(self._dice, lambda: asyncio.open_unix_connection(place, limit=1 << 20))
            await database.start()
            url = (
                f"postgresql://postgres@127.0.0.1:{database.port}/{socket_file['dbname']}"
                "?sslmode=disable&gssencmode=disable"
            )
            server = Server(name, self.folder, self.token, url, self.mutant)
            front = HttpProxy(self._dice, server.connect)
            await front.start()
            server.start()
            self.databases.append(database)
            self.servers.append(server)
            self.fronts.append(front)
        await asyncio.gather(*(server.ready() for server in self.servers))

    @property
    def urls(self) -> list[str]:
        """Where workers find the servers."""
        return [f"http://127.0.0.1:{front.port}" for front in self.fronts]

    async def end(self) -> None:
        """Kills the servers and cuts all connections."""
        for server in self.servers:
            server.end()
        for proxy in (*self.fronts, *self.databases):
            await proxy.close()

    def sql(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Runs a statement past the proxies."""
        with psycopg.connect(self.sql_url, autocommit=True, connect_timeout=5) as connection:
            cursor = connection.execute(statement, parameters or None)
            return cursor.fetchall() if cursor.description else []


def make_postgres(folder: Path) -> Postgres:
    """A PostgreSQL with its files below the folder, running; the folder must be enterable by its account."""
    folder.mkdir(mode=0o711, exist_ok=True)
    postgres = Postgres(DataDirectory(folder), postgres_account())
    postgres.start()
    return postgres


def make_database(postgres: Postgres, name: str) -> str:
    """The URL of a new database with the schema and the triggers."""
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    url = postgres.url.replace("/tpeak?", f"/{name}?")
    migrate(url)
    audit.install(url)
    return url


@asynccontextmanager
async def cluster(
    folder: Path, postgres: Postgres, name: str, seed: int, *, mutant: str | None = None, count: int = 2
) -> AsyncIterator[Cluster]:
    """Servers on a new database of that PostgreSQL, gone at the end. The folder takes their logs."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Cluster(folder, postgres, make_database(postgres, name), random.Random(seed), mutant)
    try:
        await made.start(count)
        yield made
    finally:
        await made.end()


def clean() -> Mapping[str, str]:
    """The environment without what others may have set for the product."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TPEAK_")}


def signal_all(pids: Sequence[int], number: int = signal.SIGKILL) -> None:
    """Sends the signal to those of the processes that are there."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
