"""What every pruning rule is: one function from a trial's curve and its peers' to a decision."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

from tpeak_server.domain.observations import Curve, Decision
from tpeak_server.pruners.resource import Resource


class Peers(Protocol):
    """The other trials of the study, summarised by step. Losses are finite or infinite, and never NaN, unless said."""

    @property
    def complete(self) -> int:
        """How many trials are complete."""
        ...

    @property
    def deepest(self) -> int | None:
        """The last step of all that complete trials have; None where none has any."""
        ...

    @property
    def deepest_cost(self) -> float | None:
        """The greatest cost that a complete trial's reports have together; None where none has any."""
        ...

    @property
    def best(self) -> Curve | None:
        """The curve of the complete and feasible trial with the least final loss, the earliest of them; with NaN."""
        ...

    def losses_at(self, step: int) -> Sequence[float]:
        """The losses of the complete trials at `step`, ascending."""
        ...

    def reached(
        self,
        amount: float,
        without: int,
        *,
        resource: Resource = Resource.STEP,
        bracket: int = 0,
        members: Callable[[int], bool] | None = None,
    ) -> Sequence[float]:
        """What the trials had at the first step at or beyond `amount`, ascending: whatever became of them since.

        An amount is a step, or the sum of the costs up to one. That is without the trial `without`, and of `members`
        alone, numbers of trials. They are asked once a trial and `bracket`, which tells different sets of members of
        one rule apart.
        """
        ...


class Pruner(Protocol):
    """Decides after a report. Losses are signed so that smaller is better; reasons speak in the user's values."""

    def decide(self, curve: Curve, peers: Peers, *, sign: float) -> Decision:
        """The decision at the last step of `curve`.

        Args:
            curve: the trial's own intermediate losses by step, the report just made included.
            peers: the other trials.
            sign: 1.0 if the study minimizes, -1.0 if it maximizes; `sign * loss` is what the user reported.
        """
        ...


@runtime_checkable
class Automatic(Protocol):
    """A rule some of whose settings are "auto": it keeps every trial until they are told, once in a study."""

    @property
    def resource(self) -> Resource:
        """What its resources count."""
        ...

    def told(self, deepest: float) -> Mapping[str, float]:
        """The numbers to put in place of "auto", by setting, where complete trials go to step `deepest`, or cost that.

        They hold for a wrapped rule, too. There is none where all were numbers.
        """
        ...
