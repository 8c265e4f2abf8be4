"""A study of the server without its HTTP and its database: its cache, and what it does at an ask, a suggest and a tell.

At the ask all parameters that the study has seen are proposed jointly; one that the objective wants besides, or in
another range, is drawn conditionally on what the trial has. That is what the server and its client do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tpeak_server
from studies.simulation import NothingLeft
from tpeak_server.domain.changes import Clock, Delta, unread
from tpeak_server.domain.distributions import (
    CategoricalDistribution,
    Distribution,
    FloatDistribution,
    IntDistribution,
)
from tpeak_server.domain.study import Direction, Study
from tpeak_server.domain.trial import TrialState
from tpeak_server.samplers.registry import resolve
from tpeak_server.service.asking import ask
from tpeak_server.service.commands import Ask, Suggest, Tell
from tpeak_server.service.history import History
from tpeak_server.service.ledger import Ledger
from tpeak_server.service.proposing import Sampling
from tpeak_server.service.suggesting import suggest
from tpeak_server.service.telling import tell

SOURCES = ("samplers", "service/history.py", "service/proposing.py", "domain/distributions.py")
"""What a suggestion depends on, below the package."""


def version(sources: Sequence[str] = SOURCES) -> str:
    """A digest of sources, by default of those that a suggestion depends on."""
    root = Path(tpeak_server.__file__).parent
    files = sorted(path for source in sources for path in [root / source, *(root / source).rglob("*.py")])
    digest = hashlib.blake2b(digest_size=6)
    for file in files:
        if file.is_file():
            digest.update(file.read_bytes())
    return digest.hexdigest()


class TpeakStudy:
    """One study that is minimized, with its cache; `settings` are a sampler's on the wire, `{"name": "tpe", ...}`."""

    def __init__(self, settings: Mapping[str, Any], seed: int, objectives: int = 1) -> None:
        study = Study(
            id=1,
            name="benchmark",
            directions=(Direction.MINIMIZE,) * objectives,
            sampler=resolve(settings),
            pruner={},
            seed=seed,
        )
        clock = Clock(next_number=0, handed=0, seq=0)
        self.history = History(Delta(clock=clock, study=study, interned=[], records=[]))
        self._sampling = Sampling()
        self._ahead = self._sampling.plan(self.history, [], [], [])
        """Nothing: all is drawn when it is needed, from the same scenes."""

    def ask(self) -> TpeakTrial:
        """A new trial with all the parameters that are known."""
        ledger = self._ledger()
        request_id = str(self.history.clock.next_number)
        asked = ask(ledger, Ask(request_id=request_id, worker=""), self._sampling, self._ahead.draw_under_lock(1))
        self.history.apply(ledger.delta())
        if not asked.trials:
            raise NothingLeft
        lease = asked.trials[0].lease
        return TpeakTrial(self, lease.number, lease.token)

    def tell(self, trial: TpeakTrial, value: float | Sequence[float]) -> None:
        """Finishes the trial with the parameters that its objective used."""
        command = Tell(
            number=trial.number,
            lease=trial.lease,
            state=TrialState.COMPLETE,
            values=(value,) if isinstance(value, float) else tuple(value),
            constraints=tuple(trial.constraints.values()) or None,
            used=tuple(trial.used),
        )
        ledger = self._ledger()
        tell(ledger, command)
        self.history.apply(ledger.delta())

    def value(self, trial: TpeakTrial, name: str, distribution: Distribution) -> Any:
        """The running trial's external value for a name: the proposed one where it fits, else drawn now."""
        command = Suggest(number=trial.number, lease=trial.lease, name=name, distribution=distribution)
        ledger = self._ledger()
        suggested = suggest(ledger, command, self._sampling, self._ahead.draw_under_lock(1))
        self.history.apply(ledger.delta())
        return suggested.value

    def _ledger(self) -> Ledger:
        return Ledger(unread(self.history.clock), self.history)


class TpeakTrial:
    """A running trial, as an objective sees it; `used` are the names that it asked for."""

    def __init__(self, study: TpeakStudy, number: int, lease: str) -> None:
        self._study = study
        self.number = number
        self.lease = lease
        self.used: dict[str, Any] = {}
        self.constraints: dict[str, float] = {}

    def suggest_float(
        self, name: str, low: float, high: float, *, log: bool = False, step: float | None = None
    ) -> float:
        """A float in [low, high]."""
        value: float = self._value(name, FloatDistribution(low=low, high=high, log=log, step=step))
        return value

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False, step: int = 1) -> int:
        """An integer in [low, high]."""
        value: int = self._value(name, IntDistribution(low=low, high=high, log=log, step=step))
        return value

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of the choices."""
        return self._value(name, CategoricalDistribution(choices=tuple(choices)))

    def set_constraint(self, key: str, value: float) -> None:
        """Says how far the trial is from being feasible in one respect."""
        self.constraints[key] = value

    def _value(self, name: str, distribution: Distribution) -> Any:
        if name not in self.used:
            self.used[name] = self._study.value(self, name, distribution)
        return self.used[name]
