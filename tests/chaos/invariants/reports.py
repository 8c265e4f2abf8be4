"""Intermediate values, and the decisions to prune."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from tests.chaos.facts import StudyFacts, bits
from tests.chaos.history import Operation
from tests.chaos.invariants.finding import Finding, finding


def reports_stand(study: StudyFacts) -> Iterator[Finding]:
    """I6: an acknowledged report is stored, bit for bit; a step's first value stands, and a second one is told so."""
    for report, epoch in _acknowledged(study):
        seen: set[int] = set()
        for step in report.body["reports"]:
            row = study.reports.get((report.number or 0, epoch, step["step"]))
            if row is None:
                yield finding(f"step {step['step']} of trial {report.number} was acknowledged and is not there", report)
                continue
            same = bits(row["values"]) == bits(step["values"])
            if same == (step["step"] in report.reply["kept"]) and step["step"] not in seen:
                yield finding(f"step {step['step']} of trial {report.number} is not as the answer says", report, row)
            seen.add(step["step"])


def decisions_stand(study: StudyFacts) -> Iterator[Finding]:
    """I14: all prune replies for a (trial, epoch, step) are equal; prune is sticky, until nothing is once exempt."""
    for report, epoch in _acknowledged(study):
        last = max(step["step"] for step in report.body["reports"])
        row = study.reports.get((report.number or 0, epoch, last))
        if row is not None and (row["prune"], row["reason"]) != (report.reply["prune"], report.reply["reason"]):
            yield finding(f"the decision on trial {report.number} was answered otherwise than stored", report, row)
    pruned: dict[tuple[int, int], dict[str, object]] = {}
    ends: dict[tuple[int, int], list[dict[str, object]]] = defaultdict(list)
    for row in study.rows["reports"]:
        ends[row["number"], row["epoch"]].append(row)
    for key, rows in ends.items():
        since = study.exempt_since(key[0])
        before = [row for row in rows if row["seq"] < since]
        for row in before:
            if row["prune"]:
                pruned.setdefault(key, row)
        if key in pruned and not before[-1]["prune"]:
            yield finding(f"trial {key[0]} was to be pruned, and later not", pruned[key], before[-1])
        spared = next((row for row in rows if row["seq"] > since and row["prune"]), None)
        if spared is not None:
            yield finding(f"trial {key[0]} was exempt, and was to be pruned", spared)


def _acknowledged(study: StudyFacts) -> Iterator[tuple[Operation, int]]:
    """The acknowledged reports, each with its lease's epoch; a lease that is gone is another invariant's."""
    for report in study.of_kind("report"):
        lease = study.leases.get(report.body["lease"])
        if report.ok and lease is not None:
            yield report, lease["epoch"]
