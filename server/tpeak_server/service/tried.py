"""Where every trial of a study is, for samplers that hand out no point twice: kept small, by change."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from typing import TypeVar

from tpeak_server.domain.distributions import FloatDistribution, Space
from tpeak_server.domain.observations import Tried, Tries
from tpeak_server.domain.trial import Interned, TrialRecord

Text = TypeVar("Text", bound=tuple[object, ...])

MOST_TRIED = 50_000
"""Trials up to which the points of a discrete space are told from each other, for samplers that could do without: each
look at them costs time in proportion."""


class TriedTrials:
    """All trials but the deleted ones."""

    def __init__(self) -> None:
        self._trials: dict[int, Tried] = {}
        self._shared: dict[tuple[object, ...], tuple[object, ...]] = {}

    def put(self, record: TrialRecord) -> Tried | None:
        """Takes the trial as it is now, and says where that is: nowhere if it was deleted."""
        trial = record.trial
        if trial.deleted:
            self._trials.pop(trial.number, None)
            return None
        late = record.suggested.values()
        used = record.lease.used if record.lease is not None else None
        tried = self._trials[trial.number] = Tried(
            state=trial.state,
            origin=trial.origin,
            ids=self._once((*trial.proposed, *(distribution_id for distribution_id, _ in late))),
            values=array("d", [*trial.proposed.values(), *(value for _, value in late)]),
            proposed=len(trial.proposed),
            fixed=trial.fixed,
            used=None if used is None else self._once(used),
        )
        return tried

    def tries(self, interned: Mapping[int, Interned]) -> Tries:
        """All of them as of now."""
        ranges = {i: (one.name, one.distribution) for i, one in interned.items()}
        return Tries(trials=dict(self._trials), ranges=ranges)

    def tries_in(self, space: Space, interned: Mapping[int, Interned]) -> Tries | None:
        """The same where the space is discrete and they are not too many, else None."""
        continuous = any(
            isinstance(one, FloatDistribution) and one.step is None and not one.single for one in space.values()
        )
        return None if continuous or not space or len(self._trials) > MOST_TRIED else self.tries(interned)

    def _once(self, texts: Text) -> Text:
        """An equal tuple, the same for all that have it."""
        return self._shared.setdefault(texts, texts)  # type: ignore[return-value]
