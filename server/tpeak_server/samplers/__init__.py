"""Ways to choose the next points: arrays in, arrays out; no IO, no clock, no global randomness."""

from tpeak_server.samplers.cmaes import CmaEsSampler
from tpeak_server.samplers.nsgaii import NSGAIISampler
from tpeak_server.samplers.random import RandomSampler
from tpeak_server.samplers.registry import build, resolve
from tpeak_server.samplers.seam import Sampler, Stream
from tpeak_server.samplers.tpe import TPESampler

__all__ = ["CmaEsSampler", "NSGAIISampler", "RandomSampler", "Sampler", "Stream", "TPESampler", "build", "resolve"]
