"""Studies and trials to send requests to, and a valid body for every route that takes one."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

KEYS = itertools.count()

X = {"type": "float", "low": 0.0, "high": 1.0, "log": False, "step": 0.25}
N = {"type": "int", "low": 1, "high": 9, "log": False, "step": 2}
C = {"type": "categorical", "choices": ["a", 1, True, None, 2.5]}

VALID: dict[str, dict[str, Any]] = {
    "POST /studies": {
        "request_id": "key",
        "name": "{name}",
        "directions": ["minimize"],
        "if_exists": "load",
        "sampler": {"name": "tpe", "n_startup_trials": 10},
        "pruner": {"name": "percentile", "percentile": 25.0, "n_warmup_steps": 1},
        "space": {"x": X, "n": N, "c": C},
        "seed": 7,
        "max_trials": 10,
        "timeout_s": 60.0,
        "lease_seconds": 60.0,
        "max_attempts": 3,
        "max_host_failures": 2,
        "late_results": "refuse",
        "stop_when": {"target": [0.5], "patience": 10},
        "warm_start": [],
        "user_attrs": {"a": {"b": [1]}},
        "tags": ["t"],
        "note": "n",
    },
    "PATCH /studies/{study}": {
        "request_id": "key",
        "name": "{name}",
        "sampler": {"name": "random"},
        "pruner": {"name": "median", "interval_steps": 2},
        "max_trials": 10,
        "timeout_s": 60.0,
        "lease_seconds": 60.0,
        "max_attempts": 3,
        "max_host_failures": 2,
        "late_results": "refuse",
        "stop_when": {"target": [-0.5], "patience": 10},
        "user_attrs": {"a": 1},
        "tags": ["t"],
        "note": "n",
    },
    "POST /studies/{study}/ask": {
        "request_id": "key",
        "worker": "test",
        "count": 2,
        "distributions": {"x": X, "n": N, "c": C},
        "host": "h",
        "wall_time_s": 60.0,
        "resumable": True,
    },
    "POST /studies/{study}/pause": {"request_id": "pause"},
    "POST /studies/{study}/stop": {"request_id": "stop"},
    "POST /studies/{study}/cancel": {"request_id": "cancel"},
    "POST /studies/{study}/resume": {"request_id": "resume"},
    "POST /studies/{study}/prune-replay": {
        "pruner": {"name": "patient", "wrapped_pruner": {"name": "median"}, "patience": 1, "objective": 0},
    },
    "POST /studies/{study}/trials/{number}/suggest": {"lease": "{lease}", "name": "late", "distribution": N},
    "POST /studies/{study}/trials/{number}/report": {
        "lease": "{lease}",
        "reports": [{"step": 3, "values": [0.5], "cost": 1.5}, {"step": 4, "values": ["NaN"]}],
        "used": ["x"],
    },
    "POST /studies/{study}/trials/{number}/tell": {
        "lease": "{lease}",
        "state": "complete",
        "values": [0.5],
        "error": "none",
        "constraints": [0.0],
        "user_attrs": {"a": 1},
        "used": ["x"],
        "retry": False,
    },
    "POST /studies/{study}/trials/{number}/heartbeat": {"lease": "{lease}"},
    "POST /studies/{study}/trials/{number}/release": {"lease": "{lease}", "checkpoint": "file:///c", "step": 3},
    "POST /studies/{study}/trials": {
        "request_id": "key",
        "trials": [
            {"params": {"x": 0.5, "q": "bare"}, "distributions": {"x": X}, "user_attrs": {"a": 1}},
            {
                "state": "complete",
                "params": {"n": 3, "c": True},
                "distributions": {"n": N, "c": C},
                "values": [1.0],
                "reports": [{"step": 1, "values": [0.5]}],
                "constraints": [1.0],
                "error": "none",
            },
        ],
    },
    "POST /studies/{study}/import": {
        "request_id": "key",
        "lines": [
            {"type": "distribution", "id": 1, "name": "n", "distribution": N, "current": True},
            {
                "type": "trial",
                "number": 1,
                "state": "complete",
                "proposed": {"n": [1, 3]},
                "suggested": {"x": [0, 0.5]},
                "fixed": {"q": "bare"},
                "values": [0.5],
                "constraints": ["NaN"],
                "cause": "none",
                "origin": "tpe",
                "epoch": 2,
                "attempt": 1,
                "told_epoch": 1,
                "resume_epoch": 1,
                "sampled_at_seq": 7,
                "sampler_version": "tpe-1",
                "avoid_host": "h",
                "exempt": True,
                "created_at": "2026-11-24T12:00:00.000000Z",
                "epochs": [{"epoch": 1, "worker": "w", "host": "h", "used": ["n"], "ended": "told"}],
                "reports": [{"epoch": 1, "step": 0, "values": [0.5], "cost": 1.5, "prune": True, "reason": "r"}],
                "user_attrs": {"a": 1},
            },
            {"type": "more", "number": 1, "reports": [{"epoch": 1, "step": 1, "values": ["NaN"]}]},
            {"type": "late_result", "number": 1, "hash": "00ff", "code": "lease_lost", "body": {"state": "failed"}},
            {"type": "end", "lines": 6, "trials": 2, "late_results": 1, "handed": 2, "state": "open"},
        ],
    },
    "PATCH /studies/{study}/trials/{number}": {
        "request_id": "key",
        "user_attrs": {"a": 1},
        "action": "cancel",
        "cause": "a bad region",
    },
    "POST /workers": {
        "id": "w",
        "host": "h",
        "pid": 1,
        "client_version": "0.1.0",
        "python": "3.11",
        "job": {"slurm": 1},
        "git_commit": "abc",
        "git_dirty": True,
    },
}


@dataclass(frozen=True)
class Work:
    """A running trial of a study of its own, and what opens it."""

    study: str
    number: int
    lease: str

    @property
    def trial(self) -> str:
        return f"/studies/{self.study}/trials/{self.number}"


@pytest.fixture
def new_study(api: httpx.Client) -> Callable[..., str]:
    """Makes a study and returns its id."""
    return lambda **settings: make_study(api, **settings)


@pytest.fixture
def new_work(api: httpx.Client) -> Callable[..., Work]:
    """Makes a study with one running trial that has the parameter `x`."""

    def make(**settings: Any) -> Work:
        study = make_study(api, **settings)
        space = {"x": {"type": "float", "low": 0.0, "high": 1.0}}
        ask = {"request_id": "first", "worker": "test", "distributions": space}
        issued = api.post(f"/studies/{study}/ask", json=ask).raise_for_status().json()["trials"][0]
        return Work(study=study, number=issued["number"], lease=issued["lease"])

    return make


@pytest.fixture
def work(new_work: Callable[..., Work]) -> Work:
    return new_work()


def make_study(api: httpx.Client, **settings: Any) -> str:
    key = f"study-{next(KEYS)}"
    answer = api.post("/studies", json={"request_id": key, "name": key, **settings}).raise_for_status()
    study: str = answer.json()["study"]["id"]
    return study


class Target:
    """A study with a running trial, made anew once it took a body that was meant to be wrong."""

    routes = frozenset(VALID)

    def __init__(self, api: httpx.Client, new_work: Callable[..., Work], sql: Callable[..., list[tuple[Any, ...]]]):
        self._api, self._new_work, self._sql = api, new_work, sql
        self.renew()

    def renew(self) -> None:
        # No lease of an earlier target expires meanwhile, and moves a seq.
        self.work = self._new_work(seed=1, lease_seconds=86400.0)
        self.stored = self.now_stored()

    def now_stored(self) -> list[tuple[Any, ...]]:
        """Every study's seq, and the number of rows that no seq counts."""
        return self._sql(
            "SELECT study_id, seq, (SELECT count(*) FROM workers), (SELECT count(*) FROM requests)"
            " FROM study_clocks ORDER BY study_id"
        )

    def valid(self, route: str) -> dict[str, Any]:
        """A body that the route takes, for its caller to change."""
        return copy.deepcopy(VALID[route])

    def send(self, route: str, body: Any) -> httpx.Response:
        """What the route answers; the lease is filled in where it has its place, and a name that is free."""
        method, path = route.split()
        path = path.format(study=self.work.study, number=self.work.number)
        if isinstance(body, dict):
            places = {"{lease}": self.work.lease, "{name}": f"name-{next(KEYS)}"}
            body = {key: places.get(value, value) if isinstance(value, str) else value for key, value in body.items()}
        headers = {"Content-Type": "application/json"}
        return self._api.request(method, path, content=json.dumps(body), headers=headers)


@pytest.fixture
def target(api: httpx.Client, new_work: Callable[..., Work], sql: Callable[..., list[tuple[Any, ...]]]) -> Target:
    return Target(api, new_work, sql)


@pytest.fixture(params=VALID)
def writing(request: pytest.FixtureRequest) -> str:
    """Every route that takes a body, as "METHOD /path"."""
    route: str = request.param
    return route
