"""Results that could not be delivered, on disk until the server takes them.

One file a request, `<time>-<pid>-<random>.json`: the parcel's fields, no token. It is written as `.part`, flushed to
the disk and renamed, so that a `.json` is always whole. Several processes may share the directory, and several may send
the same file: the server answers a repeated tell as it did the first time. A thousand that all began with the oldest
would send each file a thousand times, so each takes the writers in an order of its own, and a writer's files in theirs:
reports go before their trial's result.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import random
import secrets
import time
import warnings
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tpeak.errors import Conflict, Invalid, NotFound, StudyNotFound, TpeakError, Unauthorized, Unavailable
from tpeak.parcel import Parcel, from_json

if TYPE_CHECKING:
    from tpeak.transport import Client

REFUSALS = (Conflict, Invalid, NotFound)
"""The server's last word on a result. All else may pass: a dead server, an old token, a proxy's page, an interrupt."""

log = logging.getLogger("tpeak")

ABANDONED_S = 3600.0
"""A `.part` that is older than this is nobody's any more: its writer was killed."""


GONE = (errno.ENOENT, errno.ESTALE)
"""What reading a file meets that another process removed; the second over NFS."""


class Fate(Enum):
    """What became of a file that was to be sent. All but the last four leave nothing on disk."""

    DELIVERED = "delivered"
    ADDED = "added as a new trial, since the server's database was restored from a backup"
    SUPERSEDED = "not needed"
    GONE = "sent by another process"
    ELSEWHERE = "left for another server"
    REFUSED = "left: it cannot be sent"
    UNREACHABLE = "left: no answer"
    UNAUTHORIZED = "left: the token is refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """One try to send a file: what became of it, and the server's words or URL about it."""

    file: Path
    fate: Fate
    detail: str = ""


