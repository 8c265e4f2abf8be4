"""Finds the server, and holds what this process needs to work with it. What the environment says of both:

| variable | meaning |
|---|---|
| TPEAK_URL | the server's URL, where `storage=` is not given |
| TPEAK_TOKEN | the token for it |
| TPEAK_CONNECT_FILE | a JSON file `{"url", "token"}`, as `tpeak server --connect-file` writes it |
| TPEAK_ALLOW_HTTP | 1: send the token over plain http to another host |
| TPEAK_DEADLINE_S | how long a request is repeated, in seconds (60) |
| TPEAK_SPOOL_DIR | where undeliverable results are kept (`tpeak/spool` in the user's state directory) |
| SLURM_JOB_END_TIME | Slurm's own: when the job ends, in Unix seconds, where `optimize` is told no `wall_time` |
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from tpeak.errors import InvalidConnection, TpeakError
from tpeak.heartbeat import Heartbeat
from tpeak.spool import Spool
from tpeak.worker import Worker

if TYPE_CHECKING:
    from tpeak.transport import Client

log = logging.getLogger("tpeak")

JOB_VARIABLES = (
    "SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_PROCID", "PBS_JOBID", "LSB_JOBID", "JOB_ID",
    "RANK",
)  # fmt: skip
"""What batch systems and launchers call a job and its parts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """A server as this process uses it; `storage=` takes one too. It pickles with its token."""

    client: Client
    spool: Spool
    heartbeat: Heartbeat
    worker: Worker

    def __repr__(self) -> str:
        return f"Connection({self.client.url!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        client = self.client
        return _reconnect, (client.url, client.token, client.allow_http, client.deadline_s)

    def introduce(self) -> None:
        """What precedes an ask: the worker is known to the server, and results kept by a former process are sent."""
        self.worker.register(self.client)
        self.spool.resend(self.client)

    def incarnation(self) -> str | None:
        """Which life of the database the server speaks of, None where that is not to be had now."""
        try:
            return self.client.incarnation(deadline_s=0.0)
        except TpeakError as failure:
            log.debug("no incarnation: %s", failure)
            return None


Storage: TypeAlias = str | Connection | None


def connect(storage: Storage = None) -> Connection:
    """The connection for `storage=`: a URL, a Connection, or None to look around as this module's table says.

    Without any of it the user's local server is joined, or started. Raises InvalidConnection where that leads nowhere.
    """
    if isinstance(storage, Connection):
        return storage
    if not isinstance(storage, (str, type(None))):
        raise TypeError(
            f"storage must be a server's URL, such as http://127.0.0.1:8765, got a {type(storage).__name__}; "
            "the server has the database"
        )
    url, token = locate(storage, os.environ)
    deadline_s = _seconds(os.environ.get("TPEAK_DEADLINE_S"))
    return _reconnect(url, token, os.environ.get("TPEAK_ALLOW_HTTP") == "1", deadline_s)


def locate(storage: str | None, environment: Mapping[str, str]) -> tuple[str, str | None]:
    """URL and token of the server to use."""
    url = storage or environment.get("TPEAK_URL")
    token = environment.get("TPEAK_TOKEN") or None
    connect_file = environment.get("TPEAK_CONNECT_FILE")
    if not url:
        if connect_file:
            url, filed_token = read_connect_file(Path(connect_file))
            return url, filed_token or token
        from tpeak import local

        return local.join_or_start()
    return url, token or _token_at_hand(url, connect_file)


def read_connect_file(file: Path) -> tuple[str, str | None]:
    """URL and token from the file. Raises InvalidConnection where it cannot be read or says something else."""
    try:
        found = json.loads(file.read_bytes())
        url, token = found["url"], found.get("token")
        if not isinstance(url, str) or not isinstance(token, (str, type(None))):
            raise TypeError
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        # The content is not shown: it holds a token.
        raise InvalidConnection(
            f"no url and token in the connect file {file}: {type(error).__name__}; "
            "`tpeak server --connect-file` writes it"
        ) from None
    return url, token


def _token_at_hand(url: str, connect_file: str | None) -> str | None:
    """The token that this machine keeps for the URL."""
    from tpeak.addresses import clean_url, is_loopback

    url = clean_url(url)
    if connect_file:
        filed_url, token = read_connect_file(Path(connect_file))
        if clean_url(filed_url) == url:
            return token
    if not is_loopback(url):
        return None
    from tpeak import local

    return local.token_for(url)


_connections: dict[tuple[str, str | None], Connection] = {}
_heartbeat = Heartbeat()


def _reconnect(url: str, token: str | None, allow_http: bool, deadline_s: float | None) -> Connection:
    """The one connection of this process for the URL and token. httpx is imported only now."""
    from tpeak.addresses import clean_url
    from tpeak.transport import DEADLINE_S, Client

    key = clean_url(url), token
    if key not in _connections:
        client = Client(url, token, allow_http=allow_http, deadline_s=DEADLINE_S if deadline_s is None else deadline_s)
        connection = Connection(
            client=client, spool=Spool(_spool_folder(os.environ)), heartbeat=_heartbeat, worker=Worker(_job(os.environ))
        )
        _connections.setdefault(key, connection)  # of two threads, one makes it
    return _connections[key]


def _spool_folder(environment: Mapping[str, str]) -> Path:
    if environment.get("TPEAK_SPOOL_DIR"):
        return Path(environment["TPEAK_SPOOL_DIR"])
    state = environment.get("XDG_STATE_HOME") or environment.get("LOCALAPPDATA")
    return Path(state or os.path.expanduser("~/.local/state")) / "tpeak" / "spool"


def job_end(environment: Mapping[str, str]) -> float | None:
    """When the batch system will end this job, in Unix seconds; None where it does not say."""
    try:
        return float(environment["SLURM_JOB_END_TIME"])
    except (KeyError, ValueError):
        return None


def _job(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: environment[name] for name in JOB_VARIABLES if name in environment}


def _seconds(text: str | None) -> float | None:
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise InvalidConnection(f"TPEAK_DEADLINE_S must be a number of seconds, got {text!r}")
    return seconds
