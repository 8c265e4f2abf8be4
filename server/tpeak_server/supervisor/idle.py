"""Notes when the last request was, so that a server nobody needs any more can leave."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

HEALTH_CHECKS = frozenset({"/healthz", "/readyz"})
"""Asked by whoever watches the server, which is no use of it."""

LEFT_IDLE = 75
"""Exit code of a server process that nobody used for the idle timeout; a crash has another one."""

LEAVING = b'{"type":"about:blank","title":"Service Unavailable","status":503,"code":"shutting_down",' \
    b'"detail":"the server was idle and is leaving; start or join another one"}'  # fmt: skip


class IdleWatch:
    """The application, with a note of its last use. Once it is leaving it takes no request any more."""

    def __init__(self, application: Application) -> None:
        self.leaving = False
        self._application = application
        self._running = 0
        self._last = time.monotonic()

    @property
    def idle_s(self) -> float:
        """Seconds since the last request ended; 0 while one runs."""
        return 0.0 if self._running else time.monotonic() - self._last

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in HEALTH_CHECKS:
            await self._application(scope, receive, send)
        elif self.leaving:
            await _refuse(send)
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
    headers = [(b"content-type", b"application/problem+json"), (b"retry-after", b"1"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": LEAVING})
