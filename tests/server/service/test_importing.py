"""A study that moves to another server: all that was in it, and nothing twice."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from tpeak_server.domain.changes import Clock, Delta, unread
from tpeak_server.domain.distributions import FloatDistribution
from tpeak_server.domain.study import Direction, Study
from tpeak_server.domain.transfer import DistributionLine
from tpeak_server.domain.trial import Interned
from tpeak_server.service import cached, committing
from tpeak_server.service.commands import ImportLines
from tpeak_server.service.history import History
from tpeak_server.service.importing import import_lines
from tpeak_server.service.ledger import Ledger
from tpeak_server.service.loading import load_history
from tpeak_server.storage.database import Driver

X = {"type": "float", "low": 0.0, "high": 1.0}
DEPTH = {"type": "int", "low": 1, "high": 9}
KIND = {"type": "categorical", "choices": ["a", None, 1, True]}

OF_THE_PLACE = {"id", "seq", "incarnation", "created_at", "name"}
"""What the study line has that holds only on the server where it was written."""

Lines = list[dict[str, Any]]


def exported(study: Any) -> Lines:
    """The lines of the study's export."""
    reply = study.service.send("GET", f"{study.path}/export")
    assert (reply.status_code, reply.headers["content-type"]) == (200, "application/x-ndjson")
    return [json.loads(line) for line in reply.text.splitlines()]


def moved(lines: Lines) -> Lines:
    """The lines without what is of the place."""
    first, *rest = lines
    return [{name: value for name, value in first.items() if name not in OF_THE_PLACE}, *rest]


@pytest.fixture
def imports(make_study: Callable[..., Any]) -> Callable[..., Any]:
    """Makes a study out of an export, so many lines a request."""

    def make(lines: Lines, size: int = 3) -> Any:
        study = make_study(**settings(lines))
        for reply in batches(study, lines, size):
            assert reply.status_code == 200, reply.text
        return study

    return make


def settings(lines: Lines) -> dict[str, Any]:
    own = {"type", "format", "schema", "id", "seq", "incarnation", "created_at", "name"}
    # These say what every server does.
    own |= {"max_host_failures", "late_results"}
    return {name: value for name, value in lines[0].items() if name not in own and value is not None}


def batches(study: Any, lines: Lines, size: int) -> list[Any]:
    """The replies to the lines, so many a request; their keys are the same each time."""
    rest = lines[1:]
    parts = [rest[first : first + size] for first in range(0, len(rest), size)]
    return [study.post("import", {"request_id": f"import {n}", "lines": part}) for n, part in enumerate(parts)]


@pytest.fixture
def rich(make_study: Callable[..., Any], sql: Callable[..., Any]) -> Any:
    """A study in which everything has happened that an export tells of."""
    study = make_study(
        seed=5, max_trials=30, timeout_s=3600.0, lease_seconds=30.0, max_attempts=2, user_attrs={"a": {"b": [1]}},
        tags=["t"], note="n", sampler={"name": "tpe", "n_startup_trials": 2}, pruner={"name": "median"},
        space={"x": X},
    )  # fmt: skip
    for value in (0.5, float("inf"), -0.0):
        trial = study.trial()
        study.of(trial, "suggest", {"name": "depth", "distribution": DEPTH})
        steps = [
            {"step": 0, "values": [value if value < 9 else "Infinity"], "cost": 1.5},
            {"step": 1, "values": ["NaN"]},
        ]
        study.of(trial, "report", {"reports": steps, "used": ["depth"]})
        study.tell(trial, values=["Infinity" if value > 9 else value], constraints=[-1.0, "NaN"], user_attrs={"k": "ü"})
    kind = study.trial(distributions={"x": {**X, "high": 2.0}, "kind": KIND})
    study.tell(kind, "pruned")
    study.tell(kind, "complete", values=[1.0])
    study.tell(study.trial(), "failed", error="boom")
    lost = study.trial()
    sql(
        "UPDATE trials SET state = 'lost', attempt = 2, cause = 'silent', finished_at = tpeak_now() WHERE number = %s",
        lost["number"],
    )
    sql("UPDATE leases SET live = false, ended = 'expired' WHERE token = %s", lost["lease"])
    resumes = study.trial()
    study.report(resumes, 0, 0.25)
    study.report(resumes, 1, 0.125)
    study.of(resumes, "release", {"checkpoint": "file:///c", "step": 0})
    study.post(
        "trials",
        {
            "request_id": "added",
            "trials": [
                {"params": {"x": 0.5, "bare": "v"}, "distributions": {"x": X}},
                {"state": "complete", "values": [3.0], "params": {"x": 0.75}, "distributions": {"x": X},
                 "reports": [{"step": 4, "values": [1.0]}]},
                {"state": "failed"},
            ],
        },
    )  # fmt: skip
    own = "study_id = (SELECT study_id FROM leases WHERE token = %s)"
    sql(f"UPDATE trials SET deleted = true WHERE number = 1 AND {own}", lost["lease"])
    sql(f"UPDATE trials SET avoid_host = 'h', exempt = number = 4 WHERE {own}", lost["lease"])
    return study


