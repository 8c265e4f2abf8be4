"""A real PostgreSQL for the tests, and servers on it.

By default one is started from the embedded package; TPEAK_TEST_DATABASE_URL names another one to use. Each test module
gets its own database, made from a template that has the schema.
"""

from __future__ import annotations

import os
import socket
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import uvicorn
from sqlalchemy import make_url

import tests.one_thread  # noqa: F401
from tpeak_server.api import create_app
from tpeak_server.storage.schema import migrate
from tpeak_server.supervisor.account import postgres_account
from tpeak_server.supervisor.directory import DataDirectory
from tpeak_server.supervisor.postgres import embedded

TOKEN = "tpk_admin_000000000000000000000000000000_000000"


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL, under a user that may create databases."""
    given = os.environ.get("TPEAK_TEST_DATABASE_URL")
    if given:
        yield given
        return
    # Below /tmp, which the account that PostgreSQL runs under can enter wherever the tests themselves keep their files.
    with tempfile.TemporaryDirectory(prefix="tpeak-test-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        directory, account = DataDirectory(Path(folder)), postgres_account()
        with directory.locked(account), embedded(directory, account, time.sleep) as postgres:
            yield postgres.url


@pytest.fixture(scope="session")
def template(postgres_url: str) -> str:
    """The name of a database with the schema and nothing in it."""
    name = f"tpeak_template_{uuid.uuid4().hex[:12]}"
    admin(postgres_url, f'CREATE DATABASE "{name}"')
    migrate(with_database(postgres_url, name))
    return name


@pytest.fixture(scope="module")
def database_url(postgres_url: str, template: str) -> Iterator[str]:
    """A fresh database for the module."""
    name = f"tpeak_test_{uuid.uuid4().hex[:12]}"
    admin(postgres_url, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    yield with_database(postgres_url, name)
    admin(postgres_url, f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(scope="module")
def server(database_url: str) -> Iterator[Server]:
    """A server on the module's database."""
    with running(database_url) as server:
        yield server


@pytest.fixture
def serve() -> Callable[..., AbstractContextManager[Server]]:
    """Runs a server on a database, and a port if that matters."""
    return running


@pytest.fixture(scope="module")
def api(server: Server) -> Iterator[httpx.Client]:
    """A client of the server's routes that bears its token."""
    with httpx.Client(base_url=f"{server.url}/api/v1", headers=server.headers, timeout=30) as client:
        yield client


@pytest.fixture(scope="session")
def served() -> Callable[[str], AbstractContextManager[Server]]:
    """Serves any database for a while."""
    return running


@pytest.fixture
def sql(database_url: str) -> Iterator[Callable[..., list[tuple[Any, ...]]]]:
    """Runs a statement on the module's database."""
    with psycopg.connect(database_url, autocommit=True) as connection:

        def run(statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
            cursor = connection.execute(statement, parameters or None)
            return cursor.fetchall() if cursor.description else []

        yield run


@dataclass(frozen=True)
class Server:
    """Where a server listens, and what opens it."""

    url: str
    token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


@contextmanager
def running(database_url: str, port: int = 0) -> Iterator[Server]:
    """A server in a thread of this process, on this port or a free one."""
    listener = socket.create_server(("127.0.0.1", port))
    config = uvicorn.Config(create_app(database_url=database_url, token=TOKEN), log_level="warning", lifespan="on")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield Server(url=f"http://127.0.0.1:{listener.getsockname()[1]}", token=TOKEN)
    server.should_exit = True
    thread.join(timeout=30)


def admin(url: str, statement: str) -> None:
    """Runs a statement that no transaction may hold."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)


def with_database(url: str, name: str) -> str:
    """The URL of another database of the same PostgreSQL."""
    return make_url(url).set(database=name).render_as_string(hide_password=False)
