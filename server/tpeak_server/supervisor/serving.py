"""A server process, started by the supervisor as `python -m tpeak_server.supervisor.serving`.

The first line of its stdin holds what it needs to know; that stdin ends is the news that the parent is gone.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import math
import os
import socket
import sys
import threading
import time
from io import FileIO
from pathlib import Path
from types import FrameType
from typing import Any, cast

import uvicorn

from tpeak_server.api import create_app
from tpeak_server.supervisor.handover import HandingOver, Neighbours
from tpeak_server.supervisor.idle import LEFT_IDLE, IdleWatch

DRAIN_S = 20.0
"""How long requests under way may take after the order to stop; the parent waits a little longer."""

CLOSE_S = 2
"""How long connections may then take to close."""

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
    neighbours = Neighbours(Path(order["folder"]), order["place"], order["count"]) if order["folder"] else None
    server = DrainingServer(watch, order["idle_timeout_s"], neighbours)
    threading.Thread(target=_stop_with_parent, args=(server, parent), daemon=True).start()
    server.run(sockets=[socket.socket(fileno=order["listener"])])
    return LEFT_IDLE if server.left_idle else 0


class DrainingServer(uvicorn.Server):
    """A server that, told to stop, still listens until what is under way is answered.

    Meanwhile it says that it is not ready; a connection that was closed instead would look like a crash to a worker.
    With `neighbours` it takes connections from them, and passes on those for their studies.
    """

    def __init__(self, watch: IdleWatch, idle_timeout_s: float | None, neighbours: Neighbours | None = None) -> None:
        # uvicorn calls it as it would call a class. Nothing here asks who a proxy says that its client is.
        protocol = cast(type[asyncio.Protocol], self._protocol) if neighbours else "httptools"
        config = uvicorn.Config(
            watch, loop="uvloop", http=protocol, ws="none", lifespan="on", log_config=None, access_log=False,
            server_header=False, proxy_headers=False, timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=CLOSE_S,
        )  # fmt: skip
        super().__init__(config)
        self.left_idle = False
        self._watch = watch
        self._neighbours = neighbours
        self._adopting: set[asyncio.Task[None]] = set()
        self._idle_timeout_s = idle_timeout_s
        self._drained_by = math.inf

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts to listen, to the neighbours as well."""
        await super().startup(sockets)
        if self._neighbours is not None:
            self._neighbours.listen(self._take)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends, and takes no connection from the neighbours any more."""
        if self._neighbours is not None:
            self._neighbours.close()
        await super().shutdown(sockets)

    def drain(self) -> None:
        """Takes no more requests, and ends once those under way are answered or DRAIN_S are over."""
        self._watch.leaving = True
        self._drained_by = min(self._drained_by, time.monotonic() + DRAIN_S)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """What a signal does: the first one asks, a second one insists."""
        if self._watch.leaving:
            self.should_exit = True
        self.drain()

    def _protocol(self, read: bytes = b"", **given: Any) -> HandingOver:
        assert self._neighbours is not None, "who has no neighbours passes nothing on"
        return HandingOver(self._neighbours, read, **given)

    def _take(self, connection: socket.socket, read: bytes) -> None:
        adopting = asyncio.create_task(self._adopt(connection, read))
        self._adopting.add(adopting)
        adopting.add_done_callback(self._adopting.discard)

    async def _adopt(self, connection: socket.socket, read: bytes) -> None:
        """Goes on with a neighbour's connection, of which so much was read."""
        given = {"config": self.config, "server_state": self.server_state, "app_state": self.lifespan.state}
        loop = asyncio.get_running_loop()
        await loop.connect_accepted_socket(lambda: self._protocol(read, **given), connection)

    async def on_tick(self, counter: int) -> bool:
        """Whether to end; asked ten times a second."""
        if self._idle_timeout_s is not None and self._watch.idle_s > self._idle_timeout_s:
            self._watch.leaving = self.left_idle = True
        if self._watch.leaving and (not self._watch.busy or time.monotonic() > self._drained_by):
            self.should_exit = True
        return await super().on_tick(counter)


def _stop_with_parent(server: DrainingServer, parent: FileIO) -> None:
    parent.read(1)
    server.drain()
    time.sleep(DRAIN_S + CLOSE_S + 3)
    os._exit(1)  # a process that nobody supervises must not stay because one request hangs


if __name__ == "__main__":
    sys.exit(main())
