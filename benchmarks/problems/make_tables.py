"""Fills the grids of `training.py`: trains four thousand small models, in a quarter of an hour on two cores.

    python benchmarks/problems/make_tables.py [digits-mlp ...]

What is not named keeps its losses. The table belongs to the version of scikit-learn that made it.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy import special
from sklearn import (
    datasets,
    decomposition,
    ensemble,
    linear_model,
    model_selection,
    neighbors,
    neural_network,
    pipeline,
    preprocessing,
    svm,
)

sys.path.insert(0, str(Path(__file__).parents[1]))

from problems.grids import points
from problems.training import TABLES, TREES

FOLDS = 3

MOST_SAMPLES = 300
"""Larger data are cut to these many samples: it is the shape of the landscape that matters."""

LEAST_PROBABILITY = 1e-3
"""No sample costs more than the logarithm of this, however sure a model was of something else."""

SCALERS = {
    "none": lambda: preprocessing.FunctionTransformer(),
    "standard": preprocessing.StandardScaler,
    "minmax": preprocessing.MinMaxScaler,
    "robust": preprocessing.RobustScaler,
}


def main() -> int:
    """Fills the grids that the command names, or all; the exit code."""
    wanted = sys.argv[1:] or list(TREES)
    tables = dict(np.load(TABLES)) if TABLES.exists() else {}
    with ProcessPoolExecutor(max_workers=2) as pool:
        for name in wanted:
            for branch in TREES[name].branches:
                axes = TREES[name].axes(branch)
                every = points(axes)
                losses = list(pool.map(partial(loss, name, branch), every, chunksize=8))
                shape = [len(axis.grid()) for axis in axes]
                tables[f"{name}/{branch}"] = np.array(losses, dtype=np.float32).reshape(shape)
                print(f"{name} {branch}: {len(every)} points, least loss {min(losses):.4f}", flush=True)
                np.savez_compressed(TABLES, **tables)
    return 0


def loss(name: str, branch: str, params: Mapping[str, Any]) -> float:
    """The cross-validated loss of a model."""
    x, y = _data(name)
    model = _MODELS[name](branch, params)
    with warnings.catch_warnings():
        # Networks that are stopped after few epochs, and penalties that decide alone: both are meant.
        warnings.simplefilter("ignore")
        if name.startswith("diabetes"):
            split: Any = model_selection.KFold(FOLDS, shuffle=True, random_state=0)
            return float(np.mean((model_selection.cross_val_predict(model, x, y, cv=split) - y) ** 2))
        split = model_selection.StratifiedKFold(FOLDS, shuffle=True, random_state=0)
        probabilities = model_selection.cross_val_predict(model, x, y, cv=split, method="predict_proba")
    return float(-np.log(np.maximum(probabilities[range(len(y)), y], LEAST_PROBABILITY)).mean())


def loaded(name: str) -> tuple[np.ndarray, np.ndarray]:
    """All samples (n, features) and targets (n,) of the data that a problem's name begins with."""
    load = {
        "digits": datasets.load_digits,
        "wine": datasets.load_wine,
        "breast": datasets.load_breast_cancer,
        "diabetes": datasets.load_diabetes,
    }[name.split("-")[0]]
    x, y = load(return_X_y=True)
    return x, y


@cache
def _data(name: str) -> tuple[np.ndarray, np.ndarray]:
    x, y = loaded(name)
    some = np.random.default_rng(0).permutation(len(x))[:MOST_SAMPLES]
    return x[some], y[some]


def _digits_mlp(_: str, params: Mapping[str, Any]) -> Any:
    network = neural_network.MLPClassifier(
        hidden_layer_sizes=(params["width"],) * params["layers"],
        learning_rate_init=params["learning_rate"],
        alpha=params["decay"],
        batch_size=params["batch_size"],
        activation=params["activation"],
        max_iter=10,
        random_state=0,
    )
    return pipeline.make_pipeline(preprocessing.StandardScaler(), network)


def _wine_knn(_: str, params: Mapping[str, Any]) -> Any:
    return pipeline.make_pipeline(
        SCALERS[params["scaling"]](),
        decomposition.PCA(params["components"]),
        neighbors.KNeighborsClassifier(params["neighbours"], weights=params["weights"], p=params["power"]),
    )


def _boosting(_: str, params: Mapping[str, Any]) -> Any:
    return ensemble.GradientBoostingClassifier(
        learning_rate=params["learning_rate"],
        n_estimators=params["rounds"],
        max_depth=params["depth"],
        subsample=params["subsample"],
        max_features=params["features"],
        random_state=0,
    )


def _diabetes_forest(_: str, params: Mapping[str, Any]) -> Any:
    kind = ensemble.RandomForestRegressor if params["kind"] == "forest" else ensemble.ExtraTreesRegressor
    return kind(
        50,
        bootstrap=params["bootstrap"],
        max_depth=params["depth"],
        min_samples_leaf=params["leaf"],
        max_features=params["features"],
        random_state=0,
    )


def _digits_svm(kernel: str, params: Mapping[str, Any]) -> Any:
    machine = SoftSVC(
        C=params["c"],
        kernel=kernel,
        gamma=params.get(f"{kernel}_gamma", 1.0),
        coef0=params.get(f"{kernel}_offset", 0.0),
        degree=params.get("degree", 3),
        max_iter=5000,
    )
    return pipeline.make_pipeline(preprocessing.StandardScaler(), machine)


def _models(model: str, params: Mapping[str, Any]) -> Any:
    match model:
        case "knn":
            chosen: Any = neighbors.KNeighborsClassifier(
                params["neighbours"], weights=params["weights"], p=params["power"]
            )
        case "svm":
            chosen = SoftSVC(C=params["svm_c"], gamma=params["gamma"], max_iter=5000)
        case "forest":
            chosen = ensemble.RandomForestClassifier(
                40,
                max_depth=params["depth"],
                min_samples_leaf=params["leaf"],
                max_features=params["features"],
                random_state=0,
            )
        case _:
            chosen = linear_model.LogisticRegression(
                C=params["logistic_c"], l1_ratio=params["l1_share"], solver="saga", max_iter=200, random_state=0
            )
    return pipeline.make_pipeline(SCALERS[params["scaling"]](), chosen)


class SoftSVC(svm.SVC):  # type: ignore[misc]
    """A support vector machine whose scores, one against the rest, are taken for logarithms of odds."""

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """Probabilities (n, classes)."""
        scores = self.decision_function(x)
        if scores.ndim == 1:
            scores = np.column_stack([-scores / 2, scores / 2])
        return np.asarray(special.softmax(scores, axis=1))


_MODELS = {
    "digits-mlp": _digits_mlp,
    "wine-knn": _wine_knn,
    "breast-cancer-boosting": _boosting,
    "diabetes-forest": _diabetes_forest,
    "digits-svm": _digits_svm,
    "breast-cancer-models": _models,
}


if __name__ == "__main__":
    raise SystemExit(main())
