"""Real workers: processes with the real client, killed and replaced all the time.

`python -m tests.chaos.workers FOLDER < ORDER`: the order is a line of JSON; a second line on stdin ends it. One process
imports the client and forks the workers, so that a new one costs next to nothing.
"""

from __future__ import annotations

import contextvars
import ctypes
import json
import os
import random
import select
import signal
import sys
import time
import traceback
import uuid
import warnings
from pathlib import Path
from typing import Any

import httpx

import tpeak
from tests.chaos import mutants
from tests.chaos.history import Operation, Recorder, conclude, fresh_id, invocation
from tpeak.connection import Connection
from tpeak.heartbeat import Heartbeat
from tpeak.spool import Spool
from tpeak.transport import Client
from tpeak.worker import Worker

call: contextvars.ContextVar[str | None] = contextvars.ContextVar("call", default=None)
"""What all attempts of one request of the client have in common."""

API = "/api/v1"

PR_SET_PDEATHSIG = 1
"""prctl: the signal that a process gets when its parent ends."""


class Noting(httpx.BaseTransport):
    """The client's network, which notes every attempt before it is sent."""

    def __init__(self, recorder: Recorder, worker: str, timeout_s: float) -> None:
        self._inner = httpx.HTTPTransport()
        self._recorder = recorder
        self._worker = worker
        self._timeout_s = timeout_s

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        operation = Operation(
            id=fresh_id(), worker=self._worker, method=request.method, call=call.get(), at=time.time(),
            path=request.url.raw_path.decode().removeprefix(API),
            body=json.loads(request.content) if request.content else None,
        )  # fmt: skip
        self._recorder.write(invocation(operation))
        request.headers["X-Chaos-Id"] = operation.id
        # What a user would set as a shorter time-out: the network of this test loses a request in ten.
        request.extensions["timeout"] = dict.fromkeys(("connect", "read", "write", "pool"), self._timeout_s)
        try:
            response = self._inner.handle_request(request)
            response.read()
        except httpx.TransportError:
            self._recorder.write(conclude(operation, None, None))
            raise
        self._recorder.write(conclude(operation, response.status_code, response.json() if response.content else None))
        return response


class NotedClient(Client):
    """The client, whose calls can be told apart."""

    def request(self, *arguments: Any, **named: Any) -> Any:
        if call.get() is not None:
            return super().request(*arguments, **named)
        reset = call.set(uuid.uuid4().hex)
        try:
            return super().request(*arguments, **named)
        finally:
            call.reset(reset)


def connection(folder: Path, order: dict[str, Any], dice: random.Random) -> Connection:
    """What `storage=` takes: the client, on the worker's own history and the spool that all share."""
    recorder = Recorder(folder / f"history-worker-{os.getpid()}.jsonl")
    url = dice.choice(order["urls"])
    noting = Noting(recorder, f"real-{os.getpid()}", order["timeout_s"])
    client = NotedClient(url, order["token"], transport=noting, deadline_s=order["deadline_s"])
    return Connection(client=client, spool=Spool(folder / "spool"), heartbeat=Heartbeat(), worker=Worker({}))


def work(folder: Path, order: dict[str, Any], seed: float) -> None:
    """A worker's life: optimize, until it is killed."""
    warnings.simplefilter("ignore")
    dice = random.Random(seed)
    storage = connection(folder, order, dice)

    def objective(trial: tpeak.Trial) -> float:
        x = trial.suggest_float("x", -1.0, 1.0)
        layers = trial.suggest_int("layers", 1, 8)
        if dice.random() < 0.2:
            trial.suggest_categorical("mode", ["a", "b", 1])
        for step in range(dice.randint(1, 5)):
            time.sleep(dice.expovariate(1 / order["think_s"]))
            trial.report(x * x + layers / (step + 1), step)
            if trial.should_prune():
                raise tpeak.TrialPruned
        if dice.random() < 0.05:
            raise ValueError("a planned one")
        return x * x + layers

    while True:
        try:
            study = tpeak.load_study(study_name=dice.choice(order["studies"]), storage=storage)
            study.optimize(objective, n_trials=10, catch=ValueError)
        except tpeak.exceptions.TpeakError:
            time.sleep(dice.random())


def main(folder: Path) -> None:
    """Keeps that many workers alive, kills one every now and then, and at the end all; then sends what they spooled."""
    order = json.loads(sys.stdin.readline())
    if order.get("mutant"):
        mutants.plant(order["mutant"])
    dice = random.Random(order["seed"])
    alive: set[int] = set()
    next_kill = time.monotonic() + order["kill_every_s"]
    with (folder / "faults-workers.jsonl").open("a") as faults:
        while not _told(0.05):
            while len(alive) < order["workers"]:
                alive.add(_fork(folder, order, dice.random()))
            if time.monotonic() > next_kill:
                next_kill += order["kill_every_s"]
                victim = dice.choice(sorted(alive))
                _kill([victim])
                alive.discard(victim)
                faults.write(json.dumps({"kind": "worker SIGKILL", "start": time.time(), "end": time.time()}) + "\n")
                faults.flush()
    _kill(sorted(alive))
    _told(None)
    for url in order["urls"]:
        storage = connection(folder, {**order, "urls": [url]}, dice)
        storage.spool.resend(storage.client, look=True)
    sys.stdout.write(json.dumps({"left": len(list((folder / "spool").glob("*.json")))}) + "\n")


def _told(patience_s: float | None) -> bool:
    """Whether a line came on stdin; nobody is left to say so where it has ended."""
    readable = bool(select.select([0], [], [], patience_s)[0])
    return readable and bool(os.read(0, 1) or True)


def _fork(folder: Path, order: dict[str, Any], seed: float) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        work(folder, order, seed)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


def _kill(pids: list[int]) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    for pid in pids:
        os.waitpid(pid, 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
