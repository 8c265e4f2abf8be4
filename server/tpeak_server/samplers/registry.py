"""The samplers by their names on the wire."""

from __future__ import annotations

from tpeak_server.domain.settings import Count, Kind, Registry
from tpeak_server.samplers.random import RandomSampler
from tpeak_server.samplers.seam import Sampler
from tpeak_server.samplers.tpe import TPESampler

MOST_CANDIDATES = 10_000
"""A study must not occupy the server with one suggestion."""

_SAMPLERS: Registry[Sampler] = Registry(
    "sampler",
    {
        "random": Kind(build=RandomSampler),
        "tpe": Kind(
            build=TPESampler,
            settings=(
                Count(name="n_startup_trials", default=10),
                Count(name="n_ei_candidates", default=24, least=1, most=MOST_CANDIDATES),
            ),
        ),
    },
)

resolve = _SAMPLERS.resolve
build = _SAMPLERS.build
