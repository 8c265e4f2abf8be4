"""How long one suggestion takes while the history grows by one trial a suggestion, beside Optuna's TPE.

    python benchmarks/tpe_latency.py [--suggestions 60] [--json FILE]

One thread. Ours is what a batch of the server does for one ask: it looks at the cached history, and draws; the trial is
then finished and taken into the cache, which is not measured. Optuna's is `study.ask` with the declared distributions,
on its in-memory storage; `study.tell` is not measured. Optuna is needed (the extra `dev`).
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import optuna

from report import spread, table, versions, write_json
from tpeak_server.domain.changes import Clock, Delta
from tpeak_server.domain.distributions import (
    CategoricalDistribution,
    Distribution,
    FloatDistribution,
    IntDistribution,
    Space,
)
from tpeak_server.domain.study import Direction, Study
from tpeak_server.domain.trial import Interned, Lease, Trial, TrialRecord, TrialState
from tpeak_server.service.commands import Ask
from tpeak_server.service.history import History
from tpeak_server.service.proposing import Sampling

SIZES = (1_000, 10_000, 100_000)
FLOATS: Space = {f"x{i}": FloatDistribution(low=-5.0, high=5.0) for i in range(10)}
KINDS: tuple[Distribution, ...] = (
    FloatDistribution(low=-5.0, high=5.0),
    FloatDistribution(low=1e-5, high=1.0, log=True),
    IntDistribution(low=1, high=100),
    IntDistribution(low=8, high=1024, log=True),
    CategoricalDistribution(choices=("a", "b", "c", "d", "e")),
)
MIXED: Space = {f"p{i:02}": KINDS[i % len(KINDS)] for i in range(20)}
OPTUNA_SUGGESTIONS = {1_000: 40, 10_000: 15, 100_000: 4}


class Growing:
    """A study in memory: the history of that many complete trials, which grows."""

    def __init__(self, space: Space, trials: int) -> None:
        self._rng = np.random.default_rng(0)
        self._space = space
        self._study = Study(
            id=1, name="s", directions=(Direction.MINIMIZE,), sampler={"name": "tpe"}, pruner={}, seed=0, space=space
        )
        self._names = list(space)
        interned = [Interned(id=i, name=name, distribution=space[name], seen_seq=0) for i, name in enumerate(space)]
        records = [self._record(number) for number in range(trials)]
        self.trials = trials
        self.history = History(Delta(clock=self._clock(), study=self._study, interned=interned, records=records))
        self._sampling = Sampling()

    def suggest(self, count: int) -> float:
        """Draws that many points, and returns the milliseconds it took."""
        ask = Ask(request_id="a", worker="w", count=count)
        began = time.perf_counter()
        prepared = self._sampling.plan(self.history, [ask], [], []).draw()
        took = time.perf_counter() - began
        for point in prepared.points:
            self._finish(point.values)
        return 1e3 * took

    def _finish(self, values: Mapping[str, float]) -> None:
        record = self._record(self.trials, values)
        self.trials += 1
        self.history.apply(Delta(clock=self._clock(), study=self._study, interned=[], records=[record]))

    def _clock(self) -> Clock:
        return Clock(next_number=self.trials, handed=self.trials, seq=self.trials)

    def _record(self, number: int, values: Mapping[str, float] | None = None) -> TrialRecord:
        values = values or {name: drawn(distribution, self._rng) for name, distribution in self._space.items()}
        lease = Lease(number=number, epoch=1, token="t", worker="w", request_id="r", ordinal=0, request_hash=b"")
        trial = Trial(
            number=number,
            state=TrialState.COMPLETE,
            proposed={self._names.index(name): value for name, value in values.items()},
            values=(float(sum(value**2 for value in values.values())),),
            sampled_at_seq=number,
        )
        return TrialRecord(trial=trial, lease=lease)


def drawn(distribution: Distribution, rng: np.random.Generator) -> float:
    """A random internal value."""
    if isinstance(distribution, CategoricalDistribution):
        return float(rng.integers(len(distribution.choices)))
    low, high = float(distribution.low), float(distribution.high)
    value = float(np.exp(rng.uniform(np.log(low), np.log(high)))) if distribution.log else float(rng.uniform(low, high))
    return float(round(value)) if isinstance(distribution, IntDistribution) else value


def optunas(trials: int, suggestions: int) -> list[float]:
    """The milliseconds of Optuna's suggestions over the ten floats."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    rng = np.random.default_rng(0)
    space = {name: optuna.distributions.FloatDistribution(-5.0, 5.0) for name in FLOATS}
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    points = [{name: float(rng.uniform(-5, 5)) for name in space} for _ in range(trials)]
    finished = [
        optuna.trial.create_trial(params=point, distributions=space, value=sum(x**2 for x in point.values()))
        for point in points
    ]
    study.add_trials(finished)
    found = []
    for _ in range(suggestions):
        began = time.perf_counter()
        trial = study.ask(space)
        found.append(1e3 * (time.perf_counter() - began))
        study.tell(trial, sum(x**2 for x in trial.params.values()))
    return found


def main() -> int:
    """Measures and prints; the exit code."""
    parser = argparse.ArgumentParser(description="the time that a suggestion takes")
    parser.add_argument("--suggestions", type=int, default=60)
    parser.add_argument("--without-optuna", action="store_true")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    measured: dict[str, list[float]] = {}

    def measure(name: str, suggest: Callable[[], float], count: int) -> None:
        suggest()  # the first one fits the model
        measured[name] = [suggest() for _ in range(count)]

    for size in SIZES:
        study = Growing(FLOATS, size)
        measure(f"tpe_ms_{size}", partial(study.suggest, 1), given.suggestions)
        measure(f"tpe_batch16_ms_{size}", partial(study.suggest, 16), given.suggestions // 3)
        mixed = Growing(MIXED, size)
        measure(f"tpe_mixed20_ms_{size}", partial(mixed.suggest, 1), given.suggestions)
        if not given.without_optuna:
            measured[f"optuna_ms_{size}"] = optunas(size, OPTUNA_SUGGESTIONS[size])
    print(_table(measured))
    print(versions("numpy", "scipy", "optuna"))
    if given.json:
        write_json(given.json, {name: ("ms", times) for name, times in measured.items()})
    return 0


def _table(measured: Mapping[str, list[float]]) -> str:
    kinds = [kind for kind in ("tpe", "tpe_batch16", "tpe_mixed20", "optuna") if f"{kind}_ms_{SIZES[0]}" in measured]
    rows: list[list[Any]] = []
    for kind in kinds:
        times = [measured[f"{kind}_ms_{size}"] for size in SIZES]
        rows.append([kind, *(spread(one, ".2f") for one in times), f"{statistics.mean(times[0]):.2f}"])
    columns = ["ms a call: median (least .. greatest)", *(f"{size:,} trials" for size in SIZES), "mean at 1,000"]
    return table("10 float parameters (20 mixed ones); one thread", columns, rows)


if __name__ == "__main__":
    sys.exit(main())
