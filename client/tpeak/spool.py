"""Results that could not be delivered, on disk until the server takes them.

One file a request, `<time>-<pid>-<random>.json`: `{"url", "path", "body"}`, no token. Several processes may share the
directory, and several may send the same file: the server answers a repeated tell as it did the first time.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tpeak.errors import Conflict, Invalid, NotFound, TpeakError, Unavailable
from tpeak.wire import encode

if TYPE_CHECKING:
    from tpeak.transport import Client

REFUSALS = (Conflict, Invalid, NotFound)
"""The server's last word on a result. All else may pass: a dead server, an old token, a proxy's page, an interrupt."""

log = logging.getLogger("tpeak")


class Spool:
    """The directory `folder`, made (0700) when the first result must be kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._look = True  # a former process may have left results
        self._refused: set[str] = set()

    def deliver(self, client: Client, path: str, body: dict[str, Any], *, deadline_s: float | None = None) -> Any:
        """The server's reply, or None where there was none in time: then the body is on disk, and a warning says where.

        It is on disk from the first failed attempt on, so that a worker killed while it retries loses nothing.
        Raises the server's refusal; with the body on disk whatever else is not Unavailable, and that one where the
        disk cannot take the body either.
        """
        kept: list[Path] = []

        def keep() -> None:
            if not kept:
                kept.extend(self._keep(client.url, path, body))

        try:
            reply = client.request("POST", path, content=encode(body), deadline_s=deadline_s, before_retry=keep)
        except REFUSALS:
            _discard(kept)
            raise
        except BaseException as failure:
            keep()
            if not kept or not isinstance(failure, Unavailable):
                raise
            warnings.warn(f"{failure} The result is kept in {kept[0]} and will be sent later.", stacklevel=2)
            return None
        _discard(kept)
        return reply

    def resend(self, client: Client, *, look: bool = False) -> None:
        """Send what is kept for this server; never raises for the server's sake.

        It reads the directory only where something is known to be there, at its first call, or if told to `look`.
        """
        if not (self._look or look):
            return
        self._look = False
        for file in self._files():
            if file.name not in self._refused and not self._resent(client, file):
                self._look = True
                return

    def _resent(self, client: Client, file: Path) -> bool:
        """Whether to go on with the next file: not where the server is out of reach."""
        try:
            entry = json.loads(file.read_bytes())
            if entry["url"] != client.url:
                return True
            client.request("POST", entry["path"], content=encode(entry["body"]), deadline_s=0.0)
        except Unavailable:
            return False
        except Conflict as refusal:
            log.info("%s: the server has another result: %s", file, refusal)
        except FileNotFoundError:
            return True  # another process was faster
        except (OSError, ValueError, KeyError, TypeError, TpeakError) as failure:
            # Left where it is: an unreadable file or a refused token is for the user to look at.
            self._refused.add(file.name)
            warnings.warn(f"the result kept in {file} cannot be sent: {failure}", stacklevel=4)
            return True
        _discard([file])
        return True

    def _files(self) -> list[Path]:
        try:
            return sorted(self.folder.glob("*.json"))
        except OSError as failure:
            log.debug("cannot list %s: %s", self.folder, failure)
            return []

    def _keep(self, url: str, path: str, body: dict[str, Any]) -> list[Path]:
        """The file that now holds the request, durably; none, with a warning, where the disk does not take it."""
        name = f"{time.time_ns()}-{os.getpid()}-{secrets.token_hex(4)}"
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            partial = self.folder / f"{name}.part"
            _write(partial, encode({"url": url, "path": path, "body": body}))
            file = partial.rename(self.folder / f"{name}.json")
            _sync(self.folder)
        except OSError as failure:
            warnings.warn(f"a result cannot be kept on disk in {self.folder}: {failure}", stacklevel=4)
            return []
        self._look = True
        return [file]


def _write(file: Path, content: bytes) -> None:
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _sync(folder: Path) -> None:
    """Make the renaming itself durable."""
    if os.name == "nt":  # where a directory cannot be opened
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _discard(files: list[Path]) -> None:
    for file in files:
        try:
            file.unlink(missing_ok=True)
        except OSError as failure:
            log.debug("cannot remove %s: %s", file, failure)  # sent again some day, and answered as before
