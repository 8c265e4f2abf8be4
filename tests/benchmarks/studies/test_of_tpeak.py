"""The benchmark's study beside a study of a real server."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import tpeak
from problems import conditional
from problems.problem import Problem
from studies.of_tpeak import TpeakStudy
from studies.simulation import run
from tests.conftest import Server

SEED = 5
PROBLEMS = {problem.name: problem for problem in conditional.problems()}
CHOSEN = [PROBLEMS["layers"], replace(PROBLEMS["models"], noise=0.1), replace(PROBLEMS["pipeline"], workers=16)]


@pytest.mark.parametrize("problem", CHOSEN, ids=["alone", "noisy", "parallel"])
def test_a_server_suggests_the_same(
    server: Server, problem: Problem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TPEAK_TOKEN", server.token)
    monkeypatch.setenv("TPEAK_SPOOL_DIR", str(tmp_path))
    sampler = tpeak.samplers.TPESampler(seed=SEED)
    served = tpeak.create_study(storage=server.url, study_name=problem.name, sampler=sampler)
    by_hand = TpeakStudy({"name": "tpe"}, SEED)
    assert list(run(served, problem, 1, 60)) == list(run(by_hand, problem, 1, 60))
