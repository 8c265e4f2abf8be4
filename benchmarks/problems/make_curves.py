"""Stores the curves of `curves.py`: cross-validates 2,112 models by steps, in twenty minutes of a processor's time.

    python benchmarks/problems/make_curves.py [digits-mlp ...]

What is not named keeps its curves. They belong to the version of scikit-learn that made them. A value is the mean of
the folds' values, since in a single training luck chooses the best grid point. The folds are the same for all models of
a problem; each has a seed of its own. A step's seconds are the processor's for all folds together, without validation.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import Any

# Threads that wait for one another would be counted as training.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from sklearn import ensemble, linear_model, metrics, model_selection, neural_network

sys.path.insert(0, str(Path(__file__).parents[1]))

from problems.curves import CURVES, SPACES, STEPS
from problems.grids import points
from problems.make_tables import loaded

FOLDS = 3
"""Every sample is held out, for validation, by one of them."""

MOST_TRAINED = 400
"""Of more samples for training the first are taken: it is the shape of the landscape that matters. All of a fold are
validated.
"""

LEAST = {"accuracy": 0.0, "r2": -1.0}
"""No value is below; a model that diverged has it from then on."""

STAGES = 3
"""Of boosting, the stages of one step."""

Split = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Samples to train with (n, features) and to validate with (m, features), and their targets (n,) and (m,)."""


def main() -> int:
    """Stores the curves of the problems that the command names, or of all; the exit code."""
    tables = dict(np.load(CURVES)) if CURVES.exists() else {}
    with ProcessPoolExecutor(max_workers=2) as pool:
        for name in sys.argv[1:] or SPACES:
            began = time.perf_counter()
            axes = SPACES[name]
            every = points(axes)
            curves = np.array(list(pool.map(partial(curve, name), every, chunksize=4)), dtype=np.float32)
            shape = (*(len(axis.grid()) for axis in axes), STEPS)
            tables[f"{name}/values"] = curves[:, 0].reshape(shape)
            tables[f"{name}/seconds"] = curves[:, 1].astype(np.float16).reshape(shape)
            np.savez_compressed(CURVES, **tables)
            print(
                f"{name}: {len(every)} curves, best final value {curves[:, 0, -1].max():.4f}, "
                f"{curves[:, 1].sum():.0f} s of training in {time.perf_counter() - began:.0f} s",
                flush=True,
            )
    return 0


def curve(name: str, params: Mapping[str, Any]) -> tuple[list[float], list[float]]:
    """The values and the seconds by step of a model: the folds' mean, and their sum."""
    folds = np.array([_of_fold(name, params, fold) for fold in range(FOLDS)])
    return folds[:, 0].mean(axis=0).tolist(), folds[:, 1].sum(axis=0).tolist()


def _of_fold(name: str, params: Mapping[str, Any], fold: int) -> tuple[list[float], list[float]]:
    # A number would shuffle every epoch alike.
    model, stages = _MODELS[name](params, np.random.RandomState(fold))
    split = splits(name)[fold]
    truth = split[-1]
    kind, score = ("accuracy", metrics.accuracy_score) if truth.dtype.kind == "i" else ("r2", metrics.r2_score)
    values: list[float] = []
    seconds: list[float] = []
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # learning rates that are too large are meant
        try:
            for predicted, took in _staged(split, model, stages) if stages else _epochs(split, model):
                values.append(max(float(score(truth, predicted)), LEAST[kind]))
                seconds.append(took)
        except ValueError:  # scikit-learn's word for weights that are no longer finite
            took = float(np.mean(seconds)) if seconds else 0.0
            values += [LEAST[kind]] * (STEPS - len(values))
            seconds += [took] * (STEPS - len(seconds))
    return values, seconds


def _epochs(split: Split, model: Any) -> Iterator[tuple[np.ndarray, float]]:
    """What a model predicts after each pass over the samples, and how long that took."""
    x, held_out, y, _ = split
    first = {"classes": np.unique(y)} if y.dtype.kind == "i" else {}
    for _ in range(STEPS):
        began = time.process_time()
        model.partial_fit(x, y, **first)
        took = time.process_time() - began
        yield model.predict(held_out), took


def _staged(split: Split, model: Any, stages: int) -> Iterator[tuple[np.ndarray, float]]:
    """What a model predicts after each `stages` of its stages, which are taken to be equally long."""
    x, held_out, y, _ = split
    began = time.process_time()
    model.fit(x, y)
    took = (time.process_time() - began) / STEPS
    for stage, predicted in enumerate(model.staged_predict(held_out), start=1):
        if stage % stages == 0:
            yield predicted, took


@cache
def splits(name: str) -> list[Split]:
    """The data of every fold."""
    x, y = loaded(name)
    if name.startswith("wine-alcohol"):
        x, y = x[:, 1:], x[:, 0]
    # Training and validation know the same writers of digits, though the data are in order of those.
    order = np.random.default_rng(0).permutation(len(x))
    x, y = x[order], y[order]
    kind = model_selection.KFold if y.dtype.kind == "f" else model_selection.StratifiedKFold
    folds = kind(FOLDS).split(x, y)
    return [_standardized(x[train[:MOST_TRAINED]], x[held], y[train[:MOST_TRAINED]], y[held]) for train, held in folds]


def _standardized(x: np.ndarray, held_out: np.ndarray, y: np.ndarray, truth: np.ndarray) -> Split:
    """The features and a regression's targets, by the means and the spread of those to train with."""
    mean, scale = x.mean(axis=0), x.std(axis=0)
    scale[scale == 0.0] = 1.0
    if y.dtype.kind == "f":
        y, truth = (y - y.mean()) / y.std(), (truth - y.mean()) / y.std()
    return (x - mean) / scale, (held_out - mean) / scale, y, truth


def _mlp(kind: Any, params: Mapping[str, Any], seed: np.random.RandomState) -> tuple[Any, int]:
    network = kind(
        hidden_layer_sizes=(params["width"],),
        learning_rate_init=params["learning_rate"],
        alpha=params["decay"],
        batch_size=params.get("batch_size", 16),
        activation=params.get("activation", "relu"),
        random_state=seed,
    )
    return network, 0


def _digits_sgd(params: Mapping[str, Any], seed: np.random.RandomState) -> tuple[Any, int]:
    model = linear_model.SGDClassifier(
        loss=params["loss"],
        alpha=params["decay"],
        learning_rate="invscaling",
        eta0=params["learning_rate"],
        power_t=params["cooling"],
        random_state=seed,
    )
    return model, 0


def _breast_cancer_boosting(params: Mapping[str, Any], seed: np.random.RandomState) -> tuple[Any, int]:
    model = ensemble.HistGradientBoostingClassifier(
        learning_rate=params["learning_rate"],
        max_iter=STAGES * STEPS,
        max_leaf_nodes=params["leaves"],
        min_samples_leaf=params["leaf"],
        l2_regularization=params["decay"],
        early_stopping=False,
        random_state=seed,
    )
    return model, STAGES


def _diabetes_boosting(params: Mapping[str, Any], seed: np.random.RandomState) -> tuple[Any, int]:
    model = ensemble.GradientBoostingRegressor(
        learning_rate=params["learning_rate"],
        n_estimators=STAGES * STEPS,
        max_depth=params["depth"],
        subsample=params["subsample"],
        max_features=params["features"],
        random_state=seed,
    )
    return model, STAGES


_MODELS = {
    "digits-mlp": partial(_mlp, neural_network.MLPClassifier),
    "digits-sgd": _digits_sgd,
    "breast-cancer-boosting": _breast_cancer_boosting,
    "diabetes-boosting": _diabetes_boosting,
    "diabetes-mlp": partial(_mlp, neural_network.MLPRegressor),
    "wine-alcohol-mlp": partial(_mlp, neural_network.MLPRegressor),
}
"""By the problem's name: the model, and how many of its stages are a step, 0 where it is trained by epochs."""


if __name__ == "__main__":
    raise SystemExit(main())
