"""How bodies are read: counted before they are parsed, and parsed strictly."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect

from tpeak_server.api import strict_json
from tpeak_server.api.problems import Refused
from tpeak_server.domain.errors import Invalid

MAX_BODY_BYTES = 1024 * 1024


class StrictRequest(Request):
    """A request whose body is at most MAX_BODY_BYTES of strict JSON."""

    async def body(self) -> bytes:
        """The bytes of the body. Raises Refused past the limit, before the rest is read, and where the client left."""
        if not hasattr(self, "_body"):
            try:
                self._body = await self._counted()
            except ClientDisconnect:
                raise Refused(400, "malformed_body", "the client left before the body was whole") from None
        return self._body

    async def _counted(self) -> bytes:
        chunks, size = [], 0
        async for chunk in self.stream():
            size += len(chunk)
            if size > MAX_BODY_BYTES:
                raise Refused(413, "body_too_large", f"the body has more than {MAX_BODY_BYTES} bytes")
            chunks.append(chunk)
        return b"".join(chunks)

    async def json(self, *, typed: bool = False) -> Any:
        """What the body says; see `strict_json.parse`. Raises Refused where it is not strict JSON."""
        if hasattr(self, "_json"):
            return self._json
        try:
            return strict_json.parse(await self.body(), typed=typed)
        except strict_json.MalformedJson as error:
            raise Refused(400, "malformed_body", f"the body is not JSON as accepted here: {error}") from None

    async def strict_body(self, *, typed: bool = False) -> dict[str, Any]:
        """The object that the body is, if it comes as JSON. Raises Refused and Invalid."""
        media_type = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != "application/json":
            raise Refused(415, "unsupported_media_type", "send the body with Content-Type: application/json")
        body = await self.json(typed=typed)
        if not isinstance(body, dict):
            raise Invalid("the body must be a JSON object", where="")
        return body


class StrictRoute(APIRoute):
    """A route that reads its body through StrictRequest."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def strictly(request: Request) -> Response:
            strict = StrictRequest(request.scope, request.receive)
            if self.body_field is not None:
                # Starlette keeps what json() found, so the handler does not parse again.
                strict._json = await strict.strict_body()
            return await handle(strict)

        return strictly
