"""Trials of a define-by-run objective, as samplers that see all of them see them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from tpeak_server.domain.distributions import Distribution
from tpeak_server.domain.observations import Suggestion, Tried, Tries, View
from tpeak_server.domain.trial import TrialState
from tpeak_server.samplers.seam import Sampler, Stream

Values = dict[str, float]
Objective = Callable[[Values], Iterator[tuple[str, Distribution]]]

ENDS = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAILED, TrialState.LOST)


@dataclass
class World:
    """A study without a server: what the sampler is asked, and what it said, late parameters one by one."""

    sampler: Sampler
    objective: Objective
    seed: int = 1
    ranges: dict[int, tuple[str, Distribution]] = field(default_factory=dict)
    trials: dict[int, Tried] = field(default_factory=dict)
    met: dict[int, Values] = field(default_factory=dict)

    @property
    def view(self) -> View:
        nothing = np.empty(0)
        return View(
            seq=0,
            numbers=np.empty(0, dtype=np.int64),
            outcome=np.empty(0, dtype=np.int8),
            loss=np.empty((0, 1)),
            last_step=np.empty(0, dtype=np.int64),
            last_loss=nothing,
            violation=nothing,
            columns=dict.fromkeys(self.space, nothing),
            tried=Tries(trials=dict(self.trials), ranges=dict(self.ranges)),
        )

    @property
    def space(self) -> dict[str, Distribution]:
        return dict(self.ranges.values())

    def ask(self) -> int | None:
        """The number of a new trial, None where nothing is left for now."""
        number = len(self.met)
        drawn = self.sampler.suggest(self.view, self.space, self.nothing(), [Stream(self.seed, number)])
        if not drawn:
            return None
        self.met[number] = {}
        self.trials[number] = self._tried(drawn[0])
        return number

    def step(self, number: int) -> bool:
        """Has the trial ask for its next parameter; False where there is none."""
        tried = self.trials[number]
        for name, distribution in self.objective(self.met[number]):
            if name in self.met[number]:
                continue
            known = Tries(trials={}, ranges=self.ranges).known(tried)
            if name in known and known[name][0] == distribution:
                self.met[number][name] = known[name][1]
                return True
            self.met[number][name] = value = self._late(number, name, distribution)
            ids, values = (*tried.ids, self._id(name, distribution)), [*tried.values, value]
            self.trials[number] = replace(tried, ids=ids, values=values)
            return True
        return False

    def end(self, number: int, state: TrialState) -> None:
        used = tuple(self.met[number])
        self.trials[number] = replace(self.trials[number], state=state, used=used)

    def nothing(self) -> dict[str, np.ndarray]:
        return {name: np.empty(0) for name in self.space}

    def _late(self, number: int, name: str, distribution: Distribution) -> float:
        space = {**self.space, name: distribution}
        fixed = {n: v for n, v in self.met[number].items() if n in space}
        pending = {n: np.empty(0) for n in space}
        (drawn,) = self.sampler.suggest(self.view, space, pending, [Stream(self.seed, number, name)], fixed=fixed)
        return drawn.values[name]

    def _tried(self, drawn: Suggestion) -> Tried:
        ranges: Mapping[str, Distribution] = {**self.space, **drawn.distributions}
        return Tried(
            state=TrialState.RUNNING,
            origin=drawn.origin,
            ids=tuple(self._id(name, ranges[name]) for name in drawn.values),
            values=list(drawn.values.values()),
            proposed=len(drawn.values),
            fixed=drawn.fixed,
            used=None,
        )

    def _id(self, name: str, distribution: Distribution) -> int:
        for known, pair in self.ranges.items():
            if pair == (name, distribution):
                return known
        self.ranges[len(self.ranges)] = (name, distribution)
        return len(self.ranges) - 1
