"""Rules for stopping a trial early: curves in, a decision with its reason out. One file a rule."""

from tpeak_server.pruners.hyperband import HyperbandPruner
from tpeak_server.pruners.median import MedianPruner
from tpeak_server.pruners.nop import NopPruner
from tpeak_server.pruners.patient import PatientPruner
from tpeak_server.pruners.percentile import PercentilePruner
from tpeak_server.pruners.registry import build, resolve
from tpeak_server.pruners.seam import Automatic, Peers, Pruner
from tpeak_server.pruners.successive_halving import SuccessiveHalvingPruner
from tpeak_server.pruners.threshold import ThresholdPruner
from tpeak_server.pruners.wilcoxon import WilcoxonPruner

__all__ = [
    "Automatic",
    "HyperbandPruner",
    "MedianPruner",
    "NopPruner",
    "PatientPruner",
    "Peers",
    "PercentilePruner",
    "Pruner",
    "SuccessiveHalvingPruner",
    "ThresholdPruner",
    "WilcoxonPruner",
    "build",
    "resolve",
]
