"""A light HTTP client: a full one would take more of the machine than the server under test."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

from server import Address

AT_ONCE = 64
"""Connections that are opened together, fewer than a listening socket queues."""

REFUSALS = (b"429", b"503")
"""Statuses that ask to come again later."""


class Connection(asyncio.Protocol):
    """One keep-alive connection with one request at a time. `refused` counts the replies that said: later."""

    def __init__(self, address: Address) -> None:
        self.refused = 0
        self._dice = random.Random()
        self._address = address
        self._buffer = b""
        self._reply: asyncio.Future[tuple[bytes, bytes]] | None = None
        self._head = (
            f"HTTP/1.1\r\nHost: {address.host}\r\nAuthorization: Bearer {address.token}\r\n"
            "Content-Type: application/json\r\nContent-Length: "
        )

    async def open(self) -> Connection:
        """Itself, connected."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_connection(lambda: self, self._address.host, self._address.port)
        return self

    def close(self) -> None:
        """Hangs up."""
        self._transport.close()

    async def delete(self, path: str) -> None:
        """Deletes; see `post`."""
        await self._send("DELETE", path, b"")

    async def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The reply's body; after a 429 or 503 the request is sent again when it says.

        Raises RuntimeError for any other status but 2xx, ConnectionError where the server hangs up.
        """
        reply: dict[str, Any] = json.loads(await self._send("POST", path, json.dumps(body).encode()))
        return reply

    def data_received(self, data: bytes) -> None:
        """Takes a part of the reply."""
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0 or self._reply is None:
            return
        head, body = self._buffer[:end], self._buffer[end + 4 :]
        if len(body) >= _number(head, b"content-length:"):
            self._buffer = b""
            if not self._reply.done():
                self._reply.set_result((head, body))

    def connection_lost(self, exc: Exception | None) -> None:
        """Fails the request that waits for its reply."""
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(exc or ConnectionError("the server hung up"))

    async def _send(self, method: str, path: str, content: bytes) -> bytes:
        request = f"{method} /api/v1{path} {self._head}{len(content)}\r\n\r\n".encode() + content
        while True:
            head, reply = await self._exchange(request)
            status = head[9:12]
            if status not in REFUSALS:
                break
            self.refused += 1
            await asyncio.sleep((_number(head, b"retry-after:") or 1) * self._dice.uniform(1.0, 1.5))
        if status[:1] != b"2":
            raise RuntimeError(f"{path}: {status.decode()} {reply.decode()}")
        return reply

    async def _exchange(self, request: bytes) -> tuple[bytes, bytes]:
        if self._transport.is_closing():
            raise ConnectionError("the server hung up")
        self._reply = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._reply


async def connected(address: Address, count: int) -> list[Connection]:
    """That many connections, open."""
    opened: list[Connection] = []
    while len(opened) < count:
        some = range(min(AT_ONCE, count - len(opened)))
        opened += await asyncio.gather(*(Connection(address).open() for _ in some))
    return opened


def _number(head: bytes, name: bytes) -> float:
    """The number in a header, 0 where there is none."""
    place = head.lower().find(name)
    if place < 0:
        return 0.0
    return float(head[place + len(name) :].split(b"\r\n", 1)[0])