def test_an_import_reads_nothing_anew_however_much_each_of_its_requests_brings(
    rich: Any, imports: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[int] = []

    async def load(connection: Driver, study: int) -> History:
        loads.append(study)
        return await load_history(connection, study)

    monkeypatch.setattr(committing, "FAR_BEHIND", 0)
    monkeypatch.setattr(cached, "load_history", load)
    imports(exported(rich), size=1)
    assert len(loads) == 1


def test_an_export_of_an_import_says_the_same(rich: Any, imports: Callable[..., Any]) -> None:
    lines = exported(rich)
    for size in (1, 4, 1000):
        assert moved(exported(imports(lines, size))) == moved(lines)
    kinds = [line["type"] for line in lines]
    assert kinds == ["study", *["distribution"] * 4, *["trial"] * 10, "late_result", "end"]
    assert lines[-1] == {
        "type": "end", "lines": 17, "trials": 10, "late_results": 1, "handed": 7, "state": "open",
    }  # fmt: skip


def test_a_line_says_all_that_there_was(rich: Any) -> None:
    lines = {line["number"]: line for line in exported(rich) if line["type"] == "trial"}
    assert lines[1] == {"type": "trial", "number": 1, "deleted": True, "epoch": 1}
    first = lines[0]
    assert (first["state"], first["values"], first["constraints"]) == ("complete", [0.5], [-1.0, "NaN"])
    assert (first["proposed"].keys(), first["suggested"]["depth"][0]) == ({"x"}, 1)
    ((epoch,), (one, two)) = first["epochs"], first["reports"]
    assert (epoch["worker"], epoch["used"], epoch["ended"]) == ("tester", ["depth"], "told")
    assert (one["step"], one["values"], one["cost"], two["values"]) == (0, [0.5], 1.5, ["NaN"])
    assert (first["origin"], first["told_epoch"], first["user_attrs"]) == ("startup", 1, {"k": "ü"})
    assert [number for number, line in lines.items() if line.get("exempt") is True] == [4]
    assert {"sampled_at_seq", "sampler_version", "created_at", "started_at", "finished_at"} <= first.keys()


def test_no_token_of_a_lease_is_told(rich: Any, sql: Callable[..., Any]) -> None:
    text = json.dumps(exported(rich))
    tokens = [token for (token,) in sql("SELECT token FROM leases")]
    assert len(tokens) >= 7
    assert [token for token in tokens if token in text] == []


def test_trials_look_as_they_did(rich: Any, imports: Callable[..., Any]) -> None:
    copy = imports(exported(rich))
    for number in (0, 2, 3, 4, 5, 6, 7, 8, 9):
        assert copy.get(f"/trials/{number}") == rich.get(f"/trials/{number}")


def test_the_next_suggestions_are_the_same(make_study: Callable[..., Any], imports: Callable[..., Any]) -> None:
    study = make_study(seed=11, sampler={"name": "tpe", "n_startup_trials": 3})
    for n in range(12):
        trial = study.trial(distributions={"x": X, "kind": KIND, "depth": DEPTH})
        study.report(trial, 0, trial["params"]["x"])
        study.tell(trial, values=[trial["params"]["x"] * n])
    copy = imports(exported(study))
    for _ in range(4):
        (one,), (other,) = (each.ask(distributions={}) for each in (study, copy))
        assert (one["origin"], one["params"]) == ("tpe", other["params"])
        assert list(one["distributions"].items()) == list(other["distributions"].items())
        study.tell(one, values=[0.5])
        copy.tell(other, values=[0.5])


def test_reports_of_different_widths_leave_a_study_that_goes_on(make_study: Callable[..., Any]) -> None:
    study = make_study()
    reports = [{"epoch": 0, "step": 1, "values": [0.5]}, {"epoch": 0, "step": 2, "values": [0.5, 0.75]}]
    line = {"type": "trial", "number": 0, "state": "complete", "values": [1.0], "told_epoch": 0, "reports": reports}
    assert study.post("import", {"request_id": "widths", "lines": [line]}).status_code == 200
    assert [study.asked(replica=replica).status_code for replica in (0, 1)] == [200, 200]


def test_prune_decisions_see_the_same_curves(make_study: Callable[..., Any], imports: Callable[..., Any]) -> None:
    study = make_study(pruner={"name": "median", "n_startup_trials": 1}, max_trials=9)
    for value in (0.0, 1.0, 2.0):
        trial = study.trial()
        study.report(trial, 0, value)
        study.tell(trial, values=[value])
    copy = imports(exported(study))
    replies = [each.report(each.trial(), 0, 1.5).json() for each in (study, copy)]
    assert replies[0]["prune"] is True
    assert replies[0]["reason"] == replies[1]["reason"]


def test_reports_that_come_in_a_later_request_than_their_complete_trial_count_on_every_replica(
    make_study: Callable[..., Any],
) -> None:
    study = make_study(pruner={"name": "median", "n_startup_trials": 1}, space={"x": X})
    report, later = ({"epoch": 0, "step": step, "values": [1.0]} for step in (0, 1))
    trial = {"type": "trial", "number": 0, "state": "complete", "values": [1.0], "told_epoch": 0, "reports": [report]}
    end = {"type": "end", "lines": 4, "trials": 1, "late_results": 0, "handed": 0, "state": "open"}
    for n, lines in enumerate(([trial], [{"type": "more", "number": 0, "reports": [later]}, end])):
        assert study.post("import", {"request_id": f"part {n}", "lines": lines}).status_code == 200
    replies = [study.report(study.trial(), 1, 2.0, replica=replica).json() for replica in (0, 1)]
    reason = "step 1: best 2 is above the median 1 of 1 complete trial"
    assert [reply["reason"] for reply in replies] == [reason, reason]


def test_a_trial_that_is_exempt_is_so_after_the_import_and_an_old_export_has_none(
    make_study: Callable[..., Any], imports: Callable[..., Any]
) -> None:
    study = make_study(pruner={"name": "median", "n_startup_trials": 1})
    peer = study.trial()
    study.report(peer, 0, 0.0)
    study.tell(peer, values=[0.0])
    study.of(study.trial(), "release", {})
    study.service.send("PATCH", f"{study.path}/trials/1", {"request_id": "exempt", "action": "exempt"})
    lines = exported(study)
    old = [{name: value for name, value in line.items() if name != "exempt"} for line in lines]
    replies = [each.report(each.trial(), 0, 1.0).json()["prune"] for each in (imports(lines), imports(old))]
    assert replies == [False, True]


def test_a_study_that_ends_by_itself_goes_on_with_its_count(
    make_study: Callable[..., Any], imports: Callable[..., Any]
) -> None:
    study = make_study(stop_when={"patience": 2})
    for value in (0.5, 0.75):
        study.finish(value)
    lines = exported(study)
    assert (lines[0]["stop_when"], lines[-1]["best"], lines[-1]["unimproved"]) == (
        {"target": None, "patience": 2},
        0.5,
        1,
    )
    copy = imports(lines)
    copy.finish(0.5)
    end = {"state": "stopped", "stop_reason": "2 trials in a row did not improve on the best value, 0.5"}
    assert {name: copy.get()[name] for name in end} == end
    again = imports(exported(copy))
    assert {name: again.get()[name] for name in end} == end
    assert again.asked().json()["cause"] == end["stop_reason"]


def test_what_ran_waits_and_is_handed_out_again_for_free(
    make_study: Callable[..., Any], imports: Callable[..., Any]
) -> None:
    study = make_study(max_trials=3)
    running = study.trial()
    study.report(running, 0, 0.5)
    study.finish(1.0)
    copy = imports(exported(study))
    assert copy.state(0) == "waiting"
    assert copy.tell(running, values=[1.0]).status_code == 409
    again = copy.trial()
    assert (again["number"], again["epoch"], again["attempt"], again["params"]) == (0, 2, 0, running["params"])
    assert copy.trial()["number"] == 2
    assert copy.ask() == []
    (waiting,) = [line for line in exported(imports(exported(study))) if line.get("number") == 0]
    assert [one["ended"] for one in waiting["epochs"]] == ["released"]


def test_what_was_to_be_cancelled_has_failed(
    make_study: Callable[..., Any], imports: Callable[..., Any], sql: Any
) -> None:
    study = make_study()
    sql("UPDATE leases SET cancelled = true WHERE token = %s", study.trial()["lease"])
    copy = imports(exported(study))
    assert copy.get("/trials/0")["cause"] == "it was to be cancelled when it was exported"
    assert copy.state(0) == "failed"


def test_a_checkpoint_is_resumed(make_study: Callable[..., Any], imports: Callable[..., Any]) -> None:
    study = make_study()
    trial = study.trial()
    study.report(trial, 0, 0.5)
    study.report(trial, 1, 0.25)
    study.of(trial, "release", {"checkpoint": "file:///c", "step": 0})
    again = imports(exported(study)).trial()
    assert again["resume_from"] == {"checkpoint": "file:///c", "step": 0}
    assert again["reports"] == [{"step": 0, "values": [0.5]}]


def test_an_import_that_is_repeated_adds_nothing(rich: Any, imports: Callable[..., Any]) -> None:
    lines = exported(rich)
    copy = imports(lines)
    first = batches(copy, lines, 3)
    assert moved(exported(copy)) == moved(lines)
    seq = copy.get()["seq"]
    copy.finish(1.0)
    assert [reply.json() for reply in batches(copy, lines, 3)] == [reply.json() for reply in first]
    assert first[-1].json()["seq"] == seq
    assert copy.get()["counts"]["complete"] == sum(line.get("state") == "complete" for line in lines) + 1


def test_an_import_that_was_killed_goes_on_where_it_was(rich: Any, make_study: Callable[..., Any]) -> None:
    lines = exported(rich)
    again = make_study(**settings(lines))
    batches(again, lines[:7], 3)
    assert (again.get()["state"], again.ask()) == ("paused", [])
    assert {reply.status_code for reply in batches(again, lines, 3)} == {200}
    assert moved(exported(again)) == moved(lines)
    assert again.get()["state"] == "open"


@pytest.mark.parametrize("state", ["paused", "stopped"])
def test_the_study_ends_in_the_state_that_it_was_in(
    make_study: Callable[..., Any], imports: Callable[..., Any], sql: Any, state: str
) -> None:
    study = make_study()
    study.finish(1.0)
    lines = exported(study)
    lines[-1]["state"] = state
    assert imports(lines).get()["state"] == state


def test_seqs_have_no_gap_and_other_replicas_see_it(rich: Any, imports: Callable[..., Any], sql: Any) -> None:
    lines = exported(rich)
    copy = imports(lines)
    assert copy.get("/trials/0", replica=1) == rich.get("/trials/0")
    ((low, high, count),) = sql(
        "SELECT min(seq), max(seq), count(*) FROM (SELECT study_id, seq FROM events UNION ALL SELECT study_id, seq FROM"
        " reports UNION ALL SELECT study_id, seq FROM suggestions) s WHERE study_id ="
        " (SELECT study_id FROM study_names WHERE name = %s)",
        copy.get()["name"],
    )
    assert (low, high, count) == (1, copy.get()["seq"], copy.get()["seq"])
    assert sorted(t["number"] for t in copy.ask(count=2, replica=1)) == [6, 7]


def test_a_trial_of_many_reports_and_large_attributes_comes_in_parts(
    make_study: Callable[..., Any], imports: Callable[..., Any]
) -> None:
    study = make_study()
    trial = study.trial()
    for first in range(0, 2500, 500):
        steps = [{"step": step, "values": [step / 7]} for step in range(first, first + 500)]
        study.of(trial, "report", {"reports": steps})
    for key in "abc":
        study.tell(trial, "complete", values=[1.0]) if key == "c" else None
        body = {"request_id": key, "user_attrs": {key: key * 100_000}}
        assert study.service.send("PATCH", f"{study.path}/trials/0", body).status_code == 200
    lines = exported(study)
    parts = [line for line in lines if line["type"] in ("trial", "more")]
    assert [len(line["reports"]) for line in parts] == [1000, 1000, 500]
    assert [list(line["user_attrs"]) for line in parts] == [["a"], ["b"], ["c"]]
    copy = imports(lines, size=1)
    assert copy.get("/trials/0") == study.get("/trials/0")
    assert moved(exported(copy)) == moved(lines)


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "a number too far": ({"type": "trial", "number": 4}, "/lines/1/number"),
    "a distribution too far": ({"type": "distribution", "id": 3, "name": "y", "distribution": X}, "/lines/1/id"),
    "a distribution that is there": ({"type": "distribution", "id": 1, "name": "x", "distribution": X}, "/lines/1"),
    "a distribution that cannot be": (
        {"type": "distribution", "id": 1, "name": "x", "distribution": {**X, "low": 2.0}},
        "/lines/1/distribution/low",
    ),
    "no such distribution": ({"type": "trial", "number": 1, "proposed": {"x": [7, 0.5]}}, "/lines/1/proposed/x/0"),
    "another name's": ({"type": "trial", "number": 1, "proposed": {"y": [0, 0.5]}}, "/lines/1/proposed/y/0"),
    "no number": ({"type": "trial", "number": 1, "suggested": {"x": [0, "a"]}}, "/lines/1/suggested/x/1"),
    "no pair": ({"type": "trial", "number": 1, "proposed": {"x": 0.5}}, "/lines/1/proposed/x"),
    "too few values": ({"type": "trial", "number": 1, "state": "complete"}, "/lines/1/values"),
    "a NaN": ({"type": "trial", "number": 1, "state": "complete", "values": ["NaN"]}, "/lines/1/values"),
    "values of a failure": ({"type": "trial", "number": 1, "state": "failed", "values": [1.0]}, "/lines/1/values"),
    "an epoch too many": (
        {"type": "trial", "number": 1, "epochs": [{"epoch": 1, "worker": "w"}]},
        "/lines/1/epochs/0/epoch",
    ),
    "epochs that fall": (
        {"type": "trial", "number": 1, "epoch": 2, "epochs": [{"epoch": e, "worker": "w"} for e in (2, 1)]},
        "/lines/1/epochs/1/epoch",
    ),
    "resumes nothing": ({"type": "trial", "number": 1, "resume_epoch": 1}, "/lines/1/resume_epoch"),
    "told by nobody": ({"type": "trial", "number": 1, "told_epoch": 1}, "/lines/1/told_epoch"),
    "a step twice": (
        {"type": "trial", "number": 1, "reports": [{"epoch": 0, "step": 1, "values": [1.0]}] * 2},
        "/lines/1/reports/1/step",
    ),
    "more of another": ({"type": "more", "number": 1}, "/lines/1/number"),
    "a step twice in another line": (
        {"type": "more", "number": 0, "reports": [{"epoch": 0, "step": 0, "values": [1.0]}]},
        "/lines/1/reports/0/step",
    ),
    "late for nobody": (
        {"type": "late_result", "number": 1, "hash": "00", "code": "lease_lost", "body": {}},
        "/lines/1/number",
    ),
    "no hash": (
        {"type": "late_result", "number": 0, "hash": "x", "code": "lease_lost", "body": {}},
        "/lines/1/hash",
    ),
    "no time": ({"type": "trial", "number": 1, "created_at": "yesterday"}, "/lines/1/created_at"),
    "a time without a zone": (
        {"type": "trial", "number": 1, "created_at": "2026-11-24T12:00:00"},
        "/lines/1/created_at",
    ),
    "an unknown field": ({"type": "trial", "number": 1, "lease": "t"}, "/lines/1/lease"),
    "an unknown type": ({"type": "lease", "number": 1}, "/lines/1"),
    "an end too early": (
        {"type": "end", "lines": 9, "trials": 5, "late_results": 0, "handed": 1, "state": "open"},
        "/lines/1/trials",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_bad_line_is_refused_with_its_place_and_all_of_its_request(study: Any, case: str) -> None:
    line, where = BAD[case]
    good = {"type": "trial", "number": 0, "reports": [{"epoch": 0, "step": 0, "values": [1.0]}]}
    first = {"type": "distribution", "id": 0, "name": "x", "distribution": X}
    study.post("import", {"request_id": "first", "lines": [first]})
    seq = study.get()["seq"]
    reply = study.post("import", {"request_id": "bad", "lines": [good, line]})
    assert (reply.status_code, reply.json()["where"]) == (422, where)
    assert study.get()["seq"] == seq
    assert study.get("/trials")["trials"] == []


def test_a_request_of_distributions_takes_no_longer_in_a_study_of_many() -> None:
    """Once each of those that are there was written out anew for each line, which took half a minute."""
    spread = [FloatDistribution(low=0.0, high=1.0 + n) for n in range(11_000)]
    known = [Interned(id=n, name="x", distribution=d, seen_seq=n) for n, d in enumerate(spread[:10_000])]
    study = Study(id=1, name="s", directions=(Direction.MINIMIZE,), sampler={}, pruner={}, seed=7)
    clock = Clock(next_number=0, handed=0, seq=10_000)
    history = History(Delta(clock=clock, study=study, interned=known, records=[]))
    lines = [DistributionLine(id=n, name="x", distribution=spread[n], current=True) for n in range(10_000, 11_000)]
    began = time.monotonic()
    import_lines(Ledger(unread(clock), history), ImportLines(request_id="r", lines=tuple(lines)))
    assert time.monotonic() - began < 2.0


def test_nothing_follows_the_end(study: Any) -> None:
    end = {"type": "end", "lines": 2, "trials": 0, "late_results": 0, "handed": 0, "state": "open"}
    reply = study.post("import", {"request_id": "k", "lines": [end, end]})
    assert (reply.status_code, reply.json()["where"]) == (422, "/lines/1")


def test_a_study_that_has_trials_of_its_own_takes_no_others(study: Any) -> None:
    study.finish(1.0)
    reply = study.post("import", {"request_id": "k", "lines": [{"type": "trial", "number": 0}]})
    assert (reply.status_code, reply.json()["where"]) == (422, "/lines/0/number")
    assert "no trials beside them" in reply.json()["detail"]


def test_an_archived_study_takes_nothing(study: Any) -> None:
    study.service.send("DELETE", study.path)
    reply = study.post("import", {"request_id": "k", "lines": [{"type": "trial", "number": 0}]})
    assert (reply.status_code, reply.json()["code"]) == (409, "study_archived")


def test_a_key_that_was_used_for_other_lines_is_refused(study: Any) -> None:
    for number, status in ((0, 200), (1, 422)):
        reply = study.post("import", {"request_id": "k", "lines": [{"type": "trial", "number": number}]})
        assert reply.status_code == status
    assert reply.json()["code"] == "request_id_reused"


def test_a_study_that_is_not_there_cannot_be_exported(service: Any) -> None:
    reply = service.send("GET", "/studies/0000000000000/export")
    assert (reply.status_code, reply.json()["code"]) == (404, "study_not_found")
