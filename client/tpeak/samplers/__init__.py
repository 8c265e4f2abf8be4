"""Samplers' settings: the sampling itself is done by the server."""

from __future__ import annotations

from typing import TypeAlias

from tpeak.samplers.random import RandomSampler
from tpeak.samplers.tpe import TPESampler

Sampler: TypeAlias = TPESampler | RandomSampler

__all__ = ["RandomSampler", "Sampler", "TPESampler"]
