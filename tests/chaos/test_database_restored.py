"""The database is restored from a backup that is older than a worker's lease: its result comes in again, once."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

import tpeak

TOKEN = "tpk_admin_000000000000000000000000000000_000000"


def test_a_result_under_a_lease_that_the_backup_has_not_is_added_as_a_new_trial(
    database_url: str,
    serve: Callable[..., AbstractContextManager[Any]],
    sql: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("TPEAK_TOKEN", TOKEN)
    monkeypatch.setenv("TPEAK_SPOOL_DIR", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
    with serve(database_url, port) as server:
        pruner = tpeak.pruners.NopPruner()
        study = tpeak.create_study(storage=server.url, study_name="restored", pruner=pruner)
        trial = study.ask({"x": tpeak.FloatDistribution(0, 1)})
        trial.report(0.75, 0)
    # As after a restore: nobody has this lease.
    sql("UPDATE leases SET token = gen_random_uuid()")
    sql("UPDATE meta SET incarnation = gen_random_uuid()")

    with serve(database_url, port):
        with pytest.warns(UserWarning, match="restored from a backup"):
            trial.report(0.5, 1)
        with pytest.warns(UserWarning, match="its result is trial 1 now"):
            result = study.tell(trial, 0.25)
        added = study.get_trials()[1]

    assert (result.number, added.state, added.value) == (1, tpeak.TrialState.COMPLETE, 0.25)
    assert added.params == trial.params
    assert added.intermediate_values == {0: 0.75, 1: 0.5}
