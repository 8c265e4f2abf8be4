"""Replies as gzip, for clients that take it, made in a thread."""

from __future__ import annotations

import zlib
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from starlette.responses import Response

from tpeak_server.service.aside import aside

HEADERS = {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
VARIES = {"Vary": "Accept-Encoding"}
"""Of a reply that another client would have got compressed."""

LEVEL = 1
"""Most of what is large here looks like chance, as digits or in base64: more effort gains next to nothing."""

WORTH_BYTES = 1024
"""From which on a body is compressed: one packet takes no longer than a smaller one."""

GZIP = 16
"""What `zlib` adds to the window's bits for gzip's head and end."""


def accepts_gzip(accepted: str | None) -> bool:
    """Whether the header Accept-Encoding names gzip, or anything, without refusing it."""
    qualities = dict(_quality(coding) for coding in (accepted or "").split(","))
    return qualities.get("gzip", qualities.get("*", 0.0)) > 0


async def gzipped(parts: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """The parts as one gzip stream; each can be read as soon as it is there."""
    compressor = _compressor()
    async with aclosing(parts):
        async for part in parts:
            yield await aside(_flushed, compressor, part)
    yield compressor.flush()


async def made_in_thread(make: Callable[[], bytes], accepted: str | None) -> Response:
    """The response with the JSON that `make` writes, compressed where the client takes that and it is worth it."""
    return await aside(_made, make, accepted)


def _made(make: Callable[[], bytes], accepted: str | None) -> Response:
    body = make()
    if len(body) < WORTH_BYTES or not accepts_gzip(accepted):
        return Response(body, headers=VARIES, media_type="application/json")
    compressor = _compressor()
    compressed = compressor.compress(body) + compressor.flush()
    return Response(compressed, headers=HEADERS, media_type="application/json")


def _flushed(compressor: zlib._Compress, part: bytes) -> bytes:
    return compressor.compress(part) + compressor.flush(zlib.Z_SYNC_FLUSH)


def _compressor() -> zlib._Compress:
    return zlib.compressobj(LEVEL, zlib.DEFLATED, GZIP + zlib.MAX_WBITS)


def _quality(coding: str) -> tuple[str, float]:
    name, _, parameter = coding.partition(";")
    key, _, value = parameter.partition("=")
    try:
        return name.strip().lower(), float(value) if key.strip().lower() == "q" else 1.0
    except ValueError:
        return name.strip().lower(), 0.0
