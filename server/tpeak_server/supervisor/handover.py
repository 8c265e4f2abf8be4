"""Connections handed from one server process to another: a study's requests go to the one that has it in memory.

Every process can carry out every request. But two that write to one study contend for its lock, read what the other one
wrote and draw samples anew, and together do less than one by itself. So each study has its process: a connection whose
next request is for a study of another one is passed on, as a file descriptor with the bytes that were read, through a
Unix socket. Where that one does not take it, the request is answered where it came in.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import zlib
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LARGEST = 64 * 1024
"""Bytes that may have been read of a request that is passed on: what fits into one message."""

FOR_STUDY = re.compile(rb"[A-Z]+ /api/v1/studies/([^/? ]+)")

Take = Callable[[socket.socket, bytes], None]


class Neighbours:
    """The `count` processes of one server, of which this is the one at `place`, with their sockets in `folder`."""

    def __init__(self, folder: Path, place: int, count: int) -> None:
        self._folder = folder
        self._place = place
        self._count = count
        self._sender = _unix_socket()
        self._receiver: socket.socket | None = None

    def elsewhere(self, data: bytes) -> int | None:
        """The place of the process that the request beginning with `data` should go to; None if that is this one."""
        found = FOR_STUDY.match(data)
        if found is None or len(data) > LARGEST:
            return None
        place = zlib.crc32(found[1]) % self._count
        return None if place == self._place else place

    def hand_over(self, connection: int, data: bytes, place: int) -> bool:
        """Passes the connection, by its file descriptor, and what was read of it; whether the process takes it."""
        handle = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", [connection]))
        try:
            # socket.send_fds() does not pass the address on: https://github.com/python/cpython/issues/107898
            self._sender.sendmsg([data], [handle], 0, str(self._address(place)))
        except OSError:
            return False  # it has ended, or does not keep up
        return True

    def listen(self, take: Take) -> None:
        """Has `take` called with each connection that is handed over, and what was read of it."""
        address = self._address(self._place)
        address.unlink(missing_ok=True)
        self._receiver = _unix_socket()
        self._receiver.bind(str(address))
        asyncio.get_running_loop().add_reader(self._receiver.fileno(), self._receive, self._receiver, take)

    def close(self) -> None:
        """Takes no more connections."""
        if self._receiver is not None:
            asyncio.get_running_loop().remove_reader(self._receiver.fileno())
            self._receiver.close()
            self._receiver = None
        self._sender.close()

    def _address(self, place: int) -> Path:
        return self._folder / str(place)

    @staticmethod
    def _receive(receiver: socket.socket, take: Take) -> None:
        data, handles, _, _ = socket.recv_fds(receiver, LARGEST, 1)
        for handle in handles:
            take(socket.socket(fileno=handle), data)


class HandingOver(HttpToolsProtocol):
    """A connection that is passed on between two requests, where the next one is for a study of another process.

    One that was passed on begins with what had been `read` of it.
    """

    def __init__(self, neighbours: Neighbours, read: bytes = b"", **given: Any) -> None:
        super().__init__(**given)
        self._neighbours = neighbours
        self._read = read
        self._between = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self._read:
            super().data_received(self._read)  # before the transport reads what comes after

    def on_message_begin(self) -> None:
        self._between = False
        super().on_message_begin()

    def on_message_complete(self) -> None:
        self._between = True
        super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        if not (self._idle and self._passed_on(data)):
            super().data_received(data)

    @property
    def _idle(self) -> bool:
        """Whether nothing is known of a next request, and every former one is answered."""
        return self._between and not self.pipeline and (self.cycle is None or self.cycle.response_complete)

    def _passed_on(self, data: bytes) -> bool:
        place = self._neighbours.elsewhere(data)
        if place is None or self.transport.get_write_buffer_size():
            return False
        # A handle of its own: the connection lives on when this one is closed.
        connection = os.dup(self.transport.get_extra_info("socket").fileno())
        try:
            passed = self._neighbours.hand_over(connection, data, place)
        finally:
            os.close(connection)
        if passed:
            self.transport.abort()
        return passed


def _unix_socket() -> socket.socket:
    created = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    created.setblocking(False)
    return created
