"""What every pruning rule is: one function from a trial's curve and its peers' to a decision."""

from __future__ import annotations

from typing import Protocol

from tpeak_server.domain.observations import Curve, Decision


class Peers(Protocol):
    """The other trials of the study, summarised by step."""

    @property
    def complete(self) -> int:
        """How many trials are complete."""
        ...

    def losses_at(self, step: int) -> list[float]:
        """The finite and infinite intermediate losses of the complete trials at `step`, ascending, without NaN."""
        ...


class Pruner(Protocol):
    """Decides after a report. Losses are signed so that smaller is better; reasons speak in the user's values."""

    def decide(self, curve: Curve, peers: Peers, *, sign: float) -> Decision:
        """The decision at the last step of `curve`.

        Args:
            curve: the trial's own intermediate losses by step, the report just made included.
            peers: the complete trials.
            sign: 1.0 if the study minimizes, -1.0 if it maximizes; `sign * loss` is what the user reported.
        """
        ...
