"""The way of the requests that workers send all the time, past FastAPI's routing and dependencies.

The routes are declared with FastAPI like all others, which documents them; here the same functions are called with the
same parsed bodies. What FastAPI does in between costs several times the work itself.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from tpeak_server.api import problems, requests, routes
from tpeak_server.api.bodies import StrictRequest

Handler = Callable[..., Awaitable[Response]]

OF_STUDY: dict[str, tuple[Handler, type[requests.Body]]] = {"ask": (routes.ask, requests.AskTrials)}
OF_TRIAL: dict[str, tuple[Handler, type[requests.Body]]] = {
    "suggest": (routes.suggest, requests.SuggestValue),
    "report": (routes.report, requests.ReportSteps),
    "tell": (routes.tell, requests.TellResult),
    "heartbeat": (routes.heartbeat, requests.Beat),
}

# A number of more digits may be no 32-bit integer: such a path is FastAPI's to refuse.
PATH = re.compile(
    rf"/api/v1/studies/(?P<study>[^/]+)/(?:(?P<ask>{'|'.join(OF_STUDY)})"
    rf"|trials/(?P<number>[0-9]{{1,9}})/(?P<verb>{'|'.join(OF_TRIAL)}))"
)


class FastLane:
    """Calls the handlers of the hot routes itself, and leaves all else to the application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        hot = PATH.fullmatch(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if hot is None:
            await self._app(scope, receive, send)
            return
        request = StrictRequest(scope, receive)
        try:
            response = await _handle(request, hot)
        except Exception as error:
            response = await problems.answer(request, error)
        await response(scope, receive, send)


async def _handle(request: StrictRequest, hot: re.Match[str]) -> Response:
    handler, body_type = OF_STUDY[hot["ask"]] if hot["ask"] else OF_TRIAL[hot["verb"]]
    # A report's step may be an integer beyond 2^53: nothing is malformed then but that one field.
    body = await request.strict_body(typed=body_type is requests.ReportSteps)
    arguments: dict[str, Any] = {"study": await routes.study_id(hot["study"]), "app": request.app.state.application}
    if hot["number"]:
        arguments["number"] = int(hot["number"])
    try:
        arguments["body"] = body_type.model_validate(body)
    except ValidationError as error:
        errors = [{**one, "loc": ("body", *one["loc"])} for one in error.errors()]
        raise RequestValidationError(errors, body=body) from None
    return await handler(**arguments)
