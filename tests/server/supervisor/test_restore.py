"""A database that was restored from a backup, with PostgreSQL's own tools, and what then becomes of leases."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from sqlalchemy import make_url

from tpeak_server.storage.schema import migrate
from tpeak_server.supervisor.account import postgres_account
from tpeak_server.supervisor.directory import DataDirectory
from tpeak_server.supervisor.postgres import Postgres, embedded
from tpeak_server.supervisor.programs import MAJOR, programs

SPACE = {"x": {"type": "float", "low": 0.0, "high": 1.0}}


@dataclass(frozen=True)
class Site:
    """A running PostgreSQL, and a folder beside it that its account may write to."""

    postgres: Postgres
    folder: Path

    @property
    def url(self) -> str:
        return self.postgres.url

    def tool(self, name: str, *arguments: object) -> None:
        """Runs one of PostgreSQL's programs."""
        account = postgres_account()
        found = programs(self.folder, account)
        # A copy of the programs holds only those that run a server.
        place = found if (found / name).exists() else Path(shutil.which(name) or pytest.skip(f"no {name} here")).parent
        line = [str(place / name), *map(str, arguments)]
        done = subprocess.run(line, capture_output=True, text=True, cwd="/", check=False, **account.popen_arguments())
        assert done.returncode == 0, done.stderr


class Workers:
    """What workers say to a server."""

    def __init__(self, server: Any) -> None:
        self._api = httpx.Client(base_url=f"{server.url}/api/v1", headers=server.headers, timeout=30)

    def post(self, path: str, body: Any) -> httpx.Response:
        return self._api.post(path, json=body)

    def incarnation(self) -> str:
        found: str = self._api.get("/meta").json()["incarnation"]
        return found

    def study(self) -> str:
        made = self.post("/studies", {"request_id": "made", "name": "backed up"})
        found: str = made.json()["study"]["id"]
        return found

    def ask(self, study: str, key: str) -> dict[str, Any]:
        body = {"request_id": key, "worker": "w", "distributions": SPACE}
        (trial,) = self.post(f"/studies/{study}/ask", body).json()["trials"]
        found: dict[str, Any] = trial
        return found

    def tell(self, study: str, trial: dict[str, Any]) -> int:
        body = {"lease": trial["lease"], "state": "complete", "values": [trial["params"]["x"]]}
        return self.post(f"/studies/{study}/trials/{trial['number']}/tell", body).status_code

    def add(self, study: str, trial: dict[str, Any]) -> httpx.Response:
        """The result once more, as a worker brings it whose lease a restored database does not know."""
        finished = {
            "state": "complete",
            "params": trial["params"],
            "distributions": trial["distributions"],
            "values": [trial["params"]["x"]],
        }
        return self.post(f"/studies/{study}/trials", {"request_id": f"lease-{trial['lease']}", "trials": [finished]})

    def complete(self, study: str) -> int:
        found: int = self._api.get(f"/studies/{study}").json()["counts"]["complete"]
        return found


@pytest.fixture
def site(data_dir: Path) -> Iterator[Site]:
    directory, account = DataDirectory(data_dir), postgres_account()
    folder = data_dir / "backups"
    folder.mkdir()
    account.owns(folder)
    with directory.locked(account), embedded(directory, account, time.sleep) as postgres:
        migrate(postgres.url)
        yield Site(postgres, folder)


def from_a_dump(site: Site, work: Callable[[], None]) -> Iterator[str]:
    """The URL of a database that was restored from a dump made before the work."""
    dump = site.folder / "dump"
    site.tool("pg_dump", "--format=custom", f"--file={dump}", site.url)
    work()
    url = make_url(site.url).set(database="restored").render_as_string(hide_password=False)
    with psycopg.connect(site.url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE restored")
    site.tool("pg_restore", f"--dbname={url}", dump)
    yield url


def from_a_base_backup(site: Site, work: Callable[[], None]) -> Iterator[str]:
    """The URL of another cluster, recovered from a base backup made before the work."""
    directory, account = DataDirectory(site.folder / "recovered"), postgres_account()
    directory.path.mkdir()
    account.owns(directory.path)
    pgdata = directory.pgdata(MAJOR)
    site.tool("pg_basebackup", "--checkpoint=fast", f"--dbname={site.url}", f"--pgdata={pgdata}")
    for left in pgdata.glob(".s.PGSQL.*"):
        left.unlink()  # the other cluster's socket lies in its data directory
    with (pgdata / "postgresql.auto.conf").open("a") as settings:
        settings.write("restore_command = 'false'\nrecovery_target = 'immediate'\nrecovery_target_action = 'promote'\n")
    (pgdata / "recovery.signal").touch()
    account.owns(pgdata / "recovery.signal")
    work()
    with embedded(directory, account, time.sleep) as postgres:
        yield postgres.url


@pytest.mark.parametrize("restored", [from_a_dump, from_a_base_backup])
def test_after_a_restore_leases_count_if_the_backup_has_them_and_results_come_in_once(
    site: Site, restored: Callable[..., Iterator[str]], served: Callable[..., Any]
) -> None:
    with served(site.url) as server:
        before = Workers(server)
        incarnation, study = before.incarnation(), before.study()
        in_backup = before.ask(study, "first")
        younger: list[dict[str, Any]] = []
        urls = restored(site, lambda: younger.append(before.ask(study, "second")))
        url = next(urls)

    with served(url) as server:
        after = Workers(server)
        assert after.incarnation() != incarnation
        assert after.tell(study, younger[0]) in (404, 409)
        assert after.tell(study, in_backup) == 200
        first = after.add(study, younger[0])
        assert (first.status_code, first.json()["numbers"]) == (201, [1])
        assert [after.add(study, younger[0]).json() for _ in range(3)] == [first.json()] * 3
        assert after.complete(study) == 2
        assert after.incarnation() == after.incarnation()
    assert list(urls) == []


def test_a_lease_of_a_number_that_was_handed_out_again_is_refused(site: Site, served: Callable[..., Any]) -> None:
    with served(site.url) as server:
        before = Workers(server)
        study = before.study()
        younger: list[dict[str, Any]] = []
        (url,) = from_a_dump(site, lambda: younger.append(before.ask(study, "younger")))

    with served(url) as server:
        after = Workers(server)
        again = after.ask(study, "another")
        assert (again["number"], younger[0]["number"]) == (0, 0)
        assert after.tell(study, younger[0]) == 409
        assert after.tell(study, again) == 200
        assert after.add(study, younger[0]).status_code == 201
        assert after.complete(study) == 2
