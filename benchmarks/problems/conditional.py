"""Trees of choices: which parameters there are depends on the values of others. The best values are 0."""

from __future__ import annotations

import math

from problems.problem import Problem, Trial

FAMILY = "conditional"


def problems() -> list[Problem]:
    """The problems of this family."""
    objectives = {
        "jenatton": jenatton,
        "models": models,
        "layers": layers,
        "optimizers": optimizers,
        "leaves": leaves,
        "pipeline": pipeline,
    }
    return [Problem(name=name, family=FAMILY, objective=objective) for name, objective in objectives.items()]


def jenatton(trial: Trial) -> float:
    """The tree of Jenatton et al. (ICML 2017), less its constant: three decisions, two shared and four own floats."""
    left = trial.suggest_categorical("x1", (0, 1)) == 0
    shared = trial.suggest_float("r8" if left else "r9", 0.0, 1.0)
    if left:
        own = "x4" if trial.suggest_categorical("x2", (0, 1)) == 0 else "x5"
    else:
        own = "x6" if trial.suggest_categorical("x3", (0, 1)) == 0 else "x7"
    return trial.suggest_float(own, -1.0, 1.0) ** 2 + shared


def models(trial: Trial) -> float:
    """A support vector machine, a network or a forest; the network is the best one, where it is tuned."""
    model = trial.suggest_categorical("model", ("svm", "mlp", "forest"))
    if model == "svm":
        c = math.log10(trial.suggest_float("svm_c", 1e-3, 1e3, log=True))
        value = 0.08 + 0.03 * (c - 1.0) ** 2
        if trial.suggest_categorical("svm_kernel", ("linear", "rbf")) == "linear":
            return value + 0.1
        gamma = math.log10(trial.suggest_float("svm_gamma", 1e-5, 1e1, log=True))
        return value + 0.05 * (gamma + 2.0 + 0.5 * (c - 1.0)) ** 2
    if model == "forest":
        depth = trial.suggest_int("forest_depth", 1, 32, log=True)
        share = trial.suggest_float("forest_features", 0.1, 1.0)
        leaf = trial.suggest_int("forest_leaf", 1, 20)
        return 0.05 + 0.02 * (math.log2(depth) - 4.0) ** 2 + 0.3 * (share - 0.4) ** 2 + 0.005 * (leaf - 1)
    rate = math.log10(trial.suggest_float("mlp_rate", 1e-5, 1.0, log=True))
    width = math.log2(trial.suggest_int("mlp_width", 8, 512, log=True))
    decay = math.log10(trial.suggest_float("mlp_decay", 1e-6, 1e-1, log=True))
    return 0.06 * (rate + 2.5 + 0.2 * (width - 7.0)) ** 2 + 0.02 * (width - 7.0) ** 2 + 0.01 * (decay + 4.0) ** 2


def layers(trial: Trial) -> float:
    """One to five layers, each with a width and, where it is chosen, dropout; three are right."""
    count = trial.suggest_int("layers", 1, 5)
    rate = math.log10(trial.suggest_float("rate", 1e-5, 1e-1, log=True))
    value = 0.3 * abs(count - 3) + 0.15 * (rate + 3.0) ** 2
    for layer in range(count):
        width = math.log2(trial.suggest_int(f"width{layer}", 16, 1024, log=True))
        value += 0.03 * (width - (8.0 - layer)) ** 2
        if trial.suggest_categorical(f"drop{layer}", (False, True)):
            value += (trial.suggest_float(f"share{layer}", 0.0, 0.8) - 0.3) ** 2
        else:
            value += 0.1
    return value


