import dataclasses
import math

import pytest

import tpeak
from tpeak.errors import Invalid
from tpeak.prune_replay import BestTrial, PruneDecision
from tpeak.pruners import MedianPruner

REPLAY = "/studies/s1/prune-replay"


def test_a_replay_is_what_the_server_says(study, server, replay_row):
    server.on("POST", REPLAY, replay_row())
    found = study.prune_replay(MedianPruner(n_startup_trials=2))
    assert (found.trials, found.pruned, found.reports, found.saved) == (8, 2, 40, 10)
    assert (found.cost, found.cost_saved) == (12.5, 5.0)
    assert found.best == BestTrial(number=4, value=0.25)
    assert found.best_kept == BestTrial(number=6, value=0.5)
    assert found.decisions == (
        PruneDecision(number=3, step=1, reason="step 1: too bad", state="pruned", value=None),
        PruneDecision(number=4, step=2, reason="step 2: still too bad", state="complete", value=0.25),
    )
    assert isinstance(found, tpeak.PruneReplay)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.saved = 0


def test_a_pruner_travels_as_in_a_new_study_and_settings_as_they_are(study, server, replay_row):
    server.on("POST", REPLAY, replay_row())
    study.prune_replay(MedianPruner(n_startup_trials=2))
    study.prune_replay({"name": "hyperband", "reduction_factor": 4})
    median = {"name": "median", "n_startup_trials": 2, "n_warmup_steps": 0, "interval_steps": 1, "n_min_trials": 1}
    assert server.bodies(REPLAY) == [{"pruner": median}, {"pruner": {"name": "hyperband", "reduction_factor": 4}}]


def test_what_is_not_there_is_none_and_numbers_may_be_infinite(study, server, replay_row):
    worst = {"number": 1, "step": 0, "reason": None, "state": "complete", "value": "Infinity"}
    server.on("POST", REPLAY, replay_row(cost=None, cost_saved=None, best=None, best_kept=None, decisions=[worst]))
    found = study.prune_replay({"name": "median"})
    assert (found.cost, found.cost_saved, found.best, found.best_kept) == (None, None, None, None)
    assert found.decisions == (PruneDecision(number=1, step=0, reason="", state="complete", value=math.inf),)


def test_a_replay_may_take_minutes(study, server, replay_row):
    server.on("POST", REPLAY, replay_row())
    study.prune_replay({"name": "median"})
    assert server.requests[-1].extensions["timeout"]["read"] == 600.0


def test_settings_that_the_server_refuses_are_a_value_error(study, server, refusal):
    server.on("POST", REPLAY, refusal(422, "invalid_request"))
    with pytest.raises(Invalid):
        study.prune_replay({"name": "medain"})


def test_what_is_no_pruner_is_said_to_be_none(study):
    with pytest.raises(TypeError, match=r"pruner must be one of tpeak\.pruners, got a builtins\.str"):
        study.prune_replay("median")
