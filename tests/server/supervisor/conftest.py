"""Data directories and servers that leave nothing behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tpeak_server.config import Settings
from tpeak_server.supervisor.account import postgres_account
from tpeak_server.supervisor.directory import DataDirectory
from tpeak_server.supervisor.down import down
from tpeak_server.supervisor.postgres import embedded

Eventually = Callable[[Callable[[], object]], None]


@pytest.fixture(scope="session")
def eventually() -> Eventually:
    """Waits for what another process is about to do."""

    def wait(condition: Callable[[], object], seconds: float = 30.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(0.02)

    return wait


@pytest.fixture(scope="session")
def made_directory() -> Iterator[Path]:
    """A data directory with a database, to copy: making one takes a second."""
    with tempfile.TemporaryDirectory(prefix="tpeak-", dir="/tmp") as folder:
        directory, account = DataDirectory(Path(folder)), postgres_account()
        with directory.locked(account), embedded(directory, account, time.sleep):
            pass
        yield directory.path


@pytest.fixture
def empty_directory() -> Iterator[Path]:
    """A place for a data directory. Not below pytest's, which root's PostgreSQL may not enter."""
    folder = Path(tempfile.mkdtemp(prefix="tpeak-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def data_dir(empty_directory: Path, made_directory: Path) -> Iterator[Path]:
    """A data directory with a database, on which nothing runs, neither before nor after the test."""
    subprocess.run(["cp", "-a", f"{made_directory}/.", empty_directory], check=True)
    yield empty_directory
    down(Settings(data_dir=empty_directory), lambda said: None)


class Command:
    """`python -m tpeak_server ...`, and what it says."""

    def __init__(self, output: Path, arguments: tuple[str, ...], environment: dict[str, str]) -> None:
        self._output = output
        own = {name: value for name, value in os.environ.items() if not name.startswith("TPEAK_")}
        with output.open("wb") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "tpeak_server", *arguments],
                stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, env=own | environment,
            )  # fmt: skip

    @property
    def said(self) -> str:
        return self._output.read_text()

    @property
    def url(self) -> str:
        """Where it serves, "" before it is ready."""
        lines = [line.split() for line in self.said.splitlines()]
        return next((words[1] for words in lines if words[:1] == ["url"]), "")

    def ended(self) -> int:
        return self.process.wait(timeout=60)


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Callable[..., Command]]:
    """Starts a command; what still runs after the test is stopped."""
    begun: list[Command] = []

    def begin(*arguments: object, **environment: str) -> Command:
        begun.append(Command(tmp_path / f"said-{len(begun)}", tuple(map(str, arguments)), environment))
        return begun[-1]

    yield begin
    for each in begun:
        if each.process.poll() is None:
            each.process.terminate()
        each.ended()


@pytest.fixture
def serve(command: Callable[..., Command], eventually: Eventually) -> Callable[..., Command]:
    """Starts a server on a free port and waits until it is ready."""

    def begin(*arguments: object, **environment: str) -> Command:
        server = command("serve", "--port", "0", *arguments, **environment)
        eventually(lambda: server.url or server.process.poll() is not None)
        assert server.url, server.said
        return server

    return begin