def optimizers(trial: Trial) -> float:
    """An optimizer with its own settings and a schedule with its own, three levels deep."""
    optimizer = trial.suggest_categorical("optimizer", ("sgd", "adam", "rmsprop"))
    rate = math.log10(trial.suggest_float("rate", 1e-5, 1.0, log=True))
    if optimizer == "sgd":
        heavy = -math.log10(1.0 - trial.suggest_float("momentum", 0.0, 0.99))
        value = 0.05 + 0.1 * (rate + heavy - 0.0) ** 2
    elif optimizer == "adam":
        beta = math.log10(trial.suggest_float("beta1_rest", 1e-3, 1.0, log=True))
        second = math.log10(trial.suggest_float("beta2_rest", 1e-4, 1e-1, log=True))
        value = 0.15 * (rate + 3.0) ** 2 + 0.1 * (beta + 1.0) ** 2 + 0.05 * (second + 2.5) ** 2
    else:
        value = 0.15 + 0.15 * (rate + 3.0) ** 2
    return value + _schedule(trial)


def _schedule(trial: Trial) -> float:
    schedule = trial.suggest_categorical("schedule", ("none", "step", "cosine"))
    if schedule == "none":
        return 0.3
    if schedule == "step":
        every = trial.suggest_int("step_every", 5, 50, step=5)
        factor = trial.suggest_float("step_factor", 0.1, 0.9)
        return 0.1 + 0.0002 * (every - 30) ** 2 + (factor - 0.3) ** 2
    value = (trial.suggest_float("cosine_floor", 0.0, 0.5) - 0.05) ** 2
    if not trial.suggest_categorical("cosine_warms_up", (False, True)):
        return value + 0.15
    return value + 0.002 * (trial.suggest_int("warm_up_epochs", 1, 20) - 5) ** 2


def leaves(trial: Trial) -> float:
    """Three binary decisions lead to eight leaves, each with two floats of its own and a floor; one floor is 0."""
    path = ""
    for level in range(3):
        path += trial.suggest_categorical(f"turn{level}{path}", ("l", "r"))
    leaf = int(path.replace("l", "0").replace("r", "1"), 2)
    x, y = (trial.suggest_float(f"{axis}{path}", 0.0, 1.0) for axis in "xy")
    floor = (0.2, 0.35, 0.1, 0.3, 0.05, 0.0, 0.25, 0.15)[leaf]
    return floor + 2.0 * (x - (0.1 + 0.1 * leaf)) ** 2 + 2.0 * (y - (0.9 - 0.1 * leaf)) ** 2


def pipeline(trial: Trial) -> float:
    """Preprocessing with its settings, then a model with its own; which suit each other is not additive."""
    step = trial.suggest_categorical("preprocessing", ("none", "pca", "select"))
    value = {"none": 0.2, "pca": 0.0, "select": 0.08}[step]
    if step == "pca":
        value += 0.003 * (trial.suggest_int("pca_components", 2, 40) - 18) ** 2 / 4.0
        value += 0.0 if trial.suggest_categorical("pca_whiten", (False, True)) else 0.05
    elif step == "select":
        value += 0.5 * (trial.suggest_float("select_share", 0.05, 1.0) - 0.4) ** 2
    model = trial.suggest_categorical("model", ("knn", "svm", "boosting"))
    if model == "knn":
        neighbours = trial.suggest_int("knn_neighbours", 1, 50, log=True)
        value += 0.12 + 0.05 * math.log2(neighbours / 8.0) ** 2 + (0.05 if step == "none" else 0.0)
        return value + (
            0.0 if trial.suggest_categorical("knn_weights", ("uniform", "distance")) == "distance" else 0.03
        )
    if model == "svm":
        c = math.log10(trial.suggest_float("svm_c", 1e-3, 1e4, log=True))
        gamma = math.log10(trial.suggest_float("svm_gamma", 1e-6, 1e1, log=True))
        return value + 0.03 * (c - 1.5) ** 2 + 0.04 * (gamma + 3.0 - (1.0 if step == "pca" else 0.0)) ** 2
    rate = math.log10(trial.suggest_float("boost_rate", 1e-3, 1.0, log=True))
    rounds = math.log2(trial.suggest_int("boost_rounds", 16, 1024, log=True))
    depth = trial.suggest_int("boost_depth", 1, 10)
    value += 0.06 + 0.05 * (rate + 0.4 * (rounds - 6.0)) ** 2 + 0.01 * (depth - 4) ** 2
    return value - (0.08 if step == "none" else 0.0)
