"""The server is killed with SIGKILL in the middle of a study, and starts again: nothing is lost, nothing doubled."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

WORKERS = 8
TRIALS = 240
KILL_AT = 60
"""Finished trials at which the server is killed, well before the end."""

# Each result is on disk before it is told, so that what the server acknowledged can be compared with what it has.
WORKER = f"""
import json, os, sys, tpeak
log = open(sys.argv[1], "a")
def objective(trial):
    x = trial.suggest_float("x", -1.0, 1.0)
    for step in range(3):
        trial.report(x * x + 1.0 / (step + 1), step)
        trial.should_prune()
    return x * x
def told(study, trial):
    log.write(json.dumps([trial.number, trial.value]) + "\\n")
    log.flush()
    os.fsync(log.fileno())
pruner = tpeak.pruners.NopPruner()
study = tpeak.create_study(study_name="killed", load_if_exists=True, max_trials={TRIALS}, pruner=pruner)
study.optimize(objective, callbacks=[told])
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A directory that the account PostgreSQL runs under can enter."""
    with tempfile.TemporaryDirectory(prefix="tpeak-chaos-", dir="/tmp", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o711)
        yield Path(name)


def test_every_told_result_is_there_once_after_the_server_was_killed(folder: Path) -> None:
    logs = [folder / f"worker-{number}.jsonl" for number in range(WORKERS)]
    with ExitStack() as stack:
        port = _free_port()
        first = stack.enter_context(_server(folder, port))
        api = stack.enter_context(_api(folder))
        workers = [stack.enter_context(_worker(folder, log)) for log in logs]
        _poll(lambda: sum(_lines(log) for log in logs) >= KILL_AT)
        _kill_all(first)
        finished_before = sum(_lines(log) for log in logs)
        stack.enter_context(_server(folder, port))
        assert [worker.wait(120) for worker in workers] == [0] * WORKERS
        (study,) = api.get("/studies", params={"name": "killed"}).json()["studies"]
        trials = api.get(f"/studies/{study['id']}/trials").json()["trials"]

    told = [tuple(json.loads(line)) for log in logs for line in log.read_text().splitlines()]
    assert finished_before < TRIALS
    assert [trial["number"] for trial in trials] == list(range(TRIALS))
    assert {trial["state"] for trial in trials} == {"complete"}
    assert sorted(told) == [(trial["number"], trial["values"][0]) for trial in trials]
    assert all([report["step"] for report in trial["reports"]] == [0, 1, 2] for trial in trials)


@contextmanager
def _server(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    connect_file = folder / "connect.json"
    connect_file.unlink(missing_ok=True)
    command = [sys.executable, "-m", "tpeak_server", "serve", "--port", str(port), "--data-dir", str(folder / "data")]
    server = subprocess.Popen([*command, "--connect-file", str(connect_file)], env=_clean())
    try:
        _poll(connect_file.exists)
        yield server
    finally:
        server.terminate()
        server.wait(40)


@contextmanager
def _worker(folder: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    log.touch()
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(log)],
        env={**_clean(), "TPEAK_CONNECT_FILE": str(folder / "connect.json"), "TPEAK_SPOOL_DIR": str(folder / "spool")},
    )
    try:
        yield worker
    finally:
        worker.kill()
        worker.wait()


@contextmanager
def _api(folder: Path) -> Iterator[httpx.Client]:
    content = json.loads((folder / "connect.json").read_text())
    headers = {"Authorization": f"Bearer {content['token']}"}
    with httpx.Client(base_url=f"{content['url']}/api/v1", headers=headers, timeout=30) as client:
        yield client


def _kill_all(server: subprocess.Popen[bytes]) -> None:
    """SIGKILL for the supervisor and for the processes that it started to answer requests."""
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    serving = [int(pid) for pid in children if b"tpeak_server" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    assert len(serving) == 1
    for pid in [server.pid, *serving]:
        os.kill(pid, signal.SIGKILL)
    server.wait()


def _poll(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that within a minute"
        time.sleep(0.01)


def _lines(log: Path) -> int:
    return log.read_bytes().count(b"\n")


def _clean() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("TPEAK_")}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
