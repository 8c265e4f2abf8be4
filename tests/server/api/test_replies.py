"""Replies are what the description says they are: every field, no other, and numbers and times in one form."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import httpx
import pytest
from pydantic import TypeAdapter

from tpeak_server.api import replies
from tpeak_server.domain.study import Direction, Study
from tpeak_server.service.studies import StudyCounts

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


@pytest.fixture
def everything(api: httpx.Client, new_work: Callable[..., Any]) -> dict[str, Any]:
    """A study with a trial of every kind, and what each route answers about it, by the name of the reply."""
    work = new_work(seed=7, user_attrs={"a": 1}, tags=["t"])
    space = {"x": {"type": "float", "low": 0.0, "high": 1.0}, "q": {"type": "categorical", "choices": [None, 1, True]}}
    finished = {"state": "complete", "params": {"x": 0.5, "q": True}, "distributions": space, "values": [0.25]}
    enqueued = {"params": {"x": 0.5}, "user_attrs": {"é": None}}
    study, trial, lease = f"/studies/{work.study}", work.trial, {"lease": work.lease}
    reports = [{"step": 1, "values": ["NaN"]}, {"step": 0, "values": ["-Infinity"]}]
    return {
        "added": api.post(f"{study}/trials", json={"request_id": "add", "trials": [enqueued, finished]}),
        "asked": api.post(f"{study}/ask", json={"request_id": "again", "worker": "w"}),
        "suggested": api.post(f"{trial}/suggest", json={**lease, "name": "q", "distribution": space["q"]}),
        "reported": api.post(f"{trial}/report", json={**lease, "reports": reports}),
        "beat": api.post(f"{trial}/heartbeat", json=lease),
        "released": api.post(f"{trial}/release", json={**lease, "checkpoint": "file:///c", "step": 1}),
        "resumed": api.post(f"{study}/ask", json={"request_id": "resumed", "worker": "w"}),
        "told": api.post(f"{trial}/tell", json={"state": "pruned", "constraints": ["Infinity", 0]}),
        "trial": api.get(trial),
        "explained": api.get(f"{trial}/explain"),
        "changed trial": api.patch(trial, json={"request_id": "attrs", "user_attrs": {"b": [1.5, "c"]}}),
        "exempt trial": api.patch(f"{study}/trials/1", json={"request_id": "exempt", "action": "exempt"}),
        "best": api.get(f"{study}/best"),
        "replayed": api.post(f"{study}/prune-replay", json={"pruner": {"name": "median", "n_startup_trials": 0}}),
        "rows": api.get(f"{study}/trials"),
        "columns": api.get(f"{study}/trials", params={"form": "columns"}),
        "packed": api.get(f"{study}/columns"),
        "study": api.get(study),
        "changed study": api.patch(study, json={"request_id": "change", "note": "n"}),
        "studies": api.get("/studies"),
        "created": api.post("/studies", json={"request_id": "new", "name": f"{work.study}-other", "space": space}),
        "registered": api.post("/workers", json={"id": "w", "host": "h", "pid": 1, "client_version": "0.1.0"}),
        "workers": api.get("/workers"),
        "meta": api.get("/meta"),
    }


SHAPES = {
    "added": replies.AddedReply,
    "asked": replies.AskedReply,
    "suggested": replies.SuggestedReply,
    "reported": replies.ReportedReply,
    "beat": replies.BeatReply,
    "released": replies.ReleasedReply,
    "resumed": replies.AskedReply,
    "told": replies.ToldReply,
    "trial": replies.TrialReply,
    "explained": replies.ExplainedReply,
    "changed trial": replies.TrialReply,
    "exempt trial": replies.TrialReply,
    "best": replies.TrialReply,
    "replayed": replies.ReplayedReply,
    "rows": replies.TrialsReply,
    "columns": replies.ColumnsReply,
    "packed": replies.PackedReply,
    "study": replies.StudyReply,
    "changed study": replies.StudyReply,
    "studies": replies.StudiesReply,
    "created": replies.CreatedReply,
    "workers": replies.WorkersReply,
    "meta": replies.MetaReply,
}


def test_replies_have_the_fields_that_are_described_and_no_others(everything: dict[str, httpx.Response]) -> None:
    for name, response in everything.items():
        response.raise_for_status()
        if name in SHAPES:
            body = response.json()
            assert TypeAdapter(SHAPES[name]).validate_python(body, strict=True) == body, name
    assert everything["registered"].content == b""


def test_replies_are_strict_json_in_utf_8(everything: dict[str, httpx.Response]) -> None:
    def never(constant: str) -> None:
        raise AssertionError(constant)

    for name, response in everything.items():
        if name != "registered":
            lines = "application/x-ndjson" if name == "packed" else "application/json"
            assert response.headers["content-type"] == lines
            json.loads(response.content.decode("utf-8"), parse_constant=never)
    assert "é".encode() in everything["rows"].content


def test_numbers_that_are_not_finite_have_names(everything: dict[str, httpx.Response]) -> None:
    trial = everything["trial"].json()
    assert trial["reports"] == [{"step": 0, "values": ["-Infinity"]}, {"step": 1, "values": ["NaN"]}]
    assert (trial["values"], trial["constraints"]) == (["NaN"], ["Infinity", 0.0])
    assert everything["columns"].json()["values"] == [["NaN"], None, [0.25]]


def test_what_is_optional_is_there_only_where_it_says_something(everything: dict[str, httpx.Response]) -> None:
    enqueued, resumed = everything["asked"].json()["trials"][0], everything["resumed"].json()["trials"][0]
    assert enqueued["fixed"] == {"x": 0.5}
    assert resumed["resume_from"] == {"checkpoint": "file:///c", "step": 1}
    assert "fixed" not in resumed
    assert everything["exempt trial"].json()["exempt"] is True
    assert [row["number"] for row in everything["rows"].json()["trials"] if "exempt" in row] == [1]
    assert "resume_from" not in enqueued
    assert everything["asked"].json().keys() == {"trials", "seq"}


def test_columns_have_a_row_for_every_trial(everything: dict[str, httpx.Response]) -> None:
    columns = everything["columns"].json()
    assert (columns["number"], columns["state"]) == ([0, 1, 2], ["pruned", "running", "complete"])
    assert {name: len(values) for name, values in columns["params"].items()} == {"x": 3, "q": 3}
    assert (columns["params"]["x"][2], columns["params"]["q"][2]) == (0.5, True)


def test_times_are_utc_to_the_microsecond(everything: dict[str, httpx.Response]) -> None:
    trial, worker = everything["best"].json(), everything["workers"].json()["workers"][0]
    assert TIME.fullmatch(everything["study"].json()["created_at"])
    assert TIME.fullmatch(worker["registered_at"])
    assert TIME.fullmatch(worker["last_seen"])
    assert TIME.fullmatch(trial["created_at"])
    assert TIME.fullmatch(trial["finished_at"])
    assert TIME.fullmatch(trial["started_at"])


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 11, 24, 12, tzinfo=UTC), "2026-11-24T12:00:00.000000Z"),
        (datetime(2026, 11, 24, 12, 0, 0, 500, tzinfo=UTC), "2026-11-24T12:00:00.000500Z"),
        (datetime(2026, 11, 24, 1, tzinfo=timezone(timedelta(hours=2))), "2026-11-23T23:00:00.000000Z"),
    ],
)
def test_a_time_has_one_form_whatever_its_zone_and_fraction(moment: datetime, text: str) -> None:
    study = Study(id=1, name="n", directions=(Direction.MINIMIZE,), sampler={}, pruner={}, seed=0, created_at=moment)
    assert replies.study(study, StudyCounts(by_state={}, seq=0))["created_at"] == text


def test_a_number_that_is_not_finite_is_never_sent_as_such() -> None:
    with pytest.raises(ValueError, match="Out of range float"):
        replies.reply({"value": float("nan")})
