"""A reply of any length, sent as fast as the client takes it and no longer than there is one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tpeak_server.api import replies
from tpeak_server.api.compression import HEADERS, VARIES, gzipped
from tpeak_server.domain.errors import DomainError
from tpeak_server.domain.transfer import Line
from tpeak_server.service.aside import aside
from tpeak_server.service.columns import TrialColumns

PART_BYTES = 64 * 1024
"""Lines are put together up to this size: a message for each would cost more than the line."""

PART_S = 120.0
WHOLE_S = 4 * 3600.0
"""How long a client may take over one part, and over all: a snapshot that is held keeps PostgreSQL from tidying up."""

logger = logging.getLogger(__name__)


class PartsResponse(Response):
    """A body in parts. What goes wrong before the first is a problem; later the reply breaks off.

    The parts are closed at the end, however it comes.
    """

    def __init__(self, parts: AsyncGenerator[bytes], headers: Mapping[str, str] | None = None) -> None:
        self.status_code = 200
        self.background = None
        self.init_headers(headers)
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends all of it, unless the client leaves or does not take it in time."""
        async with aclosing(self._parts) as parts:
            first = await anext(parts)
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            sending = asyncio.ensure_future(_send_all(first, parts, send))
            leaving = asyncio.ensure_future(_until_gone(receive))
            try:
                await asyncio.wait({sending, leaving}, timeout=WHOLE_S, return_when=asyncio.FIRST_COMPLETED)
            finally:
                leaving.cancel()
                sending.cancel()
                await asyncio.gather(sending, leaving, return_exceptions=True)


class LinesResponse(PartsResponse):
    """Lines of JSON, of which the last one says that it is the last."""

    media_type = "application/x-ndjson"

    def __init__(self, lines: AsyncGenerator[Line], encoded: Callable[[Line], bytes]) -> None:
        super().__init__(_parts(lines, encoded))


class PackedResponse(PartsResponse):
    """Lines of JSON that are large already, compressed for a client that takes that."""

    media_type = "application/x-ndjson"

    def __init__(self, lines: AsyncGenerator[bytes], *, compressed: bool) -> None:
        super().__init__(gzipped(lines) if compressed else lines, HEADERS if compressed else VARIES)


async def packed_lines(pages: AsyncGenerator[TrialColumns]) -> AsyncGenerator[bytes]:
    """A line for each page, written in a thread."""
    async with aclosing(pages):
        async for page in pages:
            yield await aside(replies.packed, page)


async def _send_all(part: bytes, parts: AsyncGenerator[bytes], send: Send) -> None:
    try:
        await _send(part, send)
        async for following in parts:
            await _send(following, send)
    except (DomainError, TimeoutError) as error:
        # Without its end the client knows that the reply is not whole.
        logger.warning("a reply broke off: %s", error or "the client did not take it in time")
        return
    except Exception:
        # Nobody is there to be told: the reply has begun, and who awaits this only looks for its end.
        logger.exception("a reply broke off: unforeseen error")
        return
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _send(part: bytes, send: Send) -> None:
    async with asyncio.timeout(PART_S):
        await send({"type": "http.response.body", "body": part, "more_body": True})


async def _parts(lines: AsyncGenerator[Line], encoded: Callable[[Line], bytes]) -> AsyncGenerator[bytes]:
    """The lines, several at a time; there is at least one part."""
    part = bytearray()
    async with aclosing(lines):
        async for line in lines:
            part += encoded(line)
            if len(part) >= PART_BYTES:
                yield bytes(part)
                part.clear()
    yield bytes(part)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
