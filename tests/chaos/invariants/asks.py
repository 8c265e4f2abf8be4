"""What was handed out: numbers, parameters, leases, keys, the budget."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from tests.chaos.facts import Facts, StudyFacts
from tests.chaos.history import Operation
from tests.chaos.invariants.finding import Finding, finding


def numbers_are_dense(study: StudyFacts) -> Iterator[Finding]:
    """I1: numbers are 0 .. next_number - 1."""
    numbers = [row["number"] for row in study.rows["trials"]]
    if sorted(numbers) != list(range(study.clock["next_number"])):
        yield finding(f"its numbers are not 0 .. {study.clock['next_number'] - 1}", sorted(numbers))


def asked_trials_stand(study: StudyFacts) -> Iterator[Finding]:
    """I2: an acknowledged ask's trials exist, with the same number and parameters for ever, over all epochs."""
    for ask in study.of_kind("ask"):
        if not ask.ok or not ask.reply["trials"]:
            continue
        stored = study.leases_by_request.get(ask.body["request_id"], [])
        given = [(t["number"], t["epoch"], t["lease"]) for t in ask.reply["trials"]]
        if given != [(row["number"], row["epoch"], row["token"]) for row in stored]:
            yield finding("an acknowledged ask's leases are not the stored ones", ask, stored)
            continue
        yield from _other_parameters(study, ask)


def _other_parameters(study: StudyFacts, ask: Operation) -> Iterator[Finding]:
    for trial in ask.reply["trials"]:
        stored = study.proposals.get(trial["number"])
        if stored is None:
            yield finding(f"trial {trial['number']} was handed out and does not exist", ask)
            continue
        for name, value in trial["params"].items():
            if not any(_same(value, one) for one in stored.get(name, [])):
                yield finding(f"trial {trial['number']} was handed out with another {name}", ask, stored)


def suggested_values_stand(study: StudyFacts) -> Iterator[Finding]:
    """I2: the first value of a parameter stands, over all epochs."""
    answers: dict[tuple[int | None, str], list[Operation]] = defaultdict(list)
    for suggest in study.of_kind("suggest"):
        if suggest.ok:
            answers[suggest.number, suggest.body["name"]].append(suggest)
    for (number, name), operations in answers.items():
        stored = study.proposals.get(number or 0, {}).get(name, [])
        for one in operations:
            if not any(_same(one.reply["value"], value) for value in stored):
                yield finding(f"trial {number} was given a {name} that is not stored", one, stored)
            if not _same(one.reply["value"], operations[0].reply["value"]):
                yield finding(f"trial {number} was given two values for {name}", operations[0], one)


def _same(one: object, other: object) -> bool:
    """Equal as the wire has them: 1 is no true, and -0.0 no 0.0."""
    if isinstance(one, (int, float)) and isinstance(other, (int, float)) and not isinstance(one, bool):
        return not isinstance(other, bool) and repr(float(one)) == repr(float(other))
    return type(one) is type(other) and one == other


def one_key_one_lease(study: StudyFacts) -> Iterator[Finding]:
    """I3: one request key, one lease for each trial asked for; (trial, epoch) unique."""
    epochs = Counter((row["number"], row["epoch"]) for row in study.rows["leases"])
    for key, count in epochs.items():
        if count > 1:
            yield finding(f"trial {key[0]} has {count} leases of epoch {key[1]}")
    most: dict[str, int] = {}
    for ask in study.of_kind("ask"):
        most[ask.body["request_id"]] = max(most.get(ask.body["request_id"], 0), ask.body.get("count", 1))
    for request_id, leases in study.leases_by_request.items():
        ordinals = [row["ordinal"] for row in leases]
        if ordinals != list(range(len(leases))) or len({row["worker"] for row in leases}) > 1:
            yield finding(f"the leases of request {request_id} do not belong together", leases)
        if len(leases) > most.get(request_id, len(leases)):
            yield finding(f"request {request_id} has more leases than were asked for", leases)


def leases_were_asked_for(study: StudyFacts) -> Iterator[Finding]:
    """I11: every lease belongs to exactly one invoked request key."""
    workers: dict[str, set[str]] = defaultdict(set)
    for ask in study.of_kind("ask"):
        workers[ask.body["request_id"]].add(ask.body["worker"])
    for row in study.rows["leases"]:
        if row["worker"] not in workers.get(row["request_id"], set()):
            yield finding(f"nobody asked for the lease of trial {row['number']}, epoch {row['epoch']}", row)


def repetitions_keep_their_key(facts: Facts) -> Iterator[Finding]:
    """I11: what a client sends again is, byte for byte, what it sent before: the same call has the same key."""
    first: dict[str, Operation] = {}
    for operation in facts.operations:
        if operation.call is None:
            continue
        before = first.setdefault(operation.call, operation)
        if (before.method, before.path, before.body) != (operation.method, operation.path, operation.body):
            yield finding("a call was repeated with another content", before, operation)


def budget_holds(study: StudyFacts) -> Iterator[Finding]:
    """I21: trials given out never exceed the study's budget."""
    handed = {event["number"] for event in study.rows["events"] if event["kind"] == "issued"}
    refunds = [event["payload"]["refunded"] for event in study.rows["events"] if event["kind"] == "host_paused"]
    budget, spent = study.study["max_trials"], len(handed) - sum(refunds)
    if budget is not None and spent > budget:
        yield finding(f"{spent} trials were handed out of a budget of {budget}")
    if study.clock["handed"] != spent:
        yield finding(f"the study counts {study.clock['handed']} trials as handed out, it were {spent}")
