"""Who may come in: deny by default, before a route is looked up or a byte of the body is read."""

from __future__ import annotations

import hashlib
import hmac

from starlette.types import ASGIApp, Receive, Scope, Send

from tpeak_server.api.problems import problem

PUBLIC = frozenset({"/healthz", "/readyz", "/openapi.json", "/docs"})
"""What needs no token: it holds no study's data."""

PUBLIC_ASSETS = "/docs-assets/"


class Guard:
    """Lets a request through that bears the shared token, or asks for what is public."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._digest = hashlib.sha256(token.encode()).digest()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._may_pass(scope):
            await self._app(scope, receive, send)
            return
        refusal = problem(
            401,
            "unauthorized",
            "this needs the server's token: send it as `Authorization: Bearer <token>` (TPEAK_TOKEN for the client)",
            headers={"WWW-Authenticate": "Bearer"},
        )
        await refusal(scope, receive, send)

    def _may_pass(self, scope: Scope) -> bool:
        path: str = scope["path"]
        if path in PUBLIC or path.startswith(PUBLIC_ASSETS):
            return True
        authorization: bytes = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        scheme, _, token = authorization.partition(b" ")
        given = hashlib.sha256(token.strip()).digest()
        return scheme.lower() == b"bearer" and hmac.compare_digest(given, self._digest)
