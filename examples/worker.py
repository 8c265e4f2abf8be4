"""The smallest worker: run it as often as you like, on as many machines as you like."""

import tpeak


def objective(trial):
    x = trial.suggest_float("x", -10, 10)
    return (x - 2) ** 2


study = tpeak.create_study(study_name="first", load_if_exists=True, max_trials=50)
study.optimize(objective)
print(study.best_params, study.best_value)
