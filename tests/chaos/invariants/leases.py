"""Time: when leases may end, by the records that the triggers keep."""

from __future__ import annotations

from collections.abc import Iterator

from tests.chaos.facts import Facts, Row, StudyFacts
from tests.chaos.invariants.finding import Finding, finding

AMNESTY_SHARE = 1 / 3
"""An outage of more than this share of a lease earns every lease a fresh period."""

WRITE_S = 0.9
"""How long a statement may take between setting an expiry and the trigger that notes it."""


def expiries_hold(study: StudyFacts) -> Iterator[Finding]:
    """I19: an expiry never moves back; a trial is given again only after expiry by the database's clock."""
    newest: dict[int, Row] = {}
    for row in study.rows["chaos_leases"]:
        former = row["former_expires_at"]
        if former is not None and row["expires_at"] < former:
            yield finding(f"the expiry of trial {row['number']}, epoch {row['epoch']}, moved back", row)
        if row["was_live"] and row["ended"] == "expired" and row["at"] < (former or row["expires_at"]):
            yield finding(f"the lease of trial {row['number']}, epoch {row['epoch']}, was taken before its time", row)
        before = newest.get(row["number"])
        if before is not None and row["epoch"] > before["epoch"] and before["live"]:
            yield finding(f"trial {row['number']} was given away under a live lease", before, row)
        moved = row["live"] and former != row["expires_at"]
        if moved and (row["expires_at"] - row["at"]).total_seconds() < row["period"] - WRITE_S:
            yield finding(f"a lease of trial {row['number']} was given less than its period", row)
        if before is None or row["epoch"] >= before["epoch"]:
            newest[row["number"]] = row


def outages_earn_amnesty(facts: Facts) -> Iterator[Finding]:
    """I19: after an outage, in which nobody could renew, no lease ends before it had a fresh period."""
    for study in facts.studies.values():
        lease_s = study.study["lease_seconds"]
        for tick in facts.ticks:
            began, ended = tick["before"].timestamp(), tick["after"].timestamp()
            if ended - began <= AMNESTY_SHARE * lease_s:
                continue
            for row in study.rows["chaos_leases"]:
                renewed, taken = row["expires_at"].timestamp() - lease_s, row["at"].timestamp()
                hit = row["was_live"] and row["ended"] == "expired" and renewed < ended < taken
                # Who locked the study before it was an outage may write when it has become one.
                late = taken > began + AMNESTY_SHARE * lease_s + WRITE_S
                if hit and late and taken < ended + lease_s:
                    yield finding(f"study {study.id}: trial {row['number']} was taken without amnesty", tick, row)


def outages(facts: Facts) -> int:
    """How many times an outage was long enough for an amnesty while leases were out."""
    count = 0
    for tick in facts.ticks:
        began, ended = tick["before"].timestamp(), tick["after"].timestamp()
        count += any(_pardoned(study, began, ended) for study in facts.studies.values())
    return count


def _pardoned(study: StudyFacts, began: float, ended: float) -> bool:
    """Whether a lease was overdue for a while that nobody could renew for so long."""
    lease_s = study.study["lease_seconds"]
    if ended - began <= AMNESTY_SHARE * lease_s:
        return False
    return any(
        row["was_live"]
        and row["former_expires_at"] is not None
        and ended - lease_s < row["former_expires_at"].timestamp() < row["at"].timestamp() < ended + lease_s
        and row["former_expires_at"].timestamp() - lease_s < ended < row["at"].timestamp()
        for row in study.rows["chaos_leases"]
    )
