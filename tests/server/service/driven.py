"""An application without its HTTP, driven in one event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any

from tpeak_server.domain.distributions import FloatDistribution
from tpeak_server.domain.trial import TrialState
from tpeak_server.service.application import Application
from tpeak_server.service.asking import Asked
from tpeak_server.service.commands import Ask, Tell
from tpeak_server.service.studies import NewStudy

SPACE = {"x": FloatDistribution(low=0.0, high=1.0)}
TPE = {"name": "tpe"}


def run(database_url: str, name: str, work: Any) -> Any:
    """What `work` gives, called with an application and a study of this name."""

    async def all_of_it() -> Any:
        app = Application(database_url)
        try:
            return await work(app, await make_study(app, name))
        finally:
            await app.stop()

    bounded: Coroutine[Any, Any, Any] = asyncio.wait_for(all_of_it(), 60)
    return asyncio.run(bounded)


async def make_study(app: Application, name: str, sampler: Mapping[str, Any] = TPE) -> int:
    """The id of a new study."""
    created = await app.studies.create(
        NewStudy(request_id=name, name=name, settings={"sampler": sampler}, load_if_exists=False)
    )
    return created.study.id


def ask(key: object) -> Ask:
    """An ask for one trial; equal keys are the same request."""
    return Ask(request_id=f"ask-{key}", worker="test", distributions=SPACE)


def complete(asked: Asked) -> Tell:
    """The result of the trial asked for."""
    trial = asked.trials[0]
    return Tell(
        number=trial.record.trial.number,
        lease=trial.lease.token,
        state=TrialState.COMPLETE,
        values=(trial.params["x"],),
    )
