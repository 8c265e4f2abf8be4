"""Somebody who interferes: with studies that hand out nothing for a while, and with trials of others."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

from tests.chaos.wire import Wire

PAUSES_S = 1.0
"""The mean time between two interventions."""

CLOSED_S = 1.5
"""How long a study hands out nothing, at most."""

LATEST = 40
"""How many of a study's latest trials are interfered with."""


class Controller:
    """Interferes with these studies."""

    def __init__(self, wire: Wire, studies: Sequence[str], dice: random.Random) -> None:
        self._wire = wire
        self._studies = studies
        self._dice = dice
        self._keys = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Interferes until told to stop; leaves every study open."""
        while not stop.is_set():
            await asyncio.sleep(self._dice.expovariate(1 / PAUSES_S))
            study = f"/studies/{self._dice.choice(self._studies)}"
            if self._dice.random() < 0.3:
                await self._close_for_a_while(study)
            else:
                await self._interfere(study)
        for study in self._studies:
            await self._control(f"/studies/{study}", "resume")
        self._wire.close()

    async def _close_for_a_while(self, study: str) -> None:
        await self._control(study, self._dice.choice(["pause", "stop", "cancel"]))
        await asyncio.sleep(self._dice.uniform(0, CLOSED_S))
        await self._control(study, "resume")

    async def _control(self, study: str, verb: str) -> None:
        await self._wire.insist("POST", f"{study}/{verb}", {"request_id": self._key()})

    async def _interfere(self, study: str) -> None:
        read = await self._wire.insist("GET", study)
        count = sum(read.reply["counts"].values()) if read.ok else 0
        if count == 0:
            return
        path = f"{study}/trials/{self._dice.randrange(max(0, count - LATEST), count)}"
        action = self._dice.choice(["cancel", "cancel", "fail", "retry", "retry", "exempt", "delete"])
        if action == "delete":
            await self._wire.insist("DELETE", path)
        else:
            await self._wire.insist("PATCH", path, {"request_id": self._key(), "action": action, "cause": "a test"})

    def _key(self) -> str:
        self._keys += 1
        return f"{self._wire.worker}-{self._keys}"
