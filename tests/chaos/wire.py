"""Virtual workers' requests: plain HTTP over sockets, each noted in the history before it is sent."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from tests.chaos.history import GroupRecorder, Operation, fresh_id
from tests.chaos.proxy import BROKEN, Streams, message

TIMEOUT_S = 6.0
"""How long a worker waits for a reply before it goes on as if there were none."""

FIRST_PAUSE_S = 0.05
LAST_PAUSE_S = 1.0


class Wire:
    """One worker's connections: one to each server, opened when needed."""

    def __init__(
        self, worker: str, urls: Sequence[str], token: str, recorder: GroupRecorder, dice: random.Random
    ) -> None:
        self.worker = worker
        self._places = [(parts.hostname or "", parts.port or 0) for parts in map(urlsplit, urls)]
        self._head = f"Host: server\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"
        self._recorder = recorder
        self._dice = dice
        self._open: dict[int, Streams] = {}
        self._at = dice.randrange(len(urls))

    def hop(self) -> None:
        """Goes on with another server."""
        self._at = (self._at + 1) % len(self._places)

    async def send(self, method: str, path: str, body: Any = None) -> Operation:
        """One request; what came of it is noted, and told."""
        operation = Operation(
            id=fresh_id(), worker=self.worker, method=method, path=path, body=body, at=time.time()
        )  # fmt: skip
        await self._recorder.invoke(operation)
        status, reply = None, None
        try:
            async with asyncio.timeout(TIMEOUT_S):
                status, reply = await self._exchange(operation)
        except (*BROKEN, TimeoutError):
            self._drop()
        except asyncio.CancelledError:
            self._drop()
            raise
        self._recorder.conclude(operation, status, reply)
        return operation

    async def insist(self, method: str, path: str, body: Any = None, *, patience_s: float = 30.0) -> Operation:
        """The request, repeated with the same key until somebody answers; at last what came of the last try."""
        deadline = time.monotonic() + patience_s
        pause_s = FIRST_PAUSE_S
        while True:
            operation = await self.send(method, path, body)
            if operation.outcome != "unknown" or time.monotonic() > deadline:
                return operation
            self.hop()
            await asyncio.sleep(self._dice.uniform(0, pause_s))
            pause_s = min(2 * pause_s, LAST_PAUSE_S)

    def close(self) -> None:
        """Closes the connections."""
        for _, writer in self._open.values():
            writer.close()
        self._open.clear()

    async def _exchange(self, operation: Operation) -> tuple[int | None, Any]:
        streams = self._open.get(self._at)
        if streams is not None and streams[0].at_eof():
            self._drop()  # it ended while nobody used it, which any client sees before it sends
            streams = None
        if streams is None:
            host, port = self._places[self._at]
            streams = self._open[self._at] = await asyncio.open_connection(host, port, limit=1 << 22)
        content = b"" if operation.body is None else json.dumps(operation.body).encode()
        head = (
            f"{operation.method} /api/v1{operation.path} HTTP/1.1\r\n{self._head}X-Chaos-Id: {operation.id}\r\n"
            f"Content-Length: {len(content)}\r\n\r\n"
        )
        streams[1].write(head.encode() + content)
        reply = await message(streams[0])
        if reply is None:
            self._drop()
            return None, None
        end = reply.index(b"\r\n\r\n") + 4
        return int(reply[9:12]), json.loads(reply[end:]) if len(reply) > end else None

    def _drop(self) -> None:
        streams = self._open.pop(self._at, None)
        if streams is not None:
            streams[1].close()
