"""Rules for stopping a trial early: curves in, a decision with its reason out. One file a rule."""

from tpeak_server.pruners.median import MedianPruner
from tpeak_server.pruners.nop import NopPruner
from tpeak_server.pruners.percentile import PercentilePruner
from tpeak_server.pruners.registry import build, resolve
from tpeak_server.pruners.seam import Peers, Pruner

__all__ = ["MedianPruner", "NopPruner", "Peers", "PercentilePruner", "Pruner", "build", "resolve"]
