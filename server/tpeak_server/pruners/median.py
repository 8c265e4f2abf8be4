"""The median stopping rule (Golovin et al. 2017, Google Vizier, section 3.2), as Optuna has it."""

from __future__ import annotations

from dataclasses import dataclass, field

from tpeak_server.pruners.percentile import MEDIAN, PercentilePruner


@dataclass(frozen=True, slots=True, kw_only=True)
class MedianPruner(PercentilePruner):
    """Prunes a trial whose best value so far is worse than the median at that step: the percentile 50."""

    percentile: float = field(default=MEDIAN, init=False)
