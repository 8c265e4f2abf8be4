"""Two replicas after a storm of random commands: what must hold, and what each has in its cache.

The invariants are checked on the tables and on what the workers were answered.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from tpeak_server.domain.trial import FINAL
from tpeak_server.service.commands import Ask, ReportSteps, Suggest, Tell
from tpeak_server.service.history import History

MIDNIGHT = datetime(2026, 1, 1, tzinfo=UTC)
Storm = Any  # of conftest.py, which no module can import


def test_numbers_have_no_gap(storm: Storm) -> None:
    (clock,) = storm.rows["study_clocks"]
    assert sorted(row["number"] for row in storm.rows["trials"]) == list(range(clock["next_number"]))


def test_a_trial_has_the_same_proposal_in_all_its_epochs(storm: Storm) -> None:
    proposals: dict[int, set[float]] = defaultdict(set)
    for trial in storm.issued():
        proposals[trial.lease.number] |= {value for _, value in sorted(trial.record.trial.proposed.items())[:1]}
    assert {number for number, values in proposals.items() if len(values) > 1} == set()


def test_one_request_key_has_one_set_of_leases_and_one_epoch_one_lease(storm: Storm) -> None:
    by_key: dict[str, set[Any]] = defaultdict(set)
    by_epoch: dict[tuple[int, int], set[str]] = defaultdict(set)
    for command, asked in storm.answered(Ask):
        if asked.trials:
            by_key[command.request_id].add(tuple(trial.lease.token for trial in asked.trials))
        for trial in asked.trials:
            by_epoch[trial.lease.number, trial.lease.epoch].add(trial.lease.token)
    assert {len(leases) for leases in by_key.values()} == {1}
    assert {len(tokens) for tokens in by_epoch.values()} == {1}


def test_the_one_acknowledged_result_of_a_trial_is_what_is_stored(storm: Storm) -> None:
    told: dict[int, set[str]] = defaultdict(set)
    for command, answer in storm.answered(Tell):
        if answer.state in FINAL and not storm.tried_again(command.number):
            told[command.number].add(repr((str(answer.state), answer.values)))
    stored = {row["number"]: {repr((row["state"], _tuple(row["values"])))} for row in storm.rows["trials"]}
    assert {number: stored[number] for number in told} == told


def test_a_repeated_result_got_the_first_answer(storm: Storm) -> None:
    said: dict[Any, set[str]] = defaultdict(set)
    for command, answer in storm.answered(Tell):
        said[command.lease, command.fingerprint()].add(repr(replace(answer, seq=0)))
    assert {len(answers) for answers in said.values()} == {1}


def test_a_lease_has_told_one_result(storm: Storm) -> None:
    told: dict[Any, set[bytes]] = defaultdict(set)
    for command, _ in storm.answered(Tell):
        told[command.lease].add(command.fingerprint())
    assert {len(results) for results in told.values()} == {1}
    stored = {row["token"] for row in storm.rows["leases"] if row["told_hash"] is not None}
    assert stored == set(told)


def test_an_acknowledged_report_is_stored_bit_for_bit(storm: Storm) -> None:
    tokens = {row["token"]: row["epoch"] for row in storm.rows["leases"]}
    stored = {(row["number"], row["epoch"], row["step"]): repr(_tuple(row["values"])) for row in storm.rows["reports"]}
    for command, answer in storm.answered(ReportSteps):
        for step in command.steps:
            kept = stored[command.number, tokens[command.lease], step.step]
            assert (kept != repr(step.values)) == (step.step in answer.kept)


def test_all_replies_about_one_step_say_the_same_of_pruning(storm: Storm) -> None:
    said: dict[Any, set[Any]] = defaultdict(set)
    for command, answer in storm.answered(ReportSteps):
        said[command.lease, command.steps[-1].step].add((answer.prune, answer.reason))
    assert {len(decisions) for decisions in said.values()} == {1}


def test_all_suggestions_of_one_name_to_one_trial_agree(storm: Storm) -> None:
    said: dict[Any, set[Any]] = defaultdict(set)
    for command, answer in storm.answered(Suggest):
        said[command.number, command.name].add(repr(answer.value))
    assert {len(values) for values in said.values()} == {1}


def test_every_seq_is_that_of_one_event_report_or_suggestion(storm: Storm) -> None:
    seqs = [row["seq"] for table in ("events", "reports", "suggestions") for row in storm.rows[table]]
    (clock,) = storm.rows["study_clocks"]
    assert sorted(seqs) == list(range(1, clock["seq"] + 1))


def test_the_events_of_each_trial_tell_of_a_legal_life(storm: Storm) -> None:
    states: dict[int, str] = {}
    epochs: Counter[int] = Counter()
    deleted: set[int] = set()
    exempt: set[int] = set()
    for event in sorted(storm.rows["events"], key=lambda row: row["seq"]):
        number, kind, payload = event["number"], event["kind"], event["payload"] or {}
        if kind == "added":
            states[number] = payload["state"]
        if kind == "issued":
            assert states.get(number, "waiting") == "waiting"
            assert payload["epoch"] == epochs[number] + 1
            states[number], epochs[number] = "running", payload["epoch"]
        if kind in {"released", "expired", "returned"}:
            assert (states[number], payload["epoch"]) == ("running", epochs[number])
            states[number] = payload["state"]
        if kind == "cancelled" and number is not None:
            assert states[number] in {"running", "waiting"}
            assert (payload["state"] == "running") == (states[number] == "running")
            states[number] = payload["state"]
        if kind == "failed":
            assert states[number] in {"running", "waiting"}
            states[number] = "failed"
        if kind == "retried":
            assert states[number] in {"failed", "lost"}
            states[number] = "waiting"
        if kind == "exempted":
            assert states[number] in {"running", "waiting"}
            assert number not in exempt
            exempt.add(number)
        if kind == "deleted":
            assert number not in deleted
            deleted.add(number)
            if states[number] in {"running", "waiting"}:
                states[number] = "failed"
        else:
            assert number not in deleted, "nothing happens to a deleted trial"
        if kind == "told":
            assert states[number] in {"running", "waiting", "lost"}
            states[number] = payload["state"]
    assert states == {row["number"]: row["state"] for row in storm.rows["trials"]}
    assert exempt == {row["number"] for row in storm.rows["trials"] if row["exempt"]}


def test_nothing_is_pruned_once_it_is_exempt(storm: Storm) -> None:
    since = {row["number"]: row["seq"] for row in storm.rows["events"] if row["kind"] == "exempted"}
    later = [row for row in storm.rows["reports"] if row["seq"] > since.get(row["number"], row["seq"])]
    assert {row["prune"] for row in later} == {False}


def test_a_trial_has_a_live_lease_while_it_runs_and_at_no_other_time(storm: Storm) -> None:
    live = [row["number"] for row in storm.rows["leases"] if row["live"]]
    assert sorted(live) == sorted(row["number"] for row in storm.rows["trials"] if row["state"] == "running")


def test_attempts_count_expiries_and_failures_to_be_tried_again(storm: Storm) -> None:
    attempts: Counter[int] = Counter()
    for event in sorted(storm.rows["events"], key=lambda row: row["seq"]):
        if event["kind"] in {"expired", "returned"}:
            attempts[event["number"]] += 1
            assert event["payload"]["attempt"] == attempts[event["number"]] <= 2
        if event["kind"] == "retried":
            attempts[event["number"]] = 0
    assert {row["number"]: row["attempt"] for row in storm.rows["trials"]} == {
        row["number"]: attempts[row["number"]] for row in storm.rows["trials"]
    }


def test_what_was_handed_out_is_counted_once_a_number(storm: Storm) -> None:
    (clock,) = storm.rows["study_clocks"]
    paused = [row["payload"] for row in storm.rows["events"] if row["kind"] == "host_paused"]
    given_back = sum(payload["refunded"] for payload in paused)
    assert clock["handed"] == sum(row["epoch"] > 0 for row in storm.rows["trials"]) - given_back


def test_no_replica_shows_a_trial_unfinished_whose_result_was_acknowledged(storm: Storm) -> None:
    assert storm.unfinished_after_tell == []


def test_every_refused_result_is_kept(storm: Storm) -> None:
    kept = {(row["number"], bytes(row["hash"])) for row in storm.rows["late_results"]}
    refused = {
        (c.number, c.fingerprint())
        for c, error in storm.answers
        if isinstance(c, Tell) and isinstance(error, Exception)
    }
    assert kept == refused


def test_each_replica_has_in_its_cache_what_a_fresh_one_reads(storm: Storm) -> None:
    fresh = _shown(storm.caches[-1])
    for cached in storm.caches[:-1]:
        assert _shown(cached) == fresh


def test_every_proposal_is_drawn_again_the_same_or_the_history_says_why_not(storm: Storm) -> None:
    outcomes = Counter(str(one.replay.outcome) for one in storm.explained)
    assert {*outcomes} <= {"same", "not drawn", "history changed"}
    # A retried or deleted trial excuses all proposals that saw it: how many did is chance, that most did not is not.
    assert outcomes["same"] >= 0.75 * (len(storm.explained) - outcomes["not drawn"])


def test_the_storm_was_one(storm: Storm) -> None:
    kinds = Counter(row["kind"] for row in storm.rows["events"])
    assert min(kinds[kind] for kind in ("issued", "told", "released", "expired", "added", "attrs")) >= 5
    assert min(kinds[kind] for kind in ("returned", "cancelled", "failed", "retried", "exempted", "deleted")) >= 1
    # Whether a host fails twice in a row, and so pauses, is a matter of who comes when; that it failed is not. Failures
    # count within seconds, which trials of a slow sampler may outlast.
    assert storm.rows["hosts"] or storm.sampler == "auto"
    ends = Counter(row["ended"] for row in storm.rows["leases"])
    assert min(ends[end] for end in ("told", "released", "expired")) >= 5
    assert ends["superseded"] >= 1
    assert sum(row["state"] == "lost" for row in storm.rows["trials"]) >= 1
    errors = Counter(type(answer).__name__ for _, answer in storm.answers if isinstance(answer, Exception))
    assert set(errors) >= {"LeaseLost", "AlreadyFinished"}
    assert set(errors) <= {"LeaseLost", "AlreadyFinished", "TrialNotFound"}
    assert any(answer.prune for _, answer in storm.answered(ReportSteps))


def _shown(history: History) -> dict[str, str]:
    """All that a cache says, as text: NaN is equal to itself there. Rows know times, and leases how long they last."""
    space = {name: interned.distribution for name, interned in sorted(history.current().items())}
    view = history.view(space)
    shown: dict[str, Any] = {
        "clock": history.clock,
        "study": history.study,
        "hosts": sorted((h.name, h.failures, h.owed, h.paused_s(MIDNIGHT), h.cause) for h in history.hosts.values()),
        "interned": sorted(history.interned.items()),
        "ids": sorted(history.ids.items()),
        "counts": sorted((str(state), count) for state, count in history.counts.items() if count),
        "peers": (history.curves.complete, [[*history.curves.losses_at(step)] for step in range(6)]),
        "rows": [view.numbers, view.outcome, view.loss, view.last_step, view.last_loss, view.violation],
        "columns": sorted(view.columns.items()),
        "pending": sorted(history.pending(space).items()),
    }
    for number, record in sorted(history.unfinished.items()):
        timeless = replace(record.trial, created_at=None, started_at=None, finished_at=None)
        leases = [lease and replace(lease, remaining_s=0.0, age_s=0.0) for lease in (record.lease, record.resume)]
        by_step = (record.curve, record.costs, record.inherited, record.inherited_costs)
        curves = [sorted(one.items()) for one in by_step]
        known = [sorted(timeless.user_attrs.items()), sorted(record.suggested.items()), record.prune_reason]
        shown[f"trial {number}"] = [replace(timeless, user_attrs={}), leases, curves, known]
    with np.printoptions(threshold=10**9):
        return {name: repr(value) for name, value in shown.items()}


def _tuple(values: list[float] | None) -> tuple[float, ...] | None:
    return None if values is None else tuple(values)
