"""What Optuna needs besides its workers: `python -m cycles.optuna_storage seed URL TRIALS PARAMS STUDY` adds a study of
random bowls to a database, `... proxy URL PORT` serves the database through gRPC until it is ended.
"""

from __future__ import annotations

import random
import sys

import optuna

from cycles.cycle import loss


def seed(url: str, trials: int, params: int, name: str) -> None:
    """Adds a study with so many complete trials."""
    study = optuna.create_study(study_name=name, storage=optuna.storages.get_storage(url))
    dice = random.Random(name)
    space = {f"x{number}": optuna.distributions.FloatDistribution(0.0, 1.0) for number in range(params)}
    for _ in range(trials):
        drawn = {parameter: dice.random() for parameter in space}
        study.add_trial(optuna.trial.create_trial(params=drawn, distributions=space, value=loss(drawn)))


def proxy(url: str, port: int) -> None:
    """Serves until ended."""
    optuna.storages.run_grpc_proxy_server(optuna.storages.get_storage(url), host="127.0.0.1", port=port)


def main() -> None:
    """Does what the arguments say."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    verb, url, *rest = sys.argv[1:]
    if verb == "seed":
        seed(url, int(rest[0]), int(rest[1]), rest[2])
    else:
        proxy(url, int(rest[0]))


if __name__ == "__main__":
    main()
