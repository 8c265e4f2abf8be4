"""Tunes XGBoost by cross-validation on scikit-learn's diabetes data.

    python examples/xgboost_cv.py --trials 50

Start it on several machines with the same TPEAK_URL and TPEAK_TOKEN to share the work: the budget is the study's.
"""

from __future__ import annotations

import argparse

from sklearn.datasets import load_diabetes
from sklearn.model_selection import cross_val_score
from xgboost import XGBRegressor

import tpeak


def objective(trial: tpeak.Trial) -> float:
    """The mean R^2 over five folds."""
    features, target = load_diabetes(return_X_y=True)
    booster = trial.suggest_categorical("booster", ["gbtree", "gblinear"])
    settings = {
        "n_estimators": trial.suggest_int("n_estimators", 50, 400, step=10),
        "learning_rate": trial.suggest_float("learning_rate", 1e-3, 0.3, log=True),
        "reg_alpha": trial.suggest_float("reg_alpha", 1e-8, 10.0, log=True),
        "reg_lambda": trial.suggest_float("reg_lambda", 1e-8, 10.0, log=True),
    }
    if booster == "gbtree":
        settings |= {
            "max_depth": trial.suggest_int("max_depth", 2, 8),
            "min_child_weight": trial.suggest_int("min_child_weight", 1, 20, log=True),
            "subsample": trial.suggest_float("subsample", 0.5, 1.0),
            "colsample_bytree": trial.suggest_float("colsample_bytree", 0.3, 1.0, step=0.1),
        }
    model = XGBRegressor(booster=booster, n_jobs=1, random_state=0, **settings)
    return float(cross_val_score(model, features, target, cv=5, scoring="r2").mean())


def main() -> None:
    """Works on the study until its budget is used up."""
    parser = argparse.ArgumentParser(description="tune XGBoost on the diabetes data")
    parser.add_argument("--trials", type=int, default=50, help="the study's budget over all its workers")
    parser.add_argument("--study", default="xgboost-diabetes", help="the study's name")
    given = parser.parse_args()
    study = tpeak.create_study(
        study_name=given.study, direction="maximize", load_if_exists=True, max_trials=given.trials
    )
    study.optimize(objective)
    print(f"best R^2 {study.best_value:.4f} with {study.best_params}")


if __name__ == "__main__":
    main()
