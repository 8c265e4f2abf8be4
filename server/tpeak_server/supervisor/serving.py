"""A server process, started by the supervisor as `python -m tpeak_server.supervisor.serving`.

The first line of its stdin holds what it needs to know; that stdin ends is the news that the parent is gone.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import socket
import sys
import threading
import time
from io import FileIO

import uvicorn

from tpeak_server.api import create_app
from tpeak_server.supervisor.idle import LEFT_IDLE, IdleWatch

DRAIN_S = 20
"""How long requests under way may take after the order to stop; the parent waits a little longer."""

GIL_SWITCH_S = 0.0005
"""How long the event loop may wait for a sampler to let go of the interpreter; Python's own 5 ms would be added to
every request, several times."""

GC_THRESHOLDS = (20_000, 20, 100)
"""Python's own (700, 10, 10) walk through the caches of all studies every few hundred requests, for next to nothing:
what a request leaves behind is in no cycle."""

KEEP_ALIVE_S = 75
"""Longer than clients keep a connection, so that it is they who close it, never under a request."""


def main() -> int:
    """Serves until told to stop."""
    # Unbuffered: Python aborts at its end where a thread still waits in a buffered stdin.
    parent = FileIO(sys.stdin.fileno(), closefd=False)
    line = parent.readline()
    if not line:
        return 0  # the parent has given up before there was anything to serve
    order = json.loads(line)
    logging.basicConfig(
        level=logging.WARNING, format="%(asctime)s %(levelname)s %(process)d %(name)s: %(message)s", stream=sys.stderr
    )
    sys.setswitchinterval(GIL_SWITCH_S)
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    watch = IdleWatch(create_app(database_url=order["database_url"], token=order["token"]))
    server = _server(watch, order["idle_timeout_s"])
    threading.Thread(target=_stop_with_parent, args=(server, parent), daemon=True).start()
    server.run(sockets=[socket.socket(fileno=order["listener"])])
    return LEFT_IDLE if watch.leaving else 0


def _server(watch: IdleWatch, idle_timeout_s: float | None) -> uvicorn.Server:
    async def leave_when_idle() -> None:
        if idle_timeout_s is not None and watch.idle_s > idle_timeout_s:
            watch.leaving = server.should_exit = True

    config = uvicorn.Config(
        watch, loop="uvloop", http="httptools", ws="none", lifespan="on", log_config=None, access_log=False,
        server_header=False, timeout_keep_alive=KEEP_ALIVE_S, timeout_graceful_shutdown=DRAIN_S,
        callback_notify=leave_when_idle, timeout_notify=0,
    )  # fmt: skip
    server = uvicorn.Server(config)
    return server


def _stop_with_parent(server: uvicorn.Server, parent: FileIO) -> None:
    parent.read(1)
    server.should_exit = True
    time.sleep(DRAIN_S + 5)
    os._exit(1)  # a process that nobody supervises must not stay because one request hangs


if __name__ == "__main__":
    sys.exit(main())
