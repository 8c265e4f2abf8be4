"""The checker: `python -m tests.chaos.check HISTORY_DIR DATABASE_URL` compares what workers saw with the database.

It prints every violation with its evidence, and its exit code is 1 if there is any. With `--counters` it prints what
happened as well, and with `--full` it fails where too little did, or the service did not do well enough.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.chaos import tally
from tests.chaos.facts import Facts, gather
from tests.chaos.invariants import asks, leases, paths, reports, service, tells
from tests.chaos.invariants.finding import Finding, Invariant, each_study

INVARIANTS: dict[str, Sequence[Invariant]] = {
    "I1": [each_study(asks.numbers_are_dense)],
    "I2": [each_study(asks.asked_trials_stand), each_study(asks.suggested_values_stand)],
    "I3": [each_study(asks.one_key_one_lease)],
    "I4": [each_study(tells.told_results_stand)],
    "I5": [each_study(tells.one_tell_wins)],
    "I6": [each_study(reports.reports_stand)],
    "I7": [each_study(paths.seqs_are_dense)],
    "I8": [each_study(paths.lives_are_legal)],
    "I9": [each_study(paths.attempts_are_counted)],
    "I10": [each_study(tells.refused_tells_are_kept)],
    "I11": [each_study(asks.leases_were_asked_for), asks.repetitions_keep_their_key],
    "I12": [paths.nothing_is_overdue],
    "I13": [paths.everything_ends],
    "I14": [each_study(reports.decisions_stand)],
    "I15": [service.caches_are_exact],
    "I16": [service.best_is_best],
    "I17": [service.errors_are_foreseen],
    "I18": [each_study(tells.told_trials_are_seen_finished)],
    "I19": [each_study(leases.expiries_hold), leases.outages_earn_amnesty],
    "I20": [service.connections_are_returned],
    "I21": [each_study(asks.budget_holds)],
}

SHOWN = 5
"""Violations of one invariant that are printed in full."""

MAX_EVIDENCE = 4000
"""Characters of one piece of evidence."""


def violations(facts: Facts) -> dict[str, list[Finding]]:
    """What each invariant found, without those that hold."""
    found = {
        name: [finding for invariant in invariants for finding in invariant(facts)]
        for name, invariants in INVARIANTS.items()
    }
    return {name: findings for name, findings in found.items() if findings}


def describe(found: dict[str, list[Finding]]) -> str:
    """The violations with their evidence."""
    lines = []
    for name, findings in found.items():
        for finding in findings[:SHOWN]:
            lines.append(f"{name}: {finding.text}")
            lines += [f"    {json.dumps(one, default=str)[:MAX_EVIDENCE]}" for one in finding.evidence]
        if len(findings) > SHOWN:
            lines.append(f"{name}: and {len(findings) - SHOWN} more")
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    """Checks; the exit code."""
    folder, database_url, *expecting = arguments
    facts = gather(Path(folder), database_url)
    found = violations(facts)
    if found:
        print(describe(found))
    troubles = told(facts, full=expecting == ["--full"]) if expecting else []
    count = sum(map(len, found.values()))
    print(f"{len(facts.operations)} requests in {len(facts.studies)} studies checked; violations: {count}")
    return 1 if found or troubles else 0


def told(facts: Facts, *, full: bool) -> list[str]:
    """Prints the counters; what should have been otherwise, where the run is a full one."""
    counted, health = tally.counters(facts), tally.Health(facts)
    print(tally.summary(counted))
    print(health.describe())
    troubles = [*tally.missing(counted, tally.EXPECTED), *health.troubles()] if full else []
    for trouble in troubles:
        print(f"NOT REACHED: {trouble}")
    return troubles


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
