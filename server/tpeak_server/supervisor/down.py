"""`tpeak down`: stops the local server and its PostgreSQL, whatever is left of them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

from tpeak_server.config import Settings
from tpeak_server.supervisor.account import postgres_account
from tpeak_server.supervisor.directory import DataDirectory
from tpeak_server.supervisor.files import read_record
from tpeak_server.supervisor.postgres import Postgres
from tpeak_server.supervisor.processes import command_of
from tpeak_server.supervisor.refusals import AlreadyRunning, Refused

PATIENCE_S = 90.0
"""More than children and PostgreSQL may take together."""


def down(settings: Settings, say: Callable[[str], None]) -> int:
    """Stops what runs on the data directory; the exit code. Raises Refused where it does not end."""
    directory = DataDirectory(settings.data_dir)
    if not directory.lock_file.exists():
        say(f"nothing runs on {directory.path}")
        return 0
    account = postgres_account()
    stopped = False
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            with directory.locked(account):
                left = Postgres(directory, account).stop()
            break
        except AlreadyRunning:
            stopped = _terminate(directory) or stopped
        if time.monotonic() > deadline:
            raise Refused(
                f"what runs on {directory.path} did not end within {PATIENCE_S:.0f} s; look for its processes"
            )
    say(f"stopped what ran on {directory.path}" if stopped or left else f"nothing runs on {directory.path}")
    return 0


def _terminate(directory: DataDirectory) -> bool:
    """Asks the supervisor to stop; False while it has not said yet who it is: it is starting, or leaving."""
    record = read_record(directory.server_file)
    if record is None or not _is_supervisor(record.pid):
        return False
    try:
        os.kill(record.pid, signal.SIGTERM)
    except ProcessLookupError:
        return False
    except PermissionError:
        raise Refused(f"process {record.pid} belongs to another user; run `tpeak down` as that one") from None
    return True


def _is_supervisor(pid: int) -> bool:
    """Whether the process is a supervisor: a killed one's id may be another's by now."""
    command = command_of(pid)
    return "tpeak_server" in command and "serve" in command
