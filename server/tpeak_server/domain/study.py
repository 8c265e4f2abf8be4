"""A study: what is optimized, by which rules, within which budget."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any

from tpeak_server.domain.distributions import Distribution
from tpeak_server.domain.stopping import StopWhen
from tpeak_server.domain.warm import WarmSource

MAX_OBJECTIVES = 16
"""Directions that a study has at most."""

DEFAULT_LEASE_SECONDS = 60.0
MIN_LEASE_SECONDS = 2.0
"""Below that a healthy reaper's tick is no longer small against a lease."""

DEFAULT_MAX_ATTEMPTS = 3
DEFAULT_MAX_HOST_FAILURES = 3

ID_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base32: no letter that is taken for a digit."""

ID_LENGTH = 13
"""63 bits in base32."""


class Direction(StrEnum):
    """What is better: less, or more."""

    MINIMIZE = "minimize"
    MAXIMIZE = "maximize"

    @property
    def sign(self) -> float:
        """The factor that turns a value into a loss."""
        return 1.0 if self is Direction.MINIMIZE else -1.0


class LateResults(StrEnum):
    """Whether a result counts that comes from a lease that has ended."""

    ACCEPT = "accept"
    REFUSE = "refuse"


class StudyState(StrEnum):
    """open gives out trials; paused waits; stopped finishes what runs; archived is read-only."""

    OPEN = "open"
    PAUSED = "paused"
    STOPPED = "stopped"
    ARCHIVED = "archived"


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A study's settings, as stored; `stop_reason` is there while it is stopped by `stop_when`.

    `pruner_auto` has the numbers that its rule's settings "auto" stand for, once they can be told.
    """

    id: int
    name: str
    directions: tuple[Direction, ...]
    sampler: Mapping[str, Any]
    pruner: Mapping[str, Any]
    seed: int
    pruner_auto: Mapping[str, float] = field(default_factory=dict)
    state: StudyState = StudyState.OPEN
    space: Mapping[str, Distribution] | None = None
    max_trials: int | None = None
    timeout_s: float | None = None
    lease_seconds: float = DEFAULT_LEASE_SECONDS
    max_attempts: int = DEFAULT_MAX_ATTEMPTS
    max_host_failures: int | None = DEFAULT_MAX_HOST_FAILURES
    late_results: LateResults = LateResults.ACCEPT
    stop_when: StopWhen | None = None
    stop_reason: str | None = None
    warm_start: tuple[WarmSource, ...] = ()
    user_attrs: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    note: str = ""
    created_at: datetime | None = None
    first_ask_at: datetime | None = None

    @property
    def signs(self) -> tuple[float, ...]:
        """The factor of each objective that turns a value into a loss."""
        return tuple(direction.sign for direction in self.directions)

    @property
    def pruned_objective(self) -> int | None:
        """The objective that its pruning rule looks at; None where there are several, and none is named."""
        named: int | None = self.pruner.get("objective")
        return 0 if named is None and len(self.directions) == 1 else named

    def timed_out(self, now: datetime) -> bool:
        """Whether the study's time, which runs from the first ask, is used up."""
        if self.timeout_s is None or self.first_ask_at is None:
            return False
        return (now - self.first_ask_at).total_seconds() >= self.timeout_s


def to_path(study_id: int) -> str:
    """The id as it stands in paths: 13 characters of base32."""
    return "".join(ID_ALPHABET[study_id >> 5 * place & 31] for place in reversed(range(ID_LENGTH)))


@lru_cache(maxsize=1024)  # every request says which study it is for
def from_path(text: str) -> int | None:
    """The id that `to_path` wrote, None for any other text."""
    if len(text) != ID_LENGTH or any(letter not in ID_ALPHABET for letter in text):
        return None
    study_id = 0
    for letter in text:
        study_id = study_id << 5 | ID_ALPHABET.index(letter)
    return study_id if study_id < 2**63 else None