class Spool:
    """The directory `folder`, made (0700) when the first result must be kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._look = True  # a former process may have left results
        self._refused: set[str] = set()

    def deliver(
        self,
        client: Client,
        parcel: Parcel,
        *,
        deadline_s: float | None = None,
        attempt_s: float | None = None,
        kept: list[Path] | None = None,
    ) -> Any:
        """The server's reply, or None where there was none in time: then the body is on disk, and a warning says where.

        It is on disk from the first failed attempt on, so that a worker killed while it retries loses nothing.
        Raises the server's refusal; with the body on disk StudyNotFound and whatever else is not Unavailable (a refused
        token, say), and that one where the disk cannot take the body either. Where a signal interrupts it, `kept` says
        where, and a second call goes on.
        """
        kept = [] if kept is None else kept

        def keep() -> None:
            if not kept:
                kept.extend(self._keep(parcel))

        try:
            reply = parcel.send(client, deadline_s=deadline_s, attempt_s=attempt_s, before_retry=keep)
        except StudyNotFound as refusal:
            keep()  # a deleted study would still be known: the server has another database, by mistake perhaps
            where = f" The result is kept in {kept[0]}, for when the server has its database again." if kept else ""
            raise StudyNotFound(f"{refusal}.{where}") from None
        except REFUSALS:
            _discard(kept)
            raise
        except Unavailable as failure:
            keep()
            if not kept:
                raise
            warnings.warn(f"{failure} The result is kept in {kept[0]} and will be sent later.", stacklevel=2)
            return None
        except Unauthorized as refusal:
            keep()
            raise Unauthorized(f"{refusal}. {_how_to_renew(client, kept)}") from None
        except BaseException:
            keep()  # a proxy's page, or a signal: whether it arrived is unknown
            raise
        _discard(kept)
        return reply

    def put_off(self, parcel: Parcel, *, kept: list[Path] | None = None) -> None:
        """Keep the body on disk behind others that its server does not take yet, without a try to send it.

        A warning says where. Raises Unavailable where the disk does not take it.
        """
        files = self._keep(parcel)
        if not files:
            raise Unavailable(f"{parcel.url} does not answer, and {self.folder} does not take what it was to get")
        if kept is not None:
            kept.extend(files)
        warnings.warn(f"The result is kept in {files[0]} and will be sent later.", stacklevel=2)

    def resend(self, client: Client, *, look: bool = False, attempt_s: float | None = None) -> None:
        """Send what is kept for this server; never raises for the server's sake.

        It reads the directory only where something is known to be there, at its first call, or if told to `look`; then
        it tries even what was refused.
        """
        if not (self._look or look):
            return
        self._look = False
        for file in _shuffled(self._files()):
            known = file.name in self._refused
            if known and not look:
                continue
            sending = self._send(client, file, named=False, deadline_s=0.0, attempt_s=attempt_s)
            log.log(logging.INFO if sending.fate is Fate.SUPERSEDED else logging.DEBUG, "%s", sending)
            if sending.fate is Fate.REFUSED:
                # Left where it is: an unreadable file or a refused result is for the user to look at.
                self._refused.add(file.name)
                if not known:
                    warnings.warn(f"the result kept in {file} cannot be sent: {sending.detail}", stacklevel=3)
            elif sending.fate is Fate.UNAUTHORIZED:
                warnings.warn(f"{sending.detail}. {_how_to_renew(client, [file])}", stacklevel=3)
                return
            elif sending.fate is Fate.UNREACHABLE:
                self._look = True
                return

    def flush(self, client: Client) -> Iterator[Sending]:
        """Try to send all that is kept for this server, at whatever address; and say of each file what became of it."""
        self._adopt()
        silent: Sending | None = None
        for file in self._files():
            if silent is None:
                sending = self._send(client, file, named=True)
                silent = sending if sending.fate in (Fate.UNREACHABLE, Fate.UNAUTHORIZED) else None
            else:  # the others would wait for the same dead server
                sending = self._unsent(client, file, silent)
            yield sending

    def _send(
        self,
        client: Client,
        file: Path,
        *,
        named: bool,
        deadline_s: float | None = None,
        attempt_s: float | None = None,
    ) -> Sending:
        try:
            parcel = from_json(json.loads(file.read_bytes()))
            if not parcel.is_for(client, named=named, deadline_s=deadline_s):
                return Sending(file=file, fate=Fate.ELSEWHERE, detail=parcel.url)
            reply = parcel.send(client, deadline_s=deadline_s, attempt_s=attempt_s)
        except Unavailable as failure:
            return Sending(file=file, fate=Fate.UNREACHABLE, detail=str(failure))
        except Unauthorized as refusal:
            return Sending(file=file, fate=Fate.UNAUTHORIZED, detail=str(refusal))
        except Conflict as refusal:
            _discard([file])
            return Sending(file=file, fate=Fate.SUPERSEDED, detail=str(refusal))
        except (OSError, ValueError, TypeError, TpeakError) as failure:
            if isinstance(failure, OSError) and failure.errno in GONE:
                return Sending(file=file, fate=Fate.GONE)
            return Sending(file=file, fate=Fate.REFUSED, detail=str(failure))
        _discard([file])
        return Sending(file=file, fate=Fate.ADDED if "numbers" in reply else Fate.DELIVERED)

    def _unsent(self, client: Client, file: Path, silent: Sending) -> Sending:
        try:
            url = from_json(json.loads(file.read_bytes())).url
        except (OSError, ValueError, TypeError) as failure:
            return Sending(file=file, fate=Fate.REFUSED, detail=str(failure))
        if url != client.url:
            return Sending(file=file, fate=Fate.ELSEWHERE, detail=url)
        return Sending(file=file, fate=silent.fate, detail=silent.detail)

    def _adopt(self) -> None:
        """Give whole files their name whose writer was killed before the renaming; what is not whole is nothing."""
        for part in self.folder.glob("*.part"):
            try:
                if time.time() - part.stat().st_mtime > ABANDONED_S:
                    from_json(json.loads(part.read_bytes()))
                    part.rename(part.with_suffix(".json"))
            except (ValueError, TypeError):
                _discard([part])
            except OSError as failure:
                log.debug("%s: %s", part, failure)

    def _files(self) -> list[Path]:
        try:
            return sorted(self.folder.glob("*.json"))
        except OSError as failure:
            log.debug("cannot list %s: %s", self.folder, failure)
            return []

    def _keep(self, parcel: Parcel) -> list[Path]:
        """The file that now holds the request, durably; none, with a warning, where the disk does not take it."""
        name = f"{time.time_ns()}-{os.getpid()}-{secrets.token_hex(4)}"
        partial = self.folder / f"{name}.part"
        try:
            if not self.folder.exists():
                self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                _sync(self.folder.parent)
            _write(partial, parcel.to_json())
            file = partial.rename(self.folder / f"{name}.json")
            _sync(self.folder)
        except OSError as failure:
            _discard([partial])
            warnings.warn(f"a result cannot be kept on disk in {self.folder}: {failure}", stacklevel=4)
            return []
        self._look = True
        return [file]


def _shuffled(files: list[Path]) -> list[Path]:
    """The files, the writers in any order, those of one in theirs."""
    by_writer = defaultdict(list)
    for file in files:
        by_writer[file.name.partition("-")[2].partition("-")[0]].append(file)
    writers = list(by_writer.values())
    random.shuffle(writers)
    return list(chain.from_iterable(writers))


def _how_to_renew(client: Client, kept: list[Path]) -> str:
    where = f"The result is kept in {kept[0]}. " if kept else ""
    return (
        f"{where}Set TPEAK_TOKEN to a token that {client.url} takes (or renew the file that TPEAK_CONNECT_FILE names), "
        "then run `tpeak flush`"
    )


def _write(file: Path, content: bytes) -> None:
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _sync(folder: Path) -> None:
    """Make a new name in the folder durable."""
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
