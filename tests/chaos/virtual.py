"""A virtual worker: it asks, reports and tells as real ones do, and misbehaves as real ones might."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, replace
from typing import Any

from tests.chaos.history import Operation
from tests.chaos.wire import Wire

SPACE = {
    "x": {"type": "float", "low": -1.0, "high": 1.0},
    "layers": {"type": "int", "low": 1, "high": 8},
    "opt": {"type": "categorical", "choices": ["adam", "sgd", None, True, 3]},
}
LATE = {
    "depth": {"type": "int", "low": 1, "high": 9},
    "x": {"type": "float", "low": 0.5, "high": 2.0},
    "mode": {"type": "categorical", "choices": ["a", "b", 1]},
}
HOSTS = 20
"""How many machines the workers say they are on."""

ODD_VALUES: list[float | str] = ["NaN", "Infinity", "-Infinity", -0.0, 0.0, 5e-324]


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """What a worker's day is like: its thinking times, the lease's length, and shares of what it does."""

    lease_s: float = 4.0
    think_s: float = 0.5
    zombie: float = 0.06
    vanish: float = 0.02
    release: float = 0.05
    replay: float = 0.04
    reuse: float = 0.02
    read: float = 0.08
    enqueue: float = 0.02


class VirtualWorker:
    """One worker; `study()` says on which study it works next. `zombies` counts how often it fell silent."""

    def __init__(self, wire: Wire, studies: list[tuple[str, float]], habits: Habits, dice: random.Random) -> None:
        self.zombies = 0
        self._wire = wire
        self._studies = studies
        self._habits = habits
        self._dice = dice
        self._keys = 0
        self._host = dice.randrange(HOSTS)

    def slow_down(self, think_s: float) -> None:
        """From now on it thinks for that long between two requests."""
        self._habits = replace(self._habits, think_s=think_s)

    async def run(self, stop: asyncio.Event) -> None:
        """Works until told to stop."""
        await asyncio.sleep(self._dice.uniform(0, 2 * self._habits.think_s))
        while not stop.is_set():
            study = f"/studies/{self._dice.choices(*zip(*self._studies, strict=True))[0]}"  # type: ignore[arg-type]
            if self._happens(self._habits.enqueue):
                await self._enqueue(study)
            await self._turn(study)
            if self._happens(0.1):
                self._wire.hop()
        self._wire.close()

    async def _turn(self, study: str) -> None:
        """Asks once, and works on what it gets."""
        count = self._dice.choice([1, 1, 1, 1, 2, 3])
        body = {
            "request_id": self._key(), "worker": self._wire.worker, "count": count, "distributions": SPACE,
            "host": f"host-{self._host}",
        }  # fmt: skip
        asked = await self._wire.insist("POST", f"{study}/ask", body)
        if self._happens(self._habits.replay):
            await self._elsewhere("POST", f"{study}/ask", body)
        if self._happens(self._habits.reuse):
            await self._wire.send("POST", f"{study}/ask", {**body, "count": count + 1})
        trials = asked.reply["trials"] if asked.ok else []
        if not trials:
            await self._think()
        for trial in trials:
            await self._work(f"{study}/trials/{trial['number']}", trial)

    async def _work(self, path: str, trial: dict[str, Any]) -> None:
        habits, at = self._habits, self._dice.random()
        if at < habits.vanish:
            self.zombies += 1
            return
        zombie = at < habits.vanish + habits.zombie
        prune = False
        for step in range(self._dice.randint(1, 5)):
            await self._think()
            report = await self._report(path, trial, step)
            if not report.ok:
                break
            prune = report.reply["prune"]
            if report.reply["cancel"] or (prune and self._happens(0.9)):
                break
            if self._happens(0.15):
                await self._suggest(path, trial)
            if self._happens(0.05):
                await self._wire.send("POST", f"{path}/heartbeat", {"lease": trial["lease"]})
        if zombie:
            self.zombies += 1
            await asyncio.sleep(self._dice.uniform(1.0, 2.2) * habits.lease_s)
            if self._happens(0.5):
                await self._report(path, trial, 7)
        await self._finish(path, trial, prune)

    async def _report(self, path: str, trial: dict[str, Any], step: int) -> Operation:
        value = self._dice.choice(ODD_VALUES) if self._happens(0.1) else self._dice.random() + 1 / (step + 1)
        body = {"lease": trial["lease"], "reports": [{"step": step, "values": [value]}], "used": list(trial["params"])}
        reported = await self._wire.insist("POST", f"{path}/report", body)
        if self._happens(self._habits.replay):
            await self._elsewhere("POST", f"{path}/report", body)
        if self._happens(self._habits.reuse):
            other = [{"step": step, "values": [-1.0]}, {"step": step + 100, "values": [self._dice.random()]}]
            await self._wire.send("POST", f"{path}/report", {**body, "reports": other[: self._dice.randint(1, 2)]})
        return reported

    async def _suggest(self, path: str, trial: dict[str, Any]) -> None:
        name = self._dice.choice(list(LATE))
        body = {"lease": trial["lease"], "name": name, "distribution": LATE[name]}
        suggested = await self._wire.insist("POST", f"{path}/suggest", body)
        if suggested.ok and self._happens(0.2):
            await self._elsewhere("POST", f"{path}/suggest", body)

    async def _finish(self, path: str, trial: dict[str, Any], prune: bool) -> None:
        """The trial's end: given back, or told; perhaps twice, perhaps once more otherwise."""
        if self._happens(self._habits.release):
            body = {"lease": trial["lease"], "checkpoint": f"/checkpoints/{self._key()}"}
            await self._wire.insist("POST", f"{path}/release", body)
            return
        body = {"lease": trial["lease"], **self._result(prune), "used": list(trial["params"])}
        told = await self._wire.insist("POST", f"{path}/tell", body)
        if told.ok and self._happens(self._habits.read):
            await self._elsewhere("GET", path)
        if self._happens(self._habits.replay):
            await self._elsewhere("POST", f"{path}/tell", body)
        if self._happens(self._habits.reuse):
            other = {**body, "state": "complete", "values": [self._dice.random()]}
            await self._wire.send("POST", f"{path}/tell", other)

    def _result(self, prune: bool) -> dict[str, Any]:
        at = self._dice.random()
        if prune and at < 0.9:
            return {"state": "pruned"}
        if at < 0.05:
            return {"state": "failed", "error": "ValueError: a planned one", "retry": self._happens(0.5)}
        value = self._dice.choice(ODD_VALUES) if at < 0.12 else self._dice.random()
        return {"state": "complete", "values": [value]}

    async def _enqueue(self, study: str) -> None:
        body = {"request_id": self._key(), "trials": [{"params": {"x": round(self._dice.uniform(-1, 1), 3)}}]}
        if self._happens(0.3):
            done = {"state": "complete", "values": [self._dice.random()], "params": {"x": 0.5}}
            body["trials"].append({**done, "distributions": {"x": SPACE["x"]}})  # type: ignore[union-attr]
        await self._wire.insist("POST", f"{study}/trials", body)
        if self._happens(0.3):
            await self._elsewhere("POST", f"{study}/trials", body)
        if self._happens(0.2):
            await self._wire.send("POST", f"{study}/trials", {**body, "trials": [{"params": {"x": 0.0}}]})

    async def _elsewhere(self, method: str, path: str, body: Any = None) -> None:
        """Once more, through another replica."""
        self._wire.hop()
        await self._wire.send(method, path, body)

    async def _think(self) -> None:
        await asyncio.sleep(self._dice.expovariate(1 / self._habits.think_s) if self._habits.think_s else 0)

    def _key(self) -> str:
        self._keys += 1
        return f"{self._wire.worker}-{self._keys}"

    def _happens(self, share: float) -> bool:
        return self._dice.random() < share
