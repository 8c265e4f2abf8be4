"""Who this process is to the server."""

from __future__ import annotations

import os
import platform
import secrets
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tpeak._version import __version__

if TYPE_CHECKING:
    from tpeak.transport import Client


class Worker:
    """The identity under which this process asks: one a process, so a forked child gets its own.

    `job` are the batch system's ids for it, by variable name.
    """

    def __init__(self, job: Mapping[str, str] | None = None) -> None:
        self._job = dict(job or {})
        self._pid: int | None = None
        self._id = ""
        self._registered = False

    @property
    def host(self) -> str:
        """The machine's name, at most 255 characters."""
        return socket.gethostname()[:255] or "localhost"

    @property
    def id(self) -> str:
        """`host-pid-random`, at most 128 characters."""
        if self._pid != os.getpid():
            self._id = f"{socket.gethostname()[:100]}-{os.getpid()}-{secrets.token_hex(2)}"
            self._registered = False
            self._pid = os.getpid()
        return self._id

    def register(self, client: Client) -> None:
        """Make the process known to the server, once. Raises as any request does."""
        identity = {"id": self.id, "host": self.host, "pid": os.getpid(), "client_version": __version__}
        if not self._registered:
            client.post("/workers", {**identity, **self._circumstances()})
            self._registered = True

    def _circumstances(self) -> dict[str, Any]:
        found: dict[str, Any] = {"python": platform.python_version()}
        if self._job:
            found["job"] = self._job
        commit = git_commit(Path.cwd())
        if commit is not None:
            found["git_commit"] = commit
        return found


def git_commit(folder: Path) -> str | None:
    """The commit checked out in the folder or one above it, read from .git without running git; None if unclear."""
    try:
        git = next((each / ".git" for each in (folder, *folder.parents) if (each / ".git").is_dir()), None)
        if git is None:
            return None
        head = (git / "HEAD").read_text().strip()
        if not head.startswith("ref: "):
            return head or None
        return _commit_of(git, head.removeprefix("ref: "))
    except (OSError, UnicodeDecodeError):
        return None  # it is only for the record


def _commit_of(git: Path, branch: str) -> str | None:
    loose = git / branch
    if loose.is_file():
        return loose.read_text().strip() or None
    for line in (git / "packed-refs").read_text().splitlines():
        commit, _, name = line.partition(" ")
        if name == branch:
            return commit
    return None
