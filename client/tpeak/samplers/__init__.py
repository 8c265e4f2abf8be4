"""Samplers' settings: the sampling itself is done by the server."""

from __future__ import annotations

from typing import TypeAlias

from tpeak.samplers.brute_force import BruteForceSampler
from tpeak.samplers.grid import GridSampler
from tpeak.samplers.partial_fixed import PartialFixedSampler
from tpeak.samplers.qmc import QMCSampler
from tpeak.samplers.random import RandomSampler
from tpeak.samplers.tpe import TPESampler

Sampler: TypeAlias = TPESampler | RandomSampler | GridSampler | BruteForceSampler | QMCSampler | PartialFixedSampler

__all__ = [
    "BruteForceSampler",
    "GridSampler",
    "PartialFixedSampler",
    "QMCSampler",
    "RandomSampler",
    "Sampler",
    "TPESampler",
]
