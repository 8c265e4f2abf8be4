"""What an invariant says where it does not hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from tests.chaos.facts import Facts, StudyFacts
from tests.chaos.history import Operation


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A violation in words, with the rows and operations that show it."""

    text: str
    evidence: tuple[Any, ...] = ()


Invariant: TypeAlias = Callable[[Facts], Iterator[Finding]]
OfStudy: TypeAlias = Callable[[StudyFacts], Iterator[Finding]]


def each_study(of_study: OfStudy) -> Invariant:
    """An invariant that holds for each study alone."""

    def invariant(facts: Facts) -> Iterator[Finding]:
        for study in facts.studies.values():
            for found in of_study(study):
                yield Finding(text=f"study {study.id}: {found.text}", evidence=found.evidence)

    invariant.__doc__ = of_study.__doc__
    return invariant


def finding(text: str, *evidence: Any) -> Finding:
    """A finding with its evidence, operations in full."""
    return Finding(text=text, evidence=tuple(_shown(one) for one in evidence))


def _shown(one: Any) -> Any:
    if not isinstance(one, Operation):
        return one
    return {name: getattr(one, name) for name in Operation.__slots__}
