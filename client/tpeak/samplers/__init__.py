"""Samplers' settings: the sampling itself is done by the server."""

from __future__ import annotations

from typing import TypeAlias

from tpeak.samplers.auto import AutoSampler
from tpeak.samplers.brute_force import BruteForceSampler
from tpeak.samplers.cmaes import CmaEsSampler
from tpeak.samplers.gp import GPSampler
from tpeak.samplers.grid import GridSampler
from tpeak.samplers.nsgaii import NSGAIISampler
from tpeak.samplers.partial_fixed import PartialFixedSampler
from tpeak.samplers.qmc import QMCSampler
from tpeak.samplers.random import RandomSampler
from tpeak.samplers.tpe import TPESampler

Sampler: TypeAlias = (
    AutoSampler
    | BruteForceSampler
    | CmaEsSampler
    | GPSampler
    | GridSampler
    | NSGAIISampler
    | PartialFixedSampler
    | QMCSampler
    | RandomSampler
    | TPESampler
)

__all__ = [
    "AutoSampler",
    "BruteForceSampler",
    "CmaEsSampler",
    "GPSampler",
    "GridSampler",
    "NSGAIISampler",
    "PartialFixedSampler",
    "QMCSampler",
    "RandomSampler",
    "Sampler",
    "TPESampler",
]
