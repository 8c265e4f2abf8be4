"""The account that PostgreSQL runs under. It refuses to run as root, so root runs it as a user made for it.

Nobody's permissions are widened for that: where the account may not enter a directory, the start is refused, and
where it may not enter the installed programs, it gets a copy of them.
"""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tpeak_server.supervisor.refusals import Refused

NAME = "tpeak-postgres"
USERADD_TRIES = 20


@dataclass(frozen=True, slots=True)
class Account:
    """A user that processes can be started as; without ids it is whoever runs this one."""

    uid: int | None = None
    gid: int | None = None

    def popen_arguments(self) -> dict[str, int | list[int]]:
        """What makes `subprocess` start a process under the account, and in none of root's groups."""
        if self.uid is None or self.gid is None:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def owns(self, folder: Path) -> None:
        """Hands the folder to the account."""
        if self.uid is not None and self.gid is not None:
            os.chown(folder, self.uid, self.gid)

    def admit(self, folder: Path) -> None:
        """Makes the folder its owner's alone; the account may pass through it, not list it."""
        if self.gid is not None:
            os.chown(folder, -1, self.gid)
        folder.chmod(stat.S_IRWXU | (stat.S_IXGRP if self.gid is not None else 0))


def postgres_account() -> Account:
    """The account for PostgreSQL: of a normal user its own, of root one that is made where it is missing."""
    if sys.platform == "win32" or os.geteuid() != 0:
        return Account()
    import pwd

    for _ in range(USERADD_TRIES):
        try:
            entry = pwd.getpwnam(NAME)
        except KeyError:
            trouble = _useradd()
        else:
            return Account(entry.pw_uid, entry.pw_gid)
        # Another useradd may hold the lock on /etc/passwd, or just have made the account.
        time.sleep(0.1)
    raise Refused(
        f"PostgreSQL does not run as root, and the account {NAME!r} for it cannot be made ({trouble}); "
        "run tpeak as a normal user, or use another PostgreSQL with --database-url"
    )


def closed_to_others(folder: Path) -> Path | None:
    """The topmost parent of the folder that other users may not pass through."""
    return _first_closed(reversed(folder.resolve().parents))


def _first_closed(folders: Iterable[Path]) -> Path | None:
    for folder in folders:
        if folder.exists() and not folder.stat().st_mode & stat.S_IXOTH:
            return folder
    return None


def _useradd() -> str:
    command = ["useradd", "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", NAME]
    try:
        made = subprocess.run(command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    except OSError as error:
        return str(error)
    return made.stderr.strip()
