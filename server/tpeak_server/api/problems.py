"""Errors on the wire: RFC 9457 problems with a stable code. One table says which status an error has."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, NotRequired

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import TypeAdapter
from starlette.exceptions import HTTPException
from starlette.responses import Response
from typing_extensions import TypedDict

from tpeak_server.domain.errors import Conflict, DomainError, Invalid, NotFound, Overloaded, Unavailable, pointer

STATUS: dict[type[DomainError], int] = {
    NotFound: 404,
    Conflict: 409,
    Invalid: 422,
    Overloaded: 429,
    Unavailable: 503,
}
"""The most special class that an error is an instance of counts."""

ROUTING = {
    404: ("route_not_found", "there is no such route; /docs lists them"),
    405: ("method_not_allowed", "this route has no such method; /docs lists them"),
}

MAX_DETAIL = 500
"""Characters of a message that is not the service's own, and of a key in `where`."""

logger = logging.getLogger(__name__)


class Problem(TypedDict):
    """What was wrong, by a stable code and in words; `where` is a JSON pointer, or the name of a parameter."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    where: NotRequired[str]


_CONTENT = {"application/problem+json": {"schema": TypeAdapter(Problem).json_schema()}}

DOCUMENTED: dict[int | str, dict[str, Any]] = {
    "4XX": {"description": "The request is wrong, or too early", "content": _CONTENT},
    "5XX": {"description": "The server is at fault, or away for a while", "content": _CONTENT},
}
"""Every error of a route, for the documentation."""


class Refused(HTTPException):
    """A request that is refused before any route has seen it."""

    def __init__(self, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, detail, headers)
        self.code = code


def problem(
    status: int, code: str, detail: str, *, where: str | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """The response of an error."""
    title = HTTPStatus(status).phrase
    body = Problem(type="about:blank", title=title, status=status, code=code, detail=detail)
    if where is not None:
        body["where"] = where
    # ASCII only: a detail may show a part of the input, whatever that holds.
    return Response(json.dumps(body), status, headers, media_type="application/problem+json")


def status_of(error: DomainError) -> int:
    """The HTTP status of a domain error."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def install(app: FastAPI) -> None:
    """Makes every error of the app a problem."""
    for kind, handler in HANDLERS.items():
        app.add_exception_handler(kind, handler)


async def answer(request: Request, error: Exception) -> Response:
    """The problem that an error is; a traceback goes to the log only for what nobody foresaw."""
    for kind, handler in HANDLERS.items():
        if isinstance(error, kind) and kind is not Exception:
            return await handler(request, error)
    logger.error("unforeseen error", exc_info=error)
    return await _unforeseen(request, error)


async def _domain(_: Request, error: Exception) -> Response:
    assert isinstance(error, DomainError)
    headers = {"Retry-After": f"{error.retry_after_s:g}"} if isinstance(error, Unavailable) else None
    return problem(status_of(error), error.code, error.message, where=error.where, headers=headers)


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    source, *path = first["loc"]
    if source == "body":
        where = pointer(_found(path, error.body, missing=first["type"] == "missing"))
    else:
        where = str(path[0] if path else source)
    # The message may repeat a word of the body, which may be of any length.
    return problem(422, Invalid.code, str(first["msg"])[:MAX_DETAIL], where=where)


def _found(path: Iterable[str | int], body: Any, *, missing: bool) -> Iterator[str | int]:
    """The path without what is not of the body: pydantic names the members of a union as well, and a key as [key]."""
    here, parts = body, list(path)
    for index, part in enumerate(parts):
        if isinstance(part, str) and len(part) > MAX_DETAIL:
            return
        if isinstance(here, dict):
            inside = part in here
        else:
            inside = isinstance(here, list) and isinstance(part, int) and part < len(here)
        if inside:
            here = here[part]
        if inside or (missing and index == len(parts) - 1):
            yield part


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    own = (error.code, str(error.detail)) if isinstance(error, Refused) else None
    code, detail = own or ROUTING.get(error.status_code, (Invalid.code, str(error.detail)))
    return problem(error.status_code, code, detail, headers=error.headers)


async def _unforeseen(_: Request, error: Exception) -> Response:
    # Starlette hands the error on to the server's log after this reply.
    return problem(500, "internal_error", "the server has made a mistake; its log says more")


HANDLERS: dict[type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
    DomainError: _domain,
    RequestValidationError: _invalid,
    HTTPException: _refused,
    Exception: _unforeseen,
}
