"""A study of the server without its HTTP and its database: its cache, its way of proposing, and its sampler.

At the ask all parameters that the study has seen are proposed jointly; one that the objective wants besides, or in
another range, is drawn conditionally on what the trial has. That is what the server and its client do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import tpeak_server
from tpeak_server.domain.changes import Clock, Delta
from tpeak_server.domain.distributions import (
    CategoricalDistribution,
    Distribution,
    FloatDistribution,
    IntDistribution,
    canonical,
)
from tpeak_server.domain.study import Direction, Study
from tpeak_server.domain.trial import Interned, Lease, Trial, TrialRecord, TrialState
from tpeak_server.samplers.registry import resolve
from tpeak_server.service.commands import Ask, Suggest
from tpeak_server.service.history import History
from tpeak_server.service.proposing import Sampling

SOURCES = ("samplers", "service/history.py", "service/proposing.py", "domain/distributions.py")
"""What a suggestion depends on, below the package."""


def version() -> str:
    """A digest of the sources that a suggestion depends on."""
    root = Path(tpeak_server.__file__).parent
    files = sorted(path for source in SOURCES for path in [root / source, *(root / source).rglob("*.py")])
    digest = hashlib.blake2b(digest_size=6)
    for file in files:
        if file.is_file():
            digest.update(file.read_bytes())
    return digest.hexdigest()


class TpeakStudy:
    """One study that is minimized, with its cache; `settings` are a sampler's on the wire, `{"name": "tpe", ...}`."""

    def __init__(self, settings: Mapping[str, Any], seed: int) -> None:
        self._study = Study(
            id=1,
            name="benchmark",
            directions=(Direction.MINIMIZE,),
            sampler=resolve(settings),
            pruner={},
            seed=seed,
        )
        self._clock = Clock(next_number=0, handed=0, seq=0)
        self.history = History(Delta(clock=self._clock, study=self._study, interned=[], records=[]))
        self._sampling = Sampling()

    def ask(self) -> TpeakTrial:
        """A new trial with all the parameters that are known."""
        plan = self._sampling.plan(self.history, [Ask(request_id="", worker="")], [], [])
        point = plan.draw().points[0]
        ids = {name: self.history.ids[name, canonical(distribution)] for name, distribution in point.space.items()}
        number = self._clock.next_number
        trial = Trial(
            number=number,
            state=TrialState.RUNNING,
            proposed={ids[name]: value for name, value in point.values.items()},
            origin=point.origin,
            sampled_at_seq=point.seq,
        )
        lease = Lease(number=number, epoch=1, token="", worker="", request_id="", ordinal=0, request_hash=b"")
        self._clock = replace(self._clock, next_number=number + 1, handed=number + 1)
        self._commit(TrialRecord(trial=trial, lease=lease))
        return TpeakTrial(self, number)

    def tell(self, trial: TpeakTrial, value: float) -> None:
        """Finishes the trial with the parameters that its objective used."""
        record = self.history.unfinished[trial.number]
        assert record.lease is not None
        self._commit(
            replace(
                record,
                trial=replace(record.trial, state=TrialState.COMPLETE, values=(value,)),
                lease=replace(record.lease, used=tuple(trial.used)),
            )
        )

    def value(self, number: int, name: str, distribution: Distribution) -> Any:
        """The running trial's external value for a name: the proposed one where it fits, else drawn now."""
        record = self.history.unfinished[number]
        proposed = record.known(self.history.interned).get(name)
        if proposed is not None and self._fits(*proposed, distribution):
            return self.history.interned[proposed[0]].distribution.to_external(proposed[1])
        suggest = Suggest(number=number, name=name, distribution=distribution)
        drawn = self._sampling.plan(self.history, [], [suggest], []).draw().late[number, name][1]
        interned = self._interned(name, distribution)
        suggested = {**record.suggested, name: (interned.id, drawn)}
        self._commit(replace(record, suggested=suggested), [interned])
        return distribution.to_external(drawn)

    def _fits(self, distribution_id: int, internal: float, wanted: Distribution) -> bool:
        own = self.history.interned[distribution_id].distribution
        if own.kind != wanted.kind:
            return False
        if isinstance(wanted, CategoricalDistribution):
            return wanted.has(own.to_external(internal))
        return wanted.contains(internal)

    def _interned(self, name: str, distribution: Distribution) -> Interned:
        """The distribution as its name's current one."""
        known = self.history.ids.get((name, canonical(distribution)), len(self.history.interned))
        return Interned(id=known, name=name, distribution=distribution, seen_seq=self._clock.seq + 1)

    def _commit(self, record: TrialRecord, interned: Sequence[Interned] = ()) -> None:
        self._clock = replace(self._clock, seq=self._clock.seq + 1)
        self.history.apply(Delta(clock=self._clock, study=self._study, interned=list(interned), records=[record]))


class TpeakTrial:
    """A running trial, as an objective sees it; `used` are the names that it asked for."""

    def __init__(self, study: TpeakStudy, number: int) -> None:
        self._study = study
        self.number = number
        self.used: dict[str, Any] = {}

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

    def _value(self, name: str, distribution: Distribution) -> Any:
        if name not in self.used:
            self.used[name] = self._study.value(self.number, name, distribution)
        return self.used[name]
