"""A worker of the demo: `python -m tpeak.cli.demo_worker`. The objective is what a user's would look like."""

from __future__ import annotations

import argparse
from typing import Any

import tpeak
from tpeak.cli.demo_study import EPOCHS, STUDY


def objective(trial: tpeak.Trial) -> float:
    """The accuracy on held-out digits of a network that is trained epoch by epoch."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split
    from sklearn.neural_network import MLPClassifier

    images, digits = load_digits(return_X_y=True)
    train, test, train_digits, test_digits = train_test_split(
        images / 16, digits, test_size=0.3, random_state=0, stratify=digits
    )
    layers = trial.suggest_int("layers", 1, 2)
    width = trial.suggest_int("width", 16, 128, log=True)
    solver = trial.suggest_categorical("solver", ["adam", "sgd"])
    settings: dict[str, Any] = {
        "solver": solver,
        "learning_rate_init": trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True),
        "alpha": trial.suggest_float("alpha", 1e-6, 1e-1, log=True),
        "batch_size": trial.suggest_categorical("batch_size", [32, 64, 128]),
    }
    if solver == "sgd":
        settings["momentum"] = trial.suggest_float("momentum", 0.0, 0.99)
    model = MLPClassifier(hidden_layer_sizes=(width,) * layers, random_state=0, **settings)
    accuracy = 0.0
    for epoch in range(EPOCHS):
        model.partial_fit(train, train_digits, classes=range(10))
        accuracy = float(model.score(test, test_digits))
        trial.report(accuracy, epoch)
        if trial.should_prune():
            raise tpeak.TrialPruned
    return accuracy


def main() -> None:
    """Works on the demo's study until its budget is used up."""
    parser = argparse.ArgumentParser(prog="python -m tpeak.cli.demo_worker", description="a worker of the demo")
    parser.add_argument("--create", action="store_true", help="make the study if it is not there")
    parser.add_argument("--trials", type=int, help="the budget of a study that is made")
    given = parser.parse_args()
    if given.create:
        study = tpeak.create_study(study_name=STUDY, direction="maximize", max_trials=given.trials, load_if_exists=True)
    else:
        study = tpeak.load_study(study_name=STUDY)
    study.optimize(objective)


if __name__ == "__main__":
    main()
