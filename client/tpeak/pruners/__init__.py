"""Pruners' settings: the decision itself is the server's, and comes with the answer to each report."""

from __future__ import annotations

from typing import TypeAlias

from tpeak.pruners.hyperband import HyperbandPruner
from tpeak.pruners.median import MedianPruner
from tpeak.pruners.nop import NopPruner
from tpeak.pruners.patient import Impatient, PatientPruner
from tpeak.pruners.percentile import PercentilePruner
from tpeak.pruners.successive_halving import SuccessiveHalvingPruner
from tpeak.pruners.threshold import ThresholdPruner
from tpeak.pruners.wilcoxon import WilcoxonPruner

Pruner: TypeAlias = Impatient | PatientPruner

__all__ = [
    "HyperbandPruner",
    "MedianPruner",
    "NopPruner",
    "PatientPruner",
    "PercentilePruner",
    "Pruner",
    "SuccessiveHalvingPruner",
    "ThresholdPruner",
    "WilcoxonPruner",
]
