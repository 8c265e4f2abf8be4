"""What the client reports, with a server: several objectives, costs, and whatever steps and values there are."""

from __future__ import annotations

import math
from typing import Any

import pytest

import tpeak
from tpeak.pruners import HyperbandPruner, NopPruner, SuccessiveHalvingPruner
from tpeak.samplers import RandomSampler

NAN, INF = math.nan, math.inf


@pytest.fixture
def make(server: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("TPEAK_TOKEN", server.token)
    return lambda **settings: tpeak.create_study(storage=server.url, sampler=RandomSampler(seed=1), **settings)


def test_reports_of_several_objectives_come_back_whole_with_their_costs(make: Any) -> None:
    study = make(directions=["minimize", "maximize"], pruner=NopPruner())
    trial = study.ask()
    trial.report([0.5, NAN], 7, cost=1.5)
    trial.report([INF, -0.0], 0)
    trial.report((-INF, 0.25), 3, cost=0.0)
    study.tell(trial, [0.5, 0.5])
    (stored,) = study.trials
    assert repr(stored.intermediate_values) == "{0: [inf, -0.0], 3: [-inf, 0.25], 7: [0.5, nan]}"
    assert stored.intermediate_costs == {3: 0.0, 7: 1.5}
    copy = make(directions=["minimize", "maximize"])
    copy.add_trial(stored)
    (added,) = copy.trials
    assert repr(added.intermediate_values) == repr(stored.intermediate_values)
    assert added.intermediate_costs == stored.intermediate_costs


def test_a_rule_prunes_by_the_objective_that_it_names_and_by_cost(make: Any) -> None:
    rule = SuccessiveHalvingPruner(min_resource=2.5, reduction_factor=2, objective=1, resource="cost")
    study = make(directions=["minimize", "maximize"], pruner=rule)
    good, bad = study.ask(), study.ask()
    good.report([9.0, 0.75], 0, cost=2.5)
    study.tell(good, [9.0, 0.75])
    bad.report([0.0, 0.5], 0, cost=2.25)
    assert not bad.should_prune()
    bad.report([0.0, 0.5], 1, cost=0.25)
    assert bad.should_prune()
    study.tell(bad, state=tpeak.TrialState.PRUNED)
    assert study.trials[1].values == [0.0, 0.5]
    (decision,) = study.prune_replay(rule).decisions
    assert decision.reason == "step 1: 0.5 is not among the best 1 of 2 trials at rung 0 (cost 2.5), limit 0.75"


@pytest.mark.parametrize("pruner", [SuccessiveHalvingPruner(resource="cost"), HyperbandPruner(resource="cost")])
def test_the_server_takes_rules_in_cost_as_the_client_writes_them(make: Any, pruner: Any) -> None:
    study = make(pruner=pruner)
    for value in (0.5, 1.0):
        trial = study.ask()
        for step in range(3):
            trial.report(value, step, cost=100.0)
            assert trial.should_prune() == (value == 1.0 and isinstance(pruner, SuccessiveHalvingPruner))
        study.tell(trial, value)
    assert [trial.intermediate_costs for trial in study.trials] == [{0: 100.0, 1: 100.0, 2: 100.0}] * 2
