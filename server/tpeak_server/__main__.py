"""`python -m tpeak_server`: the composition root. The `tpeak` command of the client calls it."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence

from tpeak_server import __version__, config
from tpeak_server.supervisor.refusals import AlreadyRunning, Interrupted, Refused

FAILED = 1
USAGE = 2
RUNS_ALREADY = 3
INTERRUPTED = 130
"""Exit codes; the client, which starts servers, knows RUNS_ALREADY."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; the exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(process)d %(name)s: %(message)s")
    given = _parse(arguments)
    try:
        return _run(given.command, config.read(vars(given), os.environ))
    except config.SettingsError as error:
        return _complain(error, USAGE)
    except AlreadyRunning as error:
        return _complain(error, RUNS_ALREADY)
    except Refused as error:
        return _complain(error, FAILED)
    except (Interrupted, KeyboardInterrupt):
        return INTERRUPTED


def _run(command: str, settings: config.Settings) -> int:
    # What a command does not need is not imported: of many servers started at once all but one leave at the lock.
    match command:
        case "serve":
            from tpeak_server.supervisor.serve import serve

            return serve(settings, _say)
        case "migrate":
            from tpeak_server.supervisor.migration import migrate_by_hand

            return migrate_by_hand(settings, _say)
        case _:
            from tpeak_server.supervisor.down import down

            return down(settings, _say)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    given, unknown = _parser().parse_known_args(arguments)
    if unknown:
        # Left to argparse this would be the error of `python -m tpeak_server`, which nobody typed.
        given.refuse(f"unrecognized arguments: {' '.join(unknown)}")
    return given


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tpeak_server", description="The server of tpeak.")
    parser.add_argument("--version", action="version", version=f"tpeak {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    database = argparse.ArgumentParser(add_help=False)
    database.add_argument(
        "--data-dir", metavar="PATH", help="data directory of the embedded PostgreSQL (TPEAK_DATA_DIR)"
    )
    database.add_argument(
        "--database-url", metavar="URL",
        help="a PostgreSQL 14 or newer, postgresql://user:password@host/name; without one the embedded PostgreSQL is "
        "used (TPEAK_DATABASE_URL, which keeps a password out of the list of processes)",
    )  # fmt: skip
    serve = commands.add_parser("serve", prog="tpeak server", help="serve studies", parents=[database])
    serve.add_argument("--host", help="address to listen on (TPEAK_HOST, 127.0.0.1); others than loopback need a token")
    serve.add_argument("--port", help="port to listen on (TPEAK_PORT, 8765); 0 takes a free one")
    serve.add_argument(
        "--token-file", metavar="PATH", help="file with the token (TPEAK_TOKEN_FILE; or set TPEAK_TOKEN)"
    )
    serve.add_argument(
        "--connect-file", metavar="PATH", help="write URL and token there, for TPEAK_CONNECT_FILE of workers"
    )
    serve.add_argument("--processes", metavar="N", help="number of server processes (TPEAK_PROCESSES, 1)")
    serve.add_argument("--idle-timeout", metavar="SECONDS", help="leave after this long without a request")
    migrate = commands.add_parser(
        "migrate", prog="tpeak migrate", help="bring the schema up to date", parents=[database]
    )
    migrate.add_argument(
        "--restored", action="store_true",
        help="the database came out of a backup as a whole data directory (a snapshot): results for leases that it "
        "does not know may come in again. After pg_restore and after recovery from a base backup servers notice it",
    )  # fmt: skip
    down = commands.add_parser("down", prog="tpeak down", help="stop the local server and its PostgreSQL")
    down.add_argument("--data-dir", metavar="PATH", help="data directory (TPEAK_DATA_DIR)")
    for command in (serve, migrate, down):
        command.set_defaults(refuse=command.error)
    return parser


def _say(text: str) -> None:
    print(text, flush=True)


def _complain(error: Exception, code: int) -> int:
    print(f"tpeak: {error}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
