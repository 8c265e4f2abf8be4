"""`tpeak server`: one path through all that must be there before a request can be answered, and back."""

from __future__ import annotations

import logging
import os
import socket
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from tpeak_server import __version__
from tpeak_server.config import Settings, masked
from tpeak_server.supervisor.account import Account, postgres_account
from tpeak_server.supervisor.children import Children
from tpeak_server.supervisor.directory import DataDirectory
from tpeak_server.supervisor.files import ServerRecord, Token, published, record_content, token_for
from tpeak_server.supervisor.interruption import Interruption
from tpeak_server.supervisor.listening import bind, is_healthy, own_url, public_url, trouble
from tpeak_server.supervisor.migration import check_database, migrate_database
from tpeak_server.supervisor.postgres import Postgres, embedded
from tpeak_server.supervisor.programs import MAJOR
from tpeak_server.supervisor.refusals import Interrupted, Refused

READY_S = 60.0
"""How long the first answer to a health check may take."""

TEND_S = 0.2
POSTGRES_CHECK_S = 1.0

logger = logging.getLogger(__name__)
Say = Callable[[str], None]
Pause = Callable[[float], None]


def serve(settings: Settings, say: Say) -> int:
    """Serves until a signal, or the idle timeout, ends it; the exit code. Raises Refused where it cannot."""
    if sys.platform == "win32":
        raise Refused("the server runs on Linux and macOS; on Windows use it in WSL or a container")
    with Interruption() as interruption:
        try:
            _serve(settings, say, interruption.pause)
        except Interrupted:
            pass
    return 0


def _serve(settings: Settings, say: Say, pause: Pause) -> None:
    directory = DataDirectory(settings.data_dir)
    account = Account() if settings.database_url else postgres_account()
    with ExitStack() as stack:
        if settings.database_url is None:
            stack.enter_context(directory.locked(account))
        token = token_for(settings, directory.token_file)
        listener = stack.enter_context(bind(settings.host, settings.port, pause))
        several = settings.processes > 1
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="tpeak-"))) if several else None
        children = Children(listener, folder, count=settings.processes, idle_timeout_s=settings.idle_timeout_s)
        stack.callback(children.end)
        children.spawn()
        postgres = None
        if settings.database_url is None:
            postgres = stack.enter_context(embedded(directory, account, pause))
            migrate_database(postgres.url)
        else:
            check_database(settings.database_url)
        stack.callback(children.end)  # before PostgreSQL, which they use
        children.start(database_url=postgres.url if postgres else settings.database_url or "", token=token.text)
        _wait_until_ready(children, pause)
        if settings.connect_file:
            content: dict[str, object] = {"url": public_url(listener), "token": token.text}
            stack.enter_context(published(settings.connect_file, content))
        if postgres is not None:
            stack.enter_context(published(directory.server_file, _record(own_url(listener), token)))
        say(_greeting(settings, listener, token, postgres))
        _tend(children, postgres, pause)


def _wait_until_ready(children: Children, pause: Pause) -> None:
    deadline = time.monotonic() + READY_S
    while not is_healthy(children.listener):
        children.check_started()
        if time.monotonic() > deadline:
            raise Refused(f"the server did not answer on {own_url(children.listener)} within {READY_S:.0f} s")
        pause(0.05)


def _tend(children: Children, postgres: Postgres | None, pause: Pause) -> None:
    """Returns when all children have left for want of requests; ends by Interrupted otherwise."""
    checked = time.monotonic()
    while children.tend():
        if postgres is not None and time.monotonic() - checked > POSTGRES_CHECK_S:
            if postgres.postmaster() is None:
                logger.warning("PostgreSQL is gone; starting it again")
                postgres.start()
            checked = time.monotonic()
        pause(TEND_S)


def _record(url: str, token: Token) -> dict[str, object]:
    path = str(token.file) if token.file else None
    return record_content(ServerRecord(url=url, pid=os.getpid(), token_path=path, version=__version__))


def _greeting(settings: Settings, listener: socket.socket, token: Token, postgres: Postgres | None) -> str:
    if postgres is not None:
        database, stop = f"PostgreSQL {MAJOR} in {postgres.pgdata}", "Ctrl-C here, or `tpeak down`"
    else:
        database, stop = masked(settings.database_url or ""), f"Ctrl-C here, or `kill {os.getpid()}`"
    lines = {
        "url": own_url(listener),
        "token": f"in {token.file}" if token.file else "from TPEAK_TOKEN",
        "database": database,
        "stop": stop,
    }
    if public_url(listener) != own_url(listener):
        lines["from afar"] = public_url(listener)
    if settings.connect_file:
        reach = ", on this machine alone: others need --host" if settings.loopback else ""
        lines["workers"] = f"TPEAK_CONNECT_FILE={settings.connect_file}{reach}"
    wrong = trouble(listener)
    state = "is ready" if wrong is None else f"is up, but not ready: {wrong}"
    return f"tpeak {__version__} {state}\n\n" + "".join(f"  {name:<10}{text}\n" for name, text in lines.items())
