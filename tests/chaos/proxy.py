"""The network between the parts, as bad as a schedule wants it: one proxy for HTTP, one for PostgreSQL.

Both speak to workers and servers over loopback alone. Everything random comes from a generator with a seed.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeAlias

from tests.chaos.commits import CommitWatch

Streams: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect: TypeAlias = Callable[[], Awaitable[Streams]]

LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
MARK = re.compile(rb"x-chaos-id: *(\S+)", re.IGNORECASE)
LATE_S = 1.0
"""How long a COMMIT is under way that comes late."""

BROKEN = (OSError, EOFError, asyncio.IncompleteReadError, asyncio.LimitOverrunError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Odds:
    """How often what happens to a request: shares of all requests, and how long the delayed ones take at most."""

    lost_request: float = 0.0
    lost_reply: float = 0.0
    duplicate: float = 0.0
    delayed: float = 0.0
    delay_s: float = 3.0


class Proxy:
    """A listener on a free port of loopback, and what came by."""

    def __init__(self, dice: random.Random) -> None:
        self.counts: Counter[str] = Counter()
        self.port = 0
        self._dice = dice
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listens from now on."""
        self._server = await asyncio.start_server(
            lambda *streams: self._spawn(self._accept(*streams)), "127.0.0.1", 0, limit=1 << 20, backlog=1024
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Cuts everything."""
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise NotImplementedError

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class HttpProxy(Proxy):
    """Between workers and one server. `interfered` takes the marks of the requests that it did something to."""

    def __init__(self, dice: random.Random, connect: Connect) -> None:
        super().__init__(dice)
        self.odds = Odds()
        self.interfered: list[str] = []
        self.requests = 0
        self._connect = connect

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream: Streams | None = None
        try:
            while (request := await message(reader)) is not None:
                self.requests += 1
                fate = self._fate(request)
                self.counts[fate] += 1
                if fate == "lost request":
                    await self._lose(reader)
                    return
                if fate == "duplicate":
                    self._spawn(
                        self._stray(request, self._dice.uniform(0, self.odds.delay_s) * self._dice.choice([0, 1]))
                    )
                if fate == "delayed" and self._dice.random() < 0.5:
                    # Its sender gives up and goes on: it arrives after what was sent later.
                    self._spawn(self._stray(request, self._dice.uniform(0, self.odds.delay_s)))
                    return
                if fate == "delayed":
                    await asyncio.sleep(self._dice.uniform(0, self.odds.delay_s))
                if upstream is not None and upstream[0].at_eof():
                    upstream[1].close()  # it ended while idle, which its worker would have seen without a proxy
                    upstream = None
                upstream = upstream or await self._connect()
                upstream[1].write(request)
                reply = await message(upstream[0])
                if reply is None:
                    return
                if fate == "lost reply":
                    self._half(writer, reply)
                    return
                writer.write(reply)
        except BROKEN:
            return
        finally:
            for end in [writer] + ([upstream[1]] if upstream else []):
                end.close()

    def _fate(self, request: bytes) -> str:
        at = self._dice.random()
        odds = self.odds
        for fate, share in (
            ("lost request", odds.lost_request), ("lost reply", odds.lost_reply), ("duplicate", odds.duplicate),
            ("delayed", odds.delayed),
        ):  # fmt: skip
            if at < share:
                mark = MARK.search(request)
                if mark and fate != "duplicate":
                    self.interfered.append(mark[1].decode())
                return fate
            at -= share
        return "passed on"

    async def _lose(self, reader: asyncio.StreamReader) -> None:
        """The request is gone: the connection is cut, or nobody ever answers."""
        if self._dice.random() < 0.3:
            self.counts["black hole"] += 1
            await reader.read(1)

    def _half(self, writer: asyncio.StreamWriter, reply: bytes) -> None:
        """The reply is gone, or comes as a half that ends."""
        if self._dice.random() < 0.3:
            self.counts["half-close"] += 1
            writer.write(reply[: len(reply) // 2])
            writer.write_eof()

    async def _stray(self, request: bytes, delay_s: float) -> None:
        """The request on a connection of its own, whose reply nobody gets."""
        await asyncio.sleep(delay_s)
        with suppress(*BROKEN):
            reader, writer = await self._connect()
            try:
                writer.write(request)
                await message(reader)
            finally:
                writer.close()


async def message(reader: asyncio.StreamReader) -> bytes | None:
    """The next HTTP request or reply, None where the connection ended before one."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except BROKEN:
        return None
    length = LENGTH.search(head)
    return head + await reader.readexactly(int(length[1])) if length else head


class PostgresProxy(Proxy):
    """Between one server and PostgreSQL. It can cut connections, also at the moment of a COMMIT."""

    def __init__(self, dice: random.Random, connect: Connect) -> None:
        super().__init__(dice)
        self.at_commit: list[str] = []
        self._connect = connect
        self._links: set[Link] = set()

    @property
    def links(self) -> int:
        """How many connections there are now."""
        return len(self._links)

    def cut(self) -> bool:
        """Cuts a connection; says whether there was one."""
        links = sorted(self._links, key=id)
        if links:
            self.counts["connection cut"] += 1
            self._dice.choice(links).cut()
        return bool(links)

    def stall(self, seconds: float) -> bool:
        """Lets nothing pass on a connection for so long, and then cuts it: a black hole."""
        links = sorted(self._links, key=id)
        if links:
            self.counts["connection stalled"] += 1
            self._spawn(self._dice.choice(links).stall(seconds))
        return bool(links)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            upstream = await self._connect()
        except OSError:
            writer.close()
            return
        link = Link(self, (reader, writer), upstream)
        self._links.add(link)
        try:
            await link.run()
        finally:
            self._links.discard(link)


class Link:
    """One connection of a server to PostgreSQL."""

    def __init__(self, proxy: PostgresProxy, server: Streams, database: Streams) -> None:
        self._proxy = proxy
        self._server = server
        self._database = database
        self._watch = CommitWatch()
        self._open = asyncio.Event()
        self._open.set()

    def cut(self) -> None:
        """Closes both ends."""
        for _, writer in (self._server, self._database):
            writer.close()

    async def stall(self, seconds: float) -> None:
        """Holds everything back, then cuts."""
        self._open.clear()
        await asyncio.sleep(seconds)
        self.cut()
        self._open.set()

    async def run(self) -> None:
        """Passes bytes on until an end closes."""
        directions = [
            asyncio.ensure_future(self._pass(self._server[0], self._database[1], watched=True)),
            asyncio.ensure_future(self._pass(self._database[0], self._server[1], watched=False)),
        ]
        try:
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.cut()
            for direction in directions:
                direction.cancel()
            await asyncio.gather(*directions, return_exceptions=True)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, watched: bool) -> None:
        with suppress(*BROKEN):
            while data := await reader.read(1 << 16):
                await self._open.wait()
                committing = watched and self._watch.feed(data)
                if committing and self._proxy.at_commit:
                    self._proxy.counts[(when := self._proxy.at_commit.pop())] += 1
                    if when == "late COMMIT":
                        await asyncio.sleep(LATE_S)
                        writer.write(data)
                        continue
                    if when == "cut after COMMIT":
                        self._server[1].close()  # first: no answer may slip through
                        writer.write(data)
                        await writer.drain()
                    return
                writer.write(data)
                await writer.drain()
