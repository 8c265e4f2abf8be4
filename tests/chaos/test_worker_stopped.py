"""Workers that have to go, in real processes with a real server: by a batch system's signals, and by SIGKILL."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

TOKEN = "tpk_admin_000000000000000000000000000000_000000"


@dataclass(frozen=True)
class Place:
    """Where a server will be."""

    url: str
    token: str


TRAINS = """
import time, tpeak
def objective(trial):
    trial.suggest_float("x", 0.0, 1.0)
    for step in range(4):
        trial.report(1.0 / (step + 1), step)
    trial.set_checkpoint("epoch-3.pt", 3)
    print("ready", flush=True)
    time.sleep(60)
study = tpeak.create_study(study_name="{name}", load_if_exists=True, pruner=tpeak.pruners.NopPruner())
study.optimize(objective)
"""

RESUMES = """
import json, tpeak
def objective(trial):
    x = trial.suggest_float("x", 0.0, 1.0)
    resumed = trial.resume_from
    print(json.dumps([trial.number, resumed and [resumed.checkpoint, resumed.step]]), flush=True)
    trial.report(0.1, 4)
    return x
tpeak.load_study(study_name="{name}").optimize(objective, n_trials=1)
"""

FINISHES_LATE = """
import sys, tpeak
def objective(trial):
    print("ready", flush=True)
    sys.stdin.readline()
    return 0.25
tpeak.create_study(study_name="killed").optimize(objective, n_trials=1)
"""


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGTERM, -signal.SIGTERM), (signal.SIGUSR1, 0)])
def test_another_worker_takes_up_what_a_signal_interrupted(
    server: Any, api: httpx.Client, tmp_path: Path, sent: signal.Signals, status: int
) -> None:
    with _worker(TRAINS.format(name=sent.name), server, tmp_path) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
        worker.send_signal(sent)
        assert worker.wait(20) == status
    (study,) = api.get("/studies", params={"name": sent.name}).json()["studies"]
    assert (study["counts"]["waiting"], study["counts"]["running"]) == (1, 0)

    with _worker(RESUMES.format(name=sent.name), server, tmp_path) as worker:
        found, _ = worker.communicate(timeout=60)

    assert json.loads(found) == [0, ["epoch-3.pt", 3]]
    trial = api.get(f"/studies/{study['id']}/trials/0").json()
    assert (trial["state"], trial["attempt"], trial["epoch"]) == ("complete", 0, 2)
    assert [report["step"] for report in trial["reports"]] == [0, 1, 2, 3, 4]


def test_a_result_whose_worker_was_killed_while_it_told_it_is_flushed_once(
    database_url: str, serve: Callable[..., AbstractContextManager[Any]], sql: Any, tmp_path: Path
) -> None:
    port = _free_port()
    with _worker(FINISHES_LATE, Place(url=f"http://127.0.0.1:{port}", token=TOKEN), tmp_path) as worker:
        assert worker.stdout is not None
        assert worker.stdin is not None
        with serve(database_url, port):
            assert worker.stdout.readline() == "ready\n"
        worker.stdin.write("\n")
        worker.stdin.flush()
        _poll(lambda: any((tmp_path / "spool").glob("*.json")))
        worker.kill()
        worker.wait()
    with serve(database_url, port) as server:
        first, second = [_flush(server, tmp_path) for _ in range(2)]

    assert (first.returncode, second.returncode) == (0, 0), first.stdout + first.stderr
    assert first.stdout.splitlines()[0].endswith(".json: delivered")
    assert second.stdout.startswith("0 sent")
    found = sql("SELECT trials.state, values FROM trials JOIN studies ON studies.id = study_id WHERE name = 'killed'")
    assert found == [("complete", [0.25])]


def _flush(server: Any, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tpeak.cli", "flush"]
    return subprocess.run(command, env=_environment(server, folder), capture_output=True, text=True, check=False)


@contextmanager
def _worker(program: str, server: Any, folder: Path) -> Iterator[subprocess.Popen[str]]:
    worker = subprocess.Popen(
        [sys.executable, "-c", program], env=_environment(server, folder), stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        with worker:
            try:
                yield worker
            finally:
                worker.kill()
    finally:
        worker.wait()


def _environment(server: Any, folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TPEAK_")}
    return kept | {"TPEAK_URL": server.url, "TPEAK_TOKEN": server.token, "TPEAK_SPOOL_DIR": str(folder / "spool")}


def _poll(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that within a minute"
        time.sleep(0.01)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
