"""Who reads a study in columns has the same trials as who reads it row by row, whatever they have been through."""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable
from typing import Any

import httpx
import pytest

import tpeak
from tpeak import TrialState
from tpeak.frozen import FrozenTrial, from_wire
from tpeak.pruners import NopPruner
from tpeak.samplers import RandomSampler
from tpeak_server.storage import columns as storage

X = {"type": "float", "low": -1.0, "high": 1.0}
N = {"type": "int", "low": 1, "high": 9007199254740992}
C = {"type": "categorical", "choices": [None, 1, True, "é", 2.5]}


class Reader:
    """A study, written to by its routes and read by the client."""

    def __init__(self, api: httpx.Client, study: tpeak.Study, path: str) -> None:
        self._api, self.study, self.path = api, study, path

    def post(self, path: str, **body: Any) -> Any:
        reply = self._api.post(f"{self.path}/{path}", json=body)
        assert reply.is_success, reply.text
        return reply.json()

    def ask(self, **distributions: Any) -> Callable[..., Any]:
        """A new trial, as what its worker can call: `trial("report", reports=[...])`."""
        asked = self.post("ask", request_id=uuid.uuid4().hex, worker="w", distributions=distributions)
        issued = asked["trials"][0]
        return lambda verb, **body: self.post(f"trials/{issued['number']}/{verb}", lease=issued["lease"], **body)

    def add(self, **trial: Any) -> int:
        numbers: list[int] = self.post("trials", request_id=uuid.uuid4().hex, trials=[trial])["numbers"]
        return numbers[0]

    def change(self, number: int, action: str) -> None:
        body = {"request_id": uuid.uuid4().hex, "action": action}
        assert self._api.patch(f"{self.path}/trials/{number}", json=body).is_success

    def rows(self, **query: Any) -> list[FrozenTrial]:
        page = self._api.get(f"{self.path}/trials", params={"limit": 10_000, **query}).raise_for_status().json()
        return [from_wire(row) for row in page["trials"]]


@pytest.fixture
def make(server: Any, api: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Reader]:
    """Makes a study."""
    monkeypatch.setenv("TPEAK_TOKEN", server.token)

    def made(**settings: Any) -> Reader:
        study = tpeak.create_study(storage=server.url, sampler=RandomSampler(seed=1), pruner=NopPruner(), **settings)
        return Reader(api, study, f"/studies/{study._id}")

    return made


@pytest.fixture
def eventful(make: Callable[..., Reader]) -> Reader:
    """A study of trials that have been through all that there is."""
    reader = make()
    plain = reader.ask(x=X, n=N, c=C)
    plain("report", reports=[{"step": 2**53, "values": ["NaN"]}, {"step": -1, "values": [-0.0], "cost": 0.0}])
    plain("suggest", name="late", distribution={**X, "high": 0.5})
    plain("suggest", name="x", distribution={**X, "low": 2.0, "high": 3.0})
    plain("tell", state="complete", values=[-0.0], user_attrs={"a": {"é": [1, None]}, "b": 1e-300})
    partly = reader.ask(x=X, n=N)
    partly("report", reports=[{"step": 0, "values": ["-Infinity"]}], used=["n"])
    partly("tell", state="failed", error="a line\nand another", constraints=["Infinity", 0.5])
    resumed = reader.ask(x=X)
    resumed("report", reports=[{"step": step, "values": [step / 4], "cost": 1.5} for step in range(4)])
    resumed("release", checkpoint="file:///c", step=2)
    again = reader.ask(x=X)
    again("report", reports=[{"step": 3, "values": [9.0]}])
    again("tell", state="pruned", constraints=[-1.0], constraint_names=["memory"])
    reader.add(params={"x": 0.5, "q": "bare"}, user_attrs={"tag": "enqueued"})
    reader.add(state="complete", values=["Infinity"], params={"c": True}, distributions={"c": C})
    reader.add(state="complete", values=[1.0], params={"n": 2**53}, distributions={"n": N})
    reader.study.delete_trial(reader.add(state="failed"))
    reader.add(state="failed")
    reader.ask(x=X, c=C)
    reader.change(3, "exempt")
    return reader


def test_columns_hold_all_that_rows_hold(eventful: Reader) -> None:
    trials = eventful.study.get_trials()
    assert [trial.number for trial in trials] == [0, 1, 2, 3, 4, 5, 7]
    assert list(map(written, trials)) == list(map(written, eventful.rows()))
    first, second, resumed = trials[:3]
    assert repr((first.value, first.intermediate_values)) == "(-0.0, {-1: -0.0, 9007199254740992: nan})"
    assert sorted(first.params) == ["c", "late", "n", "x"]
    assert 2.0 <= first.params["x"] <= 3.0
    assert (sorted(second.params), second.constraints) == (["n"], {"0": math.inf, "1": 0.5})
    assert resumed.intermediate_values == {0: 0.0, 1: 0.25, 2: 0.5, 3: 9.0}
    assert resumed.intermediate_costs == {0: 1.5, 1: 1.5, 2: 1.5}


@pytest.mark.parametrize(("page", "weight"), [(1, 100_000), (2, 100_000), (5000, 1), (5000, 40)])
def test_a_study_is_the_same_whatever_the_pages_it_is_read_in(
    eventful: Reader, monkeypatch: pytest.MonkeyPatch, page: int, weight: int
) -> None:
    monkeypatch.setattr(storage, "PAGE", page)
    monkeypatch.setattr(storage, "WEIGHT", weight)
    assert list(map(written, eventful.study.trials)) == list(map(written, eventful.rows()))


@pytest.mark.parametrize("state", TrialState)
def test_trials_are_read_by_state_as_rows_are(eventful: Reader, state: TrialState) -> None:
    found = eventful.study.get_trials(states=(state,))
    assert list(map(written, found)) == list(map(written, eventful.rows(state=state.value)))


def test_several_objectives_and_none_come_back_whole(make: Callable[..., Reader]) -> None:
    reader = make(directions=["minimize", "maximize"])
    assert reader.study.trials == []
    trial = reader.ask()
    trial("report", reports=[{"step": 1, "values": [0.5, "NaN"]}])
    trial("tell", state="complete", values=[1.0, 2.0])
    reader.add()
    (told, waiting) = reader.study.trials
    assert (told.values, repr(told.intermediate_values), told.params) == ([1.0, 2.0], "{1: [0.5, nan]}", {})
    assert (waiting.values, waiting.datetime_start, waiting.fixed) == (None, None, {})


def written(trial: FrozenTrial) -> str:
    """All of a trial, numbers to the bit; the order of parameters says nothing."""
    fields = {name: getattr(trial, name) for name in trial.__dataclass_fields__}
    for name in ("params", "distributions", "user_attrs"):
        fields[name] = sorted(fields[name].items())
    return repr(fields)
