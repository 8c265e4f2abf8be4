"""The application that uvicorn runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from tpeak_server import __version__
from tpeak_server.api import problems
from tpeak_server.api.fast_lane import FastLane
from tpeak_server.api.guard import PUBLIC_ASSETS, Guard
from tpeak_server.api.routes import operations, v1
from tpeak_server.service.application import Application


def create_app(*, database_url: str, token: str) -> FastAPI:
    """The service over one PostgreSQL, open to whoever has the token; it connects when it starts."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.application = application = Application(database_url)
        await application.start()
        yield
        await application.stop()

    app = FastAPIOffline(
        redoc_url=None,
        static_url=PUBLIC_ASSETS.rstrip("/"),
        title="tpeak",
        version=__version__,
        lifespan=lifespan,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},
        description="Hyperparameter optimization: ask, report, tell. See docs/protocol.md for the rules.",
    )
    problems.install(app)
    app.include_router(operations)
    app.include_router(v1)
    # Outside of Starlette's own layers, which hot requests need not pass; nothing comes past the guard.
    app.middleware_stack = Guard(FastLane(app.build_middleware_stack()), token=token)
    return app
