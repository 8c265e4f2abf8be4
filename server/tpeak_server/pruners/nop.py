"""The rule of a study that does not prune."""

from __future__ import annotations

from dataclasses import dataclass

from tpeak_server.domain.observations import KEEP, Curve, Decision
from tpeak_server.pruners.seam import Peers


@dataclass(frozen=True, slots=True)
class NopPruner:
    """Never prunes."""

    def decide(self, curve: Curve, peers: Peers, *, sign: float) -> Decision:
        """Keep, always."""
        return KEEP
