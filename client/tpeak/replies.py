"""What a reply of the server says: JSON, or an error by its code or status."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx

from tpeak import errors
from tpeak.errors import (
    Conflict,
    Invalid,
    NotFound,
    Overloaded,
    RouteNotFound,
    TpeakError,
    Unauthorized,
    Unavailable,
    UnexpectedReply,
)


def body_of(reply: httpx.Response, url: str) -> Any:
    """The reply's JSON, None where there is none. Raises the error that it tells of, UnexpectedReply for another's."""
    if reply.is_success:
        return None if reply.status_code == httpx.codes.NO_CONTENT else _json_of(reply, url)
    if reply.is_redirect:
        target = reply.headers.get("Location", "elsewhere")
        raise UnexpectedReply(f"{url} redirects to {target}, which is not followed; use the final URL")
    raise _error_of(reply, url)


def _json_of(reply: httpx.Response, url: str) -> Any:
    try:
        return reply.json()
    except ValueError:
        raise UnexpectedReply(f"{url} answered something that is not JSON; is that a tpeak server?") from None


def _error_of(reply: httpx.Response, url: str) -> TpeakError:
    try:
        problem = reply.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        problem = None  # a proxy's page
    if not isinstance(problem, dict):
        problem = {}
    message = str(problem.get("detail") or problem.get("title") or f"{url} answered HTTP {reply.status_code}")
    code = problem.get("code")
    kind = _ERRORS.get(str(code)) or _kind_of_status(reply.status_code, coded=code is not None)
    if issubclass(kind, Unavailable) or _worth_repeating(reply.status_code):
        kind = kind if issubclass(kind, Unavailable) else Unavailable
        return kind(message, retry_after_s=_seconds(reply.headers.get("Retry-After")))
    return kind(_placed(message, kind, reply, url), where=problem.get("where"))


def _placed(message: str, kind: type[TpeakError], reply: httpx.Response, url: str) -> str:
    """The message, with the server or URL that it is about where that is what may be wrong."""
    if issubclass(kind, Unauthorized):
        refused = "this token" if "Authorization" in reply.request.headers else "requests without a token"
        return f"{url} refuses {refused}: {message}"
    if issubclass(kind, RouteNotFound):
        return f"{reply.request.method} {reply.request.url}: {message}"
    return message


def _worth_repeating(status: int) -> bool:
    return status in (408, 429) or status >= 500


def _kind_of_status(status: int, *, coded: bool) -> type[TpeakError]:
    """What a status alone says: a refusal without a code is a proxy's, which knows nothing of studies and trials."""
    if _worth_repeating(status):
        return Overloaded if status == 429 else Unavailable
    if status in (401, 403):
        return Unauthorized
    if not coded:
        return UnexpectedReply
    return {404: NotFound, 409: Conflict}.get(status, Invalid)


def _seconds(retry_after: str | None) -> float | None:
    """The header's seconds; its other form, a date, would need both clocks to agree and is passed over."""
    try:
        seconds = float(retry_after or "")
    except ValueError:
        return None
    return seconds if 0 <= seconds < float("inf") else None


def _by_code(kind: type[TpeakError]) -> Iterator[tuple[str, type[TpeakError]]]:
    if "code" in vars(kind) and kind.code is not None:
        yield kind.code, kind
    for narrower in kind.__subclasses__():
        yield from _by_code(narrower)


_ERRORS = dict(_by_code(errors.TpeakError))
