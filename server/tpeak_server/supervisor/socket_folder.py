"""Where PostgreSQL's socket lies. Whoever reaches it reaches the data, so the folder is one user's alone."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from contextlib import suppress
from pathlib import Path

from tpeak_server.supervisor.account import Account
from tpeak_server.supervisor.refusals import Refused

PORT = 5432
"""Part of the socket's name; no port is opened."""

PATH_BYTES = 100
"""Below what every system takes for a socket's path (macOS 103, Linux 107)."""

PLAIN_PATH = re.compile(r"[A-Za-z0-9._/~+@-]+")
"""Paths that need no quoting where PostgreSQL reads a list of them."""

SHORT = Path("/tmp")  # noqa: S108


def socket_folder(pgdata: Path) -> Path:
    """The cluster itself; a short folder where that path is too long for a socket, or would need quoting."""
    longest = os.fsencode(pgdata / f".s.PGSQL.{PORT}.lock")
    if len(longest) <= PATH_BYTES and PLAIN_PATH.fullmatch(str(pgdata)):
        return pgdata
    return SHORT / f"tpeak-{hashlib.sha256(os.fsencode(pgdata)).hexdigest()[:16]}"


def make_private(folder: Path, account: Account) -> None:
    """The folder is made, or is already, the account's alone. Raises Refused where it is another user's."""
    owner = os.geteuid() if account.uid is None else account.uid
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        account.owns(folder)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner or found.st_mode & 0o077:
        raise Refused(
            f"{folder}, where PostgreSQL's socket should be, is not this user's alone; "
            "remove it, or choose a --data-dir with a shorter path of letters and digits"
        )


def remove(folder: Path, pgdata: Path) -> None:
    """Removes a short folder; one that is still used stays."""
    if folder != pgdata:
        with suppress(OSError):
            folder.rmdir()
