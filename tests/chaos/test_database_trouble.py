"""The database restarts, locks, turns read-only: workers come again, and the server never needs a restart."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tpeak_server.storage.schema import migrate
from tpeak_server.supervisor.account import postgres_account
from tpeak_server.supervisor.directory import DataDirectory
from tpeak_server.supervisor.postgres import Postgres, embedded

PATIENCE_S = 60.0
ASK = {"worker": "w", "distributions": {"x": {"type": "float", "low": 0.0, "high": 1.0}}}


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL that the tests may stop."""
    with tempfile.TemporaryDirectory(prefix="tpeak-test-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        directory, account = DataDirectory(Path(folder)), postgres_account()
        with directory.locked(account), embedded(directory, account, time.sleep) as postgres:
            migrate(postgres.url)
            yield postgres


@pytest.fixture(scope="module")
def database_url(postgres: Postgres) -> str:
    return postgres.url


class Worker:
    """Asks, reports and tells; every request may be repeated until it is answered."""

    def __init__(self, api: httpx.Client) -> None:
        self._api = api
        self._keys = 0
        created = api.post("/studies", json={"request_id": "1", "name": f"trouble {time.monotonic_ns()}"})
        self.path = f"/studies/{created.json()['study']['id']}"
        self.refusals: list[httpx.Response] = []

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The answer, repeating the request while there is none; every refusal on the way is kept."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            reply = self._api.post(self.path + path, json=body)
            if reply.status_code == 200:
                answer: dict[str, Any] = reply.json()
                return answer
            self.refusals.append(reply)
            assert time.monotonic() < deadline, reply.text

    def ask(self) -> dict[str, Any]:
        self._keys += 1
        trial: dict[str, Any] = self.post("/ask", {"request_id": f"ask {self._keys}", **ASK})["trials"][0]
        return trial

    def cycle(self) -> int:
        """The number of a trial that was asked for, reported and told."""
        trial = self.ask()
        number: int = trial["number"]
        lease = {"lease": trial["lease"]}
        self.post(f"/trials/{number}/report", {**lease, "reports": [{"step": 0, "values": [0.5]}]})
        self.post(f"/trials/{number}/tell", {**lease, "state": "complete", "values": [0.25]})
        return number

    def codes(self) -> set[tuple[int, str]]:
        return {(reply.status_code, reply.json()["code"]) for reply in self.refusals}


@pytest.fixture
def worker(api: httpx.Client) -> Worker:
    return Worker(api)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["fast", "immediate"])
def test_a_restart_of_postgresql_costs_nothing_but_time(
    postgres: Postgres, worker: Worker, api: httpx.Client, how: signal.Signals
) -> None:
    numbers = [worker.cycle() for _ in range(3)]
    done = threading.Event()

    def restart() -> None:
        postmaster = postgres.postmaster()
        assert postmaster is not None
        os.kill(postmaster, how)
        _until(lambda: postgres.postmaster() is None)
        postgres.start()
        done.set()

    thread = threading.Thread(target=restart)
    thread.start()
    while not done.is_set():
        numbers.append(worker.cycle())
    thread.join()
    numbers.append(worker.cycle())
    trials = api.get(f"{worker.path}/trials").json()["trials"]
    assert numbers == list(range(len(numbers)))
    assert [(trial["number"], trial["state"], trial["values"]) for trial in trials] == [
        (number, "complete", [0.25]) for number in numbers
    ]
    assert worker.codes() <= {(503, "database_unavailable")}


def test_while_the_database_is_read_only_workers_are_told_to_come_again(
    postgres: Postgres, worker: Worker, api: httpx.Client
) -> None:
    trial = worker.ask()
    _read_only(postgres, True)
    try:
        refused = api.post(f"{worker.path}/ask", json={"request_id": "later", **ASK})
        assert (refused.status_code, refused.json()["code"]) == (503, "database_unavailable")
        assert int(refused.headers["Retry-After"]) >= 1
        assert api.get(worker.path).status_code == 200
    finally:
        _read_only(postgres, False)
    assert worker.post("/ask", {"request_id": "later", **ASK})["trials"][0]["number"] == 1
    told = {"lease": trial["lease"], "state": "complete", "values": [1.0]}
    assert worker.post("/trials/0/tell", told)["state"] == "complete"


def test_a_study_that_somebody_keeps_locked_answers_503_and_the_others_go_on(
    postgres: Postgres, worker: Worker, api: httpx.Client
) -> None:
    other = Worker(api)
    with psycopg.connect(postgres.url) as locker:
        locker.execute("SELECT FROM study_clocks ORDER BY study_id FOR UPDATE")
        refused = api.post(f"{worker.path}/ask", json={"request_id": "later", **ASK})
        locker.rollback()
    assert (refused.status_code, refused.json()["code"]) == (503, "database_unavailable")
    assert int(refused.headers["Retry-After"]) >= 1
    assert worker.post("/ask", {"request_id": "later", **ASK})["trials"][0]["number"] == 0
    assert other.cycle() == 0


def test_no_trouble_leaves_a_connection_in_a_transaction(postgres: Postgres, worker: Worker) -> None:
    worker.cycle()
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        idle = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tpeak' AND state LIKE 'idle in trans%'"
        _until(lambda: connection.execute(idle).fetchone() == (0,))


def _read_only(postgres: Postgres, on: bool) -> None:
    """Makes the database what a standby is, for every connection."""
    with psycopg.connect(postgres.url, autocommit=True, options="-c default_transaction_read_only=off") as connection:
        connection.execute(f"ALTER DATABASE tpeak SET default_transaction_read_only = {on}")
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tpeak'")


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.01)
