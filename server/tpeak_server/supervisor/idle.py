"""Who still uses the server: so that one nobody needs can leave, and one that is told to stop first finishes."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

ALIVE = "/healthz"
HEALTH_CHECKS = frozenset({ALIVE, "/readyz"})
"""Asked by whoever watches the server, which is no use of it."""

LEFT_IDLE = 75
"""Exit code of a server process that nobody used for the idle timeout; a crash has another one."""

LEAVING = b'{"type":"about:blank","title":"Service Unavailable","status":503,"code":"shutting_down",' \
    b'"detail":"this server is leaving; send the request again, to another one or to the next one here"}'  # fmt: skip


class IdleWatch:
    """The application, with a note of its last use.

    Once it is leaving it is alive but not ready: what is under way goes on, new requests are sent elsewhere.
    """

    def __init__(self, application: Application) -> None:
        self.leaving = False
        self._application = application
        self._running = 0
        self._last = time.monotonic()

    @property
    def busy(self) -> bool:
        """Whether a request is under way."""
        return self._running > 0

    @property
    def idle_s(self) -> float:
        """Seconds since the last request ended; 0 while one runs."""
        return 0.0 if self._running else time.monotonic() - self._last

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.leaving and scope["type"] == "http" and scope["path"] != ALIVE:
            await _refuse(send)
        elif scope["type"] != "http" or scope["path"] in HEALTH_CHECKS:
            await self._application(scope, receive, send)
        else:
            await self._use(scope, receive, send)

    async def _use(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._running += 1
        try:
            await self._application(scope, receive, send)
        finally:
            self._running -= 1
            self._last = time.monotonic()


async def _refuse(send: Send) -> None:
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", b"%d" % len(LEAVING)),
        (b"retry-after", b"1"),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": LEAVING})
