"""The examples, run as a user runs them, against a real server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_xgboost_is_tuned_by_cross_validation(server: Any, api: Any) -> None:
    said = _run("xgboost_cv.py", "--trials", "12", server=server)

    assert said.startswith("best R^2 0.")
    (study,) = api.get("/studies", params={"name": "xgboost-diabetes"}).json()["studies"]
    assert study["counts"]["complete"] == 12
    estimators = [
        trial["params"]["n_estimators"] for trial in api.get(f"/studies/{study['id']}/trials").json()["trials"]
    ]
    assert all(number in range(50, 401, 10) for number in estimators)


def test_the_smallest_worker_finds_the_minimum(server: Any) -> None:
    said = _run("worker.py", server=server)

    assert said.startswith("{'x': ")
    assert float(said.rpartition(" ")[2]) < 1.0


def _run(example: str, *arguments: str, server: Any) -> str:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / example), *arguments],
        capture_output=True, text=True, check=False,
        env={**os.environ, "TPEAK_URL": server.url, "TPEAK_TOKEN": server.token},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout
