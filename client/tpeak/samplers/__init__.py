"""Samplers' settings: the sampling itself is done by the server."""

from __future__ import annotations

from typing import TypeAlias

from tpeak.samplers.cmaes import CmaEsSampler
from tpeak.samplers.nsgaii import NSGAIISampler
from tpeak.samplers.random import RandomSampler
from tpeak.samplers.tpe import TPESampler

Sampler: TypeAlias = TPESampler | CmaEsSampler | NSGAIISampler | RandomSampler

__all__ = ["CmaEsSampler", "NSGAIISampler", "RandomSampler", "Sampler", "TPESampler"]
