"""Two replicas over the module's database, in one event loop, and a clock that stands still until a test moves it.

No reaper runs beside the tests: where one is wanted, a test makes it look.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tpeak_server.api import create_app
from tpeak_server.service.application import Application

TOKEN = "tpk_admin_000000000000000000000000000000_000000"
SPACE = {"x": {"type": "float", "low": 0.0, "high": 1.0}}
REPLICAS = 2

Sql = Callable[..., list[tuple[Any, ...]]]


class Service:
    """The replicas; requests go through their routes."""

    def __init__(self, database_url: str) -> None:
        self._runner = asyncio.Runner()
        self.replicas = [Application(database_url) for _ in range(REPLICAS)]
        self.clients = [_client(replica) for replica in self.replicas]
        self._keys = itertools.count()

    def key(self) -> str:
        """A request id that nobody has used."""
        return f"key-{next(self._keys)}"

    def send(self, method: str, path: str, body: Any = None, *, replica: int = 0, **query: Any) -> httpx.Response:
        """One request, answered before the next."""
        return self.run(self.clients[replica].request(method, path, json=body, params=query))

    def race(self, requests: list[tuple[str, str, Any]]) -> list[httpx.Response]:
        """All requests at once, in turn to each replica."""

        async def all_at_once() -> list[httpx.Response]:
            clients = itertools.cycle(self.clients)
            return await asyncio.gather(*(next(clients).request(m, path, json=body) for m, path, body in requests))

        return self.run(all_at_once())

    def tick(self, *, replica: int = 0) -> None:
        """One look of the replica's reaper."""
        self.run(self.replicas[replica].reaper.tick())

    def run(self, work: Any) -> Any:
        """What a coroutine gives; none takes a minute."""
        return self._runner.run(asyncio.wait_for(work, 60))

    def close(self) -> None:
        """Closes every connection."""
        for replica, client in zip(self.replicas, self.clients, strict=True):
            self.run(client.aclose())
            self.run(replica.stop())
        self._runner.close()


class Study:
    """A study, as its workers write to it."""

    def __init__(self, service: Service, settings: dict[str, Any]) -> None:
        self.service = service
        name = settings.pop("name", None) or f"study {service.key()}"
        created = service.send("POST", "/studies", {"request_id": service.key(), "name": name, **settings})
        assert created.status_code == 201, created.text
        self.id: str = created.json()["study"]["id"]
        self.path = f"/studies/{self.id}"

    def post(self, path: str, body: Any, *, replica: int = 0) -> httpx.Response:
        return self.service.send("POST", f"{self.path}/{path}", body, replica=replica)

    def get(self, path: str = "", *, replica: int = 0, **query: Any) -> Any:
        """What the study's route says; it must be a 200."""
        reply = self.service.send("GET", self.path + path, replica=replica, **query)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def change(self, **settings: Any) -> None:
        """Other settings from here on."""
        reply = self.service.send("PATCH", self.path, {"request_id": self.service.key(), **settings})
        assert reply.status_code == 200, reply.text

    def asked(self, key: str | None = None, *, replica: int = 0, **more: Any) -> httpx.Response:
        """The reply to an ask."""
        return self.post("ask", self.ask_body(key, **more), replica=replica)

    def ask_body(self, key: str | None = None, **more: Any) -> dict[str, Any]:
        return {"request_id": key or self.service.key(), "worker": "tester", "distributions": SPACE, **more}

    def ask(self, key: str | None = None, *, replica: int = 0, **more: Any) -> list[dict[str, Any]]:
        """The trials that an ask hands out."""
        reply = self.asked(key, replica=replica, **more)
        assert reply.status_code == 200, reply.text
        trials: list[dict[str, Any]] = reply.json()["trials"]
        return trials

    def trial(self, **more: Any) -> dict[str, Any]:
        """The one trial that an ask hands out."""
        (trial,) = self.ask(**more)
        return trial

    def of(self, trial: dict[str, Any], verb: str, body: dict[str, Any], *, replica: int = 0) -> httpx.Response:
        """The reply to what the trial's worker says under its lease."""
        return self.post(f"trials/{trial['number']}/{verb}", {"lease": trial["lease"], **body}, replica=replica)

    def tell(self, trial: dict[str, Any], state: str = "complete", *, replica: int = 0, **more: Any) -> httpx.Response:
        return self.of(trial, "tell", {"state": state, **more}, replica=replica)

    def report(self, trial: dict[str, Any], step: int, *values: Any, replica: int = 0) -> httpx.Response:
        return self.of(trial, "report", {"reports": [{"step": step, "values": list(values)}]}, replica=replica)

    def finish(self, *values: Any) -> dict[str, Any]:
        """Another complete trial, with these values."""
        trial = self.trial()
        assert self.tell(trial, values=list(values)).status_code == 200
        return trial

    def state(self, number: int) -> str:
        """The state that the trial is in."""
        found: str = self.get(f"/trials/{number}")["state"]
        return found


class Clock:
    """The database's clock, which moves only where a test says so, and never back."""

    def __init__(self, service: Service, sql: Sql) -> None:
        self._service = service
        self._sql = sql
        self.move(0)

    def move(self, seconds: float) -> None:
        """Lets time pass without anybody's doing: what an outage looks like."""
        ((now,),) = self._sql("SELECT tpeak_now()")
        then = f"timestamptz ''{now.isoformat()}'' + interval ''{seconds:f} s''"
        self._sql(
            f"CREATE OR REPLACE FUNCTION tpeak_now() RETURNS timestamptz LANGUAGE sql VOLATILE AS 'SELECT {then}'"
        )

    def live(self, seconds: float) -> None:
        """Lets time pass while the reaper looks every second."""
        whole, rest = divmod(seconds, 1.0)
        for step in [1.0] * int(whole) + [rest] * (rest > 0):
            self.move(step)
            self._service.tick()


@pytest.fixture(scope="module")
def service(database_url: str) -> Iterator[Service]:
    """Two replicas on the module's database."""
    service = Service(database_url)
    yield service
    service.close()


@pytest.fixture
def study(service: Service) -> Study:
    """A fresh study with the default settings."""
    return Study(service, {})


@pytest.fixture
def make_study(service: Service) -> Callable[..., Study]:
    """Makes a study with these settings."""
    return lambda **settings: Study(service, settings)


@pytest.fixture
def clock(service: Service, sql: Sql) -> Clock:
    """The clock of the module's database; the reaper has just looked."""
    clock = Clock(service, sql)
    service.tick()
    return clock


def _client(replica: Application) -> httpx.AsyncClient:
    app = create_app(database_url="postgresql://unused", token=TOKEN)
    app.state.application = replica
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://testserver/api/v1",
        headers={"Authorization": f"Bearer {TOKEN}"},
    )
