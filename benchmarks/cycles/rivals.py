"""Optuna's arms of a comparison: its storages over the PostgreSQL of the server under test, each in a database of its
own that begins as a copy of one seeded study.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from cycles import crew
from cycles.cycle import Measured
from cycles.experiments import CREW

STUDY = "bowls"
QUIET = {"PYTHONWARNINGS": "ignore"}
"""Every process would say that the proxy is experimental."""

SEEDED = "optuna_seeded"
WARMUP_S = 10.0
"""In which every process has read the study's trials."""


class Rivals:
    """Optuna over the PostgreSQL at the URL, in a study of `trials` x `params`, which is made at once."""

    def __init__(self, database_url: str, *, trials: int, params: int, seconds: float) -> None:
        self._url = database_url
        self._params = params
        self._seconds = seconds
        self._databases = 0
        self._sql(f"CREATE DATABASE {SEEDED}")
        subprocess.run(
            _module("seed", self._of_optuna(SEEDED), str(trials), str(params), STUDY), check=True, cwd=_FOLDER
        )

    def rdb(self) -> Measured:
        """Every process has the database's URL."""
        return self._crew(self._copied())

    def grpc(self) -> Measured:
        """Every process has the address of one proxy."""
        with _proxy(self._copied()) as address:
            return self._crew(address)

    def _crew(self, storage: str) -> Measured:
        commands = [["cycles.of_optuna", storage, str(self._params), STUDY, str(seed)] for seed in range(CREW)]
        return crew.work(self._seconds, WARMUP_S, commands, QUIET)

    def _copied(self) -> str:
        self._databases += 1
        database = f"optuna_{self._databases}"
        self._sql(f"CREATE DATABASE {database} TEMPLATE {SEEDED}")
        return self._of_optuna(database)

    def _sql(self, statement: str) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(statement)

    def _of_optuna(self, database: str) -> str:
        return urlsplit(self._url)._replace(scheme="postgresql+psycopg", path=f"/{database}").geturl()


_FOLDER = Path(__file__).parents[1]


@contextmanager
def _proxy(url: str) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(_module("proxy", url, str(port)), cwd=_FOLDER, env={**os.environ, **QUIET})
    try:
        yield f"grpc://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def _module(*words: str) -> list[str]:
    return [sys.executable, "-m", "cycles.optuna_storage", *words]
