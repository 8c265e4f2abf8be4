"""The time that the server takes to decide on a report, by rule and by how many trials have reported before.

Every trial before is complete and has reported 100 steps. One more reports 100 steps, one after the other, which is
measured from the record with its new report to the decision: what the study keeps by step and by rung, and the rule.
HTTP, the lock and the database are not. Optuna's is `trial.report` and `trial.should_prune`, on its in-memory storage,
for the rules that look at all trials. Optuna is needed (the extra `dev`).
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import optuna

from report import spread, table, versions, write_json
from tpeak_server.domain.changes import Clock, Delta, unread
from tpeak_server.domain.study import Direction, Study
from tpeak_server.domain.trial import Trial, TrialRecord, TrialState
from tpeak_server.pruners.registry import resolve
from tpeak_server.service.history import History
from tpeak_server.service.ledger import Ledger
from tpeak_server.service.reporting import Pruning

SIZES = (100, 1_000, 10_000)
STEPS = 100
RULES: Mapping[str, Mapping[str, Any]] = {
    "median": {"name": "median"},
    "percentile": {"name": "percentile", "percentile": 25.0},
    "threshold": {"name": "threshold", "upper": 1e9},
    "patient": {"name": "patient", "wrapped_pruner": {"name": "median"}, "patience": 5},
    "wilcoxon": {"name": "wilcoxon"},
    "successive_halving": {"name": "successive_halving"},
    "successive_halving_cost": {"name": "successive_halving", "resource": "cost"},
    "hyperband": {"name": "hyperband"},
    "hyperband_cost": {"name": "hyperband", "resource": "cost"},
}
COST = 0.75
"""What each report costs, in the studies of all rules: those that count steps keep the costs, too."""

OPTUNAS: Mapping[str, Callable[[], optuna.pruners.BasePruner]] = {
    "median": optuna.pruners.MedianPruner,
    "successive_halving": optuna.pruners.SuccessiveHalvingPruner,
    "hyperband": optuna.pruners.HyperbandPruner,
}


def curves(trials: int) -> np.ndarray:
    """Losses (trials, steps) that fall with the steps, to another end in each trial."""
    rng = np.random.default_rng(0)
    ends = rng.uniform(0.0, 1.0, (trials, 1))
    found: np.ndarray = ends + np.exp(-np.arange(STEPS) / 20.0) + rng.normal(0.0, 0.01, (trials, STEPS))
    return found


def middling(step: int) -> float:
    """The loss of half of the trials: rules that test it against the best one have something to test."""
    return 0.5 + math.exp(-step / 20.0)


class Reporting:
    """A study in memory with that many complete trials."""

    def __init__(self, rule: str, trials: int) -> None:
        spec = resolve(RULES[rule])
        self._trials = trials
        self._study = Study(
            id=1, name="s", directions=(Direction.MINIMIZE,), sampler={"name": "random"}, pruner=spec, seed=0
        )
        records = [
            TrialRecord(
                trial=Trial(number=number, state=TrialState.COMPLETE, values=(curve[-1],)),
                curve={step: (value,) for step, value in enumerate(curve, 1)},
                costs=dict.fromkeys(range(1, STEPS + 1), COST),
            )
            for number, curve in enumerate(curves(trials).tolist())
        ]
        self._history = History(self._delta(records))
        self._pruning = Pruning()

    def decisions(self) -> list[float]:
        """The milliseconds of the decision on each report of one more trial, which is one of the middle."""
        self._known = self._record({})
        self._report({0: (9.0,)})  # rungs are put together once
        self._known = self._record({})
        return [self._report({step: (middling(step),)}) for step in range(1, STEPS + 1)]

    def _record(self, curve: Mapping[int, tuple[float, ...]]) -> TrialRecord:
        trial = Trial(number=self._trials, state=TrialState.RUNNING)
        return TrialRecord(trial=trial, curve=curve, costs=dict.fromkeys(curve, COST))

    def _report(self, reported: Mapping[int, tuple[float, ...]]) -> float:
        record = self._record({**self._known.curve, **reported})
        ledger = Ledger(unread(self._history.clock), self._history)
        began = time.perf_counter()
        self._pruning.decide(ledger, record, self._known)
        delta = self._delta([record])
        self._history.apply(delta)
        took = time.perf_counter() - began
        self._known = record
        if ledger.changes.study is not None:
            self._study = ledger.study
            self._history.apply(self._delta([]))
        return 1e3 * took

    def _delta(self, records: list[TrialRecord]) -> Delta:
        clock = Clock(next_number=self._trials + 1, handed=0, seq=1)
        return Delta(clock=clock, study=self._study, interned=[], records=records)


def optunas(rule: str, trials: int) -> list[float]:
    """The milliseconds of Optuna's decisions on the same reports; every tenth of them is measured."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(pruner=OPTUNAS[rule]())
    finished = [
        optuna.trial.create_trial(value=curve[-1], intermediate_values=dict(enumerate(curve, 1)))
        for curve in curves(trials).tolist()
    ]
    study.add_trials(finished)
    trial, found = study.ask(), []
    for step in range(10, STEPS + 1, 10):
        began = time.perf_counter()
        trial.report(middling(step), step)
        trial.should_prune()
        found.append(1e3 * (time.perf_counter() - began))
    return found


def main() -> int:
    """Measures and prints; the exit code."""
    parser = argparse.ArgumentParser(description="the time that a decision to prune takes")
    parser.add_argument("--without-optuna", action="store_true")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    measured: dict[str, list[float]] = {}
    for size in SIZES:
        for rule in RULES:
            measured[f"prune_{rule}_ms_{size}"] = Reporting(rule, size).decisions()
        measured[f"prune_ms_{size}"] = max((measured[f"prune_{rule}_ms_{size}"] for rule in RULES), key=np.median)
        for rule in () if given.without_optuna else OPTUNAS:
            measured[f"optuna_{rule}_ms_{size}"] = optunas(rule, size)
    kinds = [*(f"prune_{rule}" for rule in RULES), "prune", *(f"optuna_{rule}" for rule in OPTUNAS)]
    rows = [
        [kind, *(spread(measured[f"{kind}_ms_{size}"], ".3f") for size in SIZES)]
        for kind in kinds
        if f"{kind}_ms_{SIZES[0]}" in measured
    ]
    columns = ["ms a report: median (least .. greatest)", *(f"{size:,} trials" for size in SIZES)]
    print(table(f"{STEPS} steps a trial; prune is the slowest rule", columns, rows))
    print(versions("numpy", "scipy", "optuna"))
    if given.json:
        write_json(given.json, {name: ("ms", times) for name, times in measured.items()})
    return 0


if __name__ == "__main__":
    sys.exit(main())
