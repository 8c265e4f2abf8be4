"""The data directory: what lies where, and the rules under which it is used.

It belongs to one user on one host, on a local disk; whoever runs PostgreSQL in it holds its lock.
"""

from __future__ import annotations

import os
import socket
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from tpeak_server.supervisor.account import Account, closed_to_others
from tpeak_server.supervisor.files import read_record, write_atomically
from tpeak_server.supervisor.mounts import network_type
from tpeak_server.supervisor.refusals import AlreadyRunning, Refused

LOCK_PATIENCE_S = 0.3
"""A client that looks whether the lock is taken holds it itself for a moment."""

MACHINE_ID_FILES = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))
OWN_NAMES = frozenset(
    {"lock", "host", "token", "server.json", "server.log", "server.log.1", "postgres.log", "postgres.log.1"}
)


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """Where everything lies in the data directory."""

    path: Path

    @property
    def lock_file(self) -> Path:
        return self.path / "lock"

    @property
    def host_file(self) -> Path:
        return self.path / "host"

    @property
    def token_file(self) -> Path:
        return self.path / "token"

    @property
    def server_file(self) -> Path:
        return self.path / "server.json"

    @property
    def postgres_log(self) -> Path:
        return self.path / "postgres.log"

    def pgdata(self, major: int) -> Path:
        """The database cluster of PostgreSQL's major version."""
        return self.path / f"postgres-{major}"

    def other_majors(self, major: int) -> list[Path]:
        """Clusters that another major version left."""
        folders = [folder for folder in self.path.glob("postgres-*") if folder.name[9:].isdigit()]
        return sorted(folder for folder in folders if folder != self.pgdata(major))

    def prepare(self, account: Account) -> None:
        """Makes the directory, or makes sure that it is fit for use. Raises Refused with the remedy."""
        self._refuse_network()
        self._make()
        if account.uid is not None and (closed := closed_to_others(self.path)):
            raise Refused(
                f"PostgreSQL does not run as root, and other users may not enter {closed}; "
                f"choose a data directory outside of it (--data-dir /var/lib/tpeak), or run tpeak as a normal user"
            )
        account.admit(self.path)

    @contextmanager
    def locked(self, account: Account) -> Iterator[None]:
        """Holds the directory's lock. Raises AlreadyRunning where another process holds it, Refused as `prepare`."""
        self.prepare(account)
        lock = FileLock(self.lock_file)
        try:
            lock.acquire(timeout=LOCK_PATIENCE_S)
        except Timeout:
            raise AlreadyRunning(self._who_runs()) from None
        try:
            # A record found now is of a supervisor that was killed: from here on it would be a lie.
            self.server_file.unlink(missing_ok=True)
            self._claim_for_this_host()
            yield
        finally:
            lock.release()

    def _refuse_network(self) -> None:
        if kind := network_type(self.path):
            raise Refused(
                f"the data directory {self.path} lies on a network file system ({kind}), which loses databases; "
                "name a local one with --data-dir (TPEAK_DATA_DIR), or use a PostgreSQL server with --database-url"
            )

    def _make(self) -> None:
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            entries = set(os.listdir(self.path))
            owner = self.path.stat().st_uid
        except OSError as error:
            raise Refused(
                f"the data directory {self.path} cannot be used: {error.strerror}; name another one with --data-dir"
            ) from error
        if sys.platform != "win32" and owner != os.geteuid():
            raise Refused(f"the data directory {self.path} belongs to another user; name one of yours with --data-dir")
        foreign = {entry for entry in entries if not _own(entry)}
        if self.host_file.name not in entries and foreign:
            # Its permissions are about to be narrowed to the owner's: not those of just any directory.
            raise Refused(
                f"{self.path} holds other things than tpeak's data ({min(foreign)}); "
                "name an empty or a new directory with --data-dir"
            )

    def _claim_for_this_host(self) -> None:
        mine = f"{socket.gethostname()} {machine_id()}".strip()
        try:
            found = self.host_file.read_text().strip()
        except FileNotFoundError:
            found = mine
        if not same_host(found, mine):
            raise Refused(
                f"the data directory {self.path} was last used by another host ({found.split(' ')[0]}); two hosts "
                f"that use it at once destroy it. If that host no longer uses it, delete {self.host_file}; "
                "otherwise name another directory with --data-dir"
            )
        write_atomically(self.host_file, mine + "\n")

    def _who_runs(self) -> str:
        record = read_record(self.server_file)
        where = f" at {record.url} (process {record.pid})" if record else ""
        return f"a tpeak server runs already{where} on {self.path}; `tpeak down` stops it"


def _own(entry: str) -> bool:
    """Whether the name is one that tpeak gives, or of a file that is being written to take such a name."""
    return entry in OWN_NAMES or (entry.startswith(".") and entry[1:].rpartition("-")[0] in OWN_NAMES)


def same_host(one: str, other: str) -> bool:
    """Whether two contents of a host file are of one host: by machine id, by name where one has no id."""
    name, _, identity = one.partition(" ")
    other_name, _, other_identity = other.partition(" ")
    if identity and other_identity:
        return identity == other_identity
    return name == other_name


def machine_id() -> str:
    """An id of this machine that survives a boot, "" where it has none."""
    for file in MACHINE_ID_FILES:
        try:
            if found := file.read_text().strip():
                return found
        except OSError:
            continue
    node = uuid.getnode()
    made_up = node >> 40 & 1
    return "" if made_up else f"{node:012x}"
