"""Settings: read here, from arguments and environment, and nowhere else.

| argument | variable | meaning |
|---|---|---|
| --database-url | TPEAK_DATABASE_URL | a PostgreSQL to use; without one, the embedded one |
| --data-dir | TPEAK_DATA_DIR | where the embedded PostgreSQL, the token and the logs live |
| --host, --port | TPEAK_HOST, TPEAK_PORT | where to listen (127.0.0.1:8765); port 0 takes any free one |
| --token-file | TPEAK_TOKEN_FILE | a file that holds the token |
| | TPEAK_TOKEN | the token itself |
| --processes | TPEAK_PROCESSES | how many processes answer (1) |
| --idle-timeout | | leave after this many seconds without a request |
| --connect-file | | write URL and token there, for workers |
| --restored | | of `tpeak migrate`: the database came out of a backup |

An argument wins over a variable, and an empty variable counts as none.
"""

from __future__ import annotations

import ipaddress
import math
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8765
DATABASE_SCHEMES = frozenset({"postgresql", "postgres", "postgresql+psycopg"})


class SettingsError(Exception):
    """A setting that cannot be; the message names it and says what it should be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What one start of the server was asked to do. Secrets stay out of its repr."""

    data_dir: Path
    database_url: str | None = field(default=None, repr=False)
    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    token: str | None = field(default=None, repr=False)
    token_file: Path | None = None
    processes: int = 1
    idle_timeout_s: float | None = None
    connect_file: Path | None = None
    restored: bool = False

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        return is_loopback(self.host)


def read(arguments: Mapping[str, Any], environment: Mapping[str, str]) -> Settings:
    """The settings. Raises SettingsError for the first that cannot be."""
    given = _Given(arguments, environment)
    data_dir = given.path("data_dir", "TPEAK_DATA_DIR") or default_data_dir(environment)
    token_file = given.path("token_file")
    token = None if token_file else environment.get("TPEAK_TOKEN") or None
    if token is None and token_file is None:
        token_file = given.path("token_file", "TPEAK_TOKEN_FILE")
    return Settings(
        data_dir=data_dir,
        database_url=_database_url(given.text("database_url", "TPEAK_DATABASE_URL")),
        host=given.text("host", "TPEAK_HOST") or DEFAULT_HOST,
        port=given.integer("port", "TPEAK_PORT", least=0, most=65535, default=DEFAULT_PORT),
        token=token,
        token_file=token_file,
        processes=given.integer("processes", "TPEAK_PROCESSES", least=1, most=32, default=1),
        idle_timeout_s=_positive_seconds(given.text("idle_timeout")),
        connect_file=given.path("connect_file"),
        restored=bool(arguments.get("restored")),
    )


def default_data_dir(environment: Mapping[str, str]) -> Path:
    """Where a user's data lives on this system; the client looks in the same place.

    Root's is not below its home: PostgreSQL refuses to run as root, and no other user may enter that home.
    """
    if sys.platform == "win32":
        return Path(environment.get("LOCALAPPDATA") or os.path.expanduser("~\\AppData\\Local")) / "tpeak"
    if os.geteuid() == 0:
        return Path("/var/lib/tpeak")
    if sys.platform == "darwin":
        return Path(os.path.expanduser("~/Library/Application Support/tpeak"))
    return Path(environment.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")).absolute() / "tpeak"


def is_loopback(host: str) -> bool:
    """Whether the host is this machine as only this machine sees it."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def masked(database_url: str) -> str:
    """The URL without its password and its query, which may hold one too."""
    parts = urlsplit(database_url)
    login, at, place = parts.netloc.rpartition("@")
    user, colon, _ = login.partition(":")
    return f"{parts.scheme}://{user}{':***' if colon else ''}{at}{place}{parts.path}"


@dataclass(frozen=True, slots=True)
class _Given:
    """Arguments and variables, looked up together."""

    arguments: Mapping[str, Any]
    environment: Mapping[str, str]

    def text(self, argument: str, variable: str | None = None) -> str | None:
        given: str | None = self.arguments.get(argument)
        if given is not None:
            return given
        return (self.environment.get(variable) or None) if variable else None

    def path(self, argument: str, variable: str | None = None) -> Path | None:
        given = self.text(argument, variable)
        return Path(given).expanduser().absolute() if given else None

    def integer(self, argument: str, variable: str, *, least: int, most: int, default: int) -> int:
        given = self.text(argument, variable)
        if given is None:
            return default
        if not (given.isascii() and given.isdigit() and least <= int(given) <= most):
            source = f"--{argument}" if self.arguments.get(argument) is not None else variable
            raise SettingsError(f"{source} must be a whole number from {least} to {most}, got {given!r}")
        return int(given)


def _database_url(given: str | None) -> str | None:
    if given is None:
        return None
    # The value is not shown: it may hold a password.
    try:
        scheme = urlsplit(given).scheme
    except ValueError:
        scheme = ""
    if scheme not in DATABASE_SCHEMES:
        raise SettingsError(
            "the database URL (--database-url, TPEAK_DATABASE_URL) must read postgresql://user:password@host/name; "
            "leave it out to use the embedded PostgreSQL"
        )
    return given


def _positive_seconds(given: str | None) -> float | None:
    if given is None:
        return None
    try:
        seconds = float(given)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise SettingsError(f"--idle-timeout must be a positive number of seconds, got {given!r}")
    return seconds
