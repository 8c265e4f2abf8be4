"""Where every trial of a study is, for samplers that hand out no point twice: kept small, by change."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from operator import itemgetter
from typing import TypeVar

from tpeak_server.domain.distributions import Distribution, FloatDistribution, Space
from tpeak_server.domain.finished import Alike
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
        self._filled: dict[int, Alike] = {}
        """Trials that nobody has wanted to see yet, by the group that they came in."""
        self._shared: dict[tuple[object, ...], tuple[object, ...]] = {}

    def put(self, record: TrialRecord) -> Tried | None:
        """Takes the trial as it is now, and says where that is: nowhere if it was deleted."""
        trial = record.trial
        self._filled.pop(trial.number, None)
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

    def fill(self, alike: Alike) -> None:
        """Takes over trials that it does not know yet."""
        self._filled.update(dict.fromkeys(alike.numbers.tolist(), alike))

    def spread(self) -> None:
        """Makes of those that were filled in what samplers look at: takes a second for some 300,000 of them."""
        if not self._filled:
            return
        groups = {id(alike): alike for alike in self._filled.values()}
        one_by_one = (pair for alike in groups.values() for pair in alike.tried() if pair[0] in self._filled)
        self._trials = dict(sorted([*self._trials.items(), *one_by_one], key=itemgetter(0)))
        self._filled = {}

    def tries(self, interned: Mapping[int, Interned]) -> Tries:
        """All of them as of now."""
        ranges = {i: (one.name, one.distribution) for i, one in interned.items()}
        self.spread()
        return Tries(trials=dict(self._trials), ranges=ranges)

    def tries_in(self, space: Space, interned: Mapping[int, Interned]) -> Tries | None:
        """The same where the space is discrete and they are not too many, else None."""
        known = len(self._trials) + len(self._filled)
        return self.tries(interned) if space and discrete(space.values()) and known <= MOST_TRIED else None

    def _once(self, texts: Text) -> Text:
        """An equal tuple, the same for all that have it."""
        return self._shared.setdefault(texts, texts)  # type: ignore[return-value]


def discrete(distributions: Iterable[Distribution]) -> bool:
    """Whether there are finitely many points under them."""
    return all(not isinstance(one, FloatDistribution) or one.step is not None or one.single for one in distributions)
