"""A member of a crew with Optuna: `python -m cycles.of_optuna STORAGE PARAMS STUDY SEED`. STORAGE is a database's URL,
or `grpc://HOST:PORT` of a proxy.
"""

from __future__ import annotations

import sys
import time

import optuna

from cycles.crew import serve
from cycles.cycle import loss

PROXY = "grpc://"


def main() -> None:
    """Runs the cycles of one member."""
    storage, params, name, seed = sys.argv[1:]
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.load_study(
        study_name=name, storage=opened(storage), sampler=optuna.samplers.TPESampler(seed=int(seed))
    )

    def step(number: int, times: list[float]) -> None:
        trial = study.ask()
        value = loss({name: trial.suggest_float(name, 0.0, 1.0) for name in (f"x{n}" for n in range(int(params)))})
        times.append(time.monotonic())
        trial.report(value, 0)
        times.append(time.monotonic())
        study.tell(trial, value)
        times.append(time.monotonic())

    serve(step)


def opened(storage: str) -> optuna.storages.BaseStorage:
    """The storage at the URL."""
    if not storage.startswith(PROXY):
        return optuna.storages.get_storage(storage)
    host, _, port = storage.removeprefix(PROXY).partition(":")
    proxy = optuna.storages.GrpcStorageProxy(host=host, port=int(port))
    proxy.wait_server_ready(timeout=60)
    return proxy


if __name__ == "__main__":
    main()
