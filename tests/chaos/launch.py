"""A server for the tests: the product's own serving process on a port, with one planted bug if told to.

`python -m tests.chaos.launch PORT [MUTANT]`; TPEAK_CHAOS_DATABASE_URL and TPEAK_CHAOS_TOKEN say the rest. Around the
application stands a route of the tests' own, which shows what the replica's caches hold.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse

from tpeak_server.domain.errors import DomainError
from tpeak_server.domain.study import from_path, to_path
from tpeak_server.service.application import Application
from tpeak_server.service.commands import Heartbeat
from tpeak_server.service.history import History
from tpeak_server.supervisor import serving

NOBODY = 10**6
"""A trial that no study has: what is sent to it makes a replica look at the database, and changes nothing."""


def main(arguments: Sequence[str]) -> int:
    """Serves until told to stop, by a signal or by the end of stdin."""
    if len(arguments) > 1:
        from tests.chaos import mutants

        mutants.plant(arguments[1])
    make_app = serving.create_app

    def create_app(**settings: Any) -> Any:
        return Peephole(make_app(**settings))

    serving.create_app = create_app  # type: ignore[assignment]
    listener = socket.create_server(("127.0.0.1", int(arguments[0])), backlog=1024)
    _order(listener)
    return serving.main()


def _order(listener: socket.socket) -> None:
    """Puts in stdin's place what a supervisor would say; the process ends with its parent."""
    parent = os.dup(0)
    read, write = os.pipe()
    order = {
        "database_url": os.environ["TPEAK_CHAOS_DATABASE_URL"], "token": os.environ["TPEAK_CHAOS_TOKEN"],
        "idle_timeout_s": None, "listener": listener.detach(), "folder": None,
    }  # fmt: skip
    os.write(write, json.dumps(order).encode() + b"\n")
    os.dup2(read, 0)

    def leave_with_parent() -> None:
        os.read(parent, 1)
        os.kill(os.getpid(), 9)

    threading.Thread(target=leave_with_parent, daemon=True).start()


class Peephole:
    """GET /chaos/caches?study=ID&study=ID: what this replica's cache holds of each, after a look at the database."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"] != "/chaos/caches":
            await self._app(scope, receive, send)
            return
        application: Application = self._app.state.application
        caches = [await cache(application, study) for study in Request(scope).query_params.getlist("study")]
        await JSONResponse(caches)(scope, receive, send)


async def cache(application: Application, study: str) -> dict[str, Any]:
    """One study as the replica's cache has it."""
    study_id = from_path(study)
    assert study_id is not None, "an id out of a path"
    try:
        await application.submit(study_id, Heartbeat(number=NOBODY, lease="nobody's"))
    except DomainError:
        pass
    history = application._batchers[study_id].history
    assert history is not None, "a cache that was just used"
    return shown(history)


def shown(history: History) -> dict[str, Any]:
    """The cache as JSON."""
    view = history.view({})
    return {
        "study": to_path(history.study.id),
        "clock": {name: getattr(history.clock, name) for name in ("seq", "next_number", "handed")},
        "unfinished": {
            number: {
                "state": str(record.trial.state),
                "epoch": record.trial.epoch,
                "attempt": record.trial.attempt,
                "lease": record.lease.token if record.lease is not None and record.lease.live else None,
            }
            for number, record in history.unfinished.items()
        },
        "losses": {
            int(number): [repr(float(value)) for value in loss]
            for number, loss in zip(view.numbers, view.loss, strict=True)
        },
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
