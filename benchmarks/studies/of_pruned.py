"""Studies with a pruner: tpeak's through its client and a server, Optuna's in memory."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import optuna

import tpeak
from problems.curves import CurveProblem
from studies import of_optuna, of_tpeak
from studies.arms import Arm
from studies.simulation import NothingLeft
from studies.stepwise import SteppedStudy

SOURCES = (*of_tpeak.SOURCES, "pruners", "service/curves.py", "service/reporting.py")
"""What a study of tpeak depends on, below the server's package."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnTheWire:
    """Settings as the server gets them, in place of one of the client's own classes."""

    settings: Mapping[str, Any]
    seed: int | None = None

    def wire(self) -> dict[str, Any]:
        """The settings."""
        return dict(self.settings)


class Client:
    """A study on the server that the environment names."""

    def __init__(self, arm: Arm, problem: CurveProblem, seed: int, trials: int) -> None:
        settings = {"name": arm.sampler.name, **arm.sampler.settings}
        if arm.sampler.name == "grid":
            settings = {"search_space": problem.grid(trials), **settings}
        self._silent = arm.pruner.name == "nop"
        self._study = tpeak.create_study(
            sampler=OnTheWire(settings=settings, seed=seed),  # type: ignore[arg-type]
            pruner=OnTheWire(settings={"name": arm.pruner.name, **arm.pruner.settings}),  # type: ignore[arg-type]
            study_name=f"{problem.name} {seed} {uuid.uuid4()}",
            direction="maximize",
        )

    def ask(self) -> tpeak.Trial:
        """A new trial, running. Raises NothingLeft."""
        try:
            return self._study.ask()
        except (tpeak.StudyFinished, tpeak.NoTrialYet):
            raise NothingLeft from None

    def report(self, trial: tpeak.Trial, value: float, step: int) -> bool:
        """Reports a step, unless nobody would look at it; the server's decision."""
        if self._silent:
            return False
        trial.report(value, step)
        return trial.should_prune()

    def tell(self, trial: tpeak.Trial, value: float | None) -> None:
        """Finishes the trial with its value, or as pruned."""
        self._study.tell(trial, value, None if value is not None else tpeak.TrialState.PRUNED)


class Optuna:
    """A study of Optuna, whose Hyperband tells brackets by the study's name."""

    def __init__(self, arm: Arm, problem: CurveProblem, seed: int, trials: int) -> None:
        arguments = {"search_space": problem.grid(trials)} if arm.sampler.name == "optuna5_grid" else {}
        sampler = of_optuna.sampler_of(arm.sampler.name, seed, {**arguments, **arm.sampler.settings})
        kind = "".join(word.capitalize() for word in arm.pruner.name.split("_"))
        self._study = optuna.create_study(
            sampler=sampler,
            pruner=getattr(optuna.pruners, f"{kind}Pruner")(**arm.pruner.settings),
            study_name=f"{problem.name} {seed}",
            direction="maximize",
        )
        # A sampler stops the study where nothing is left, which it may in this loop alone.
        self._study._thread_local.in_optimize_loop = True

    def ask(self) -> optuna.Trial:
        """A new trial, running. Raises NothingLeft."""
        if self._study._stop_flag:
            raise NothingLeft
        return self._study.ask()

    def report(self, trial: optuna.Trial, value: float, step: int) -> bool:
        """Reports a step; the pruner's decision."""
        trial.report(value, step)
        return trial.should_prune()

    def tell(self, trial: optuna.Trial, value: float | None) -> None:
        """Finishes the trial with its value, or as pruned."""
        self._study.tell(trial, value, None if value is not None else optuna.trial.TrialState.PRUNED)


def version_of(arm: Arm) -> str:
    """What an arm's results depend on besides its settings."""
    return of_tpeak.version(SOURCES) if arm.sampler.of_tpeak else of_optuna.version()


def study_of(arm: Arm, problem: CurveProblem, seed: int, trials: int) -> SteppedStudy[Any]:
    """A new study."""
    return (Client if arm.sampler.of_tpeak else Optuna)(arm, problem, seed, trials)
