"""The samplers by their names on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tpeak_server.domain.settings import Choice, Count, Flag, Kind, Number, Registry
from tpeak_server.samplers.auto import AutoSampler
from tpeak_server.samplers.distances import Distances
from tpeak_server.samplers.gp import GPSampler
from tpeak_server.samplers.random import RandomSampler
from tpeak_server.samplers.seam import Sampler
from tpeak_server.samplers.tpe import TPESampler

MOST_CANDIDATES = 10_000
"""A study must not occupy the server with one suggestion."""

LEAST_PRIOR, MOST_PRIOR = 1e-6, 1e6
"""The prior is to count for something, and so are the trials."""


def _conflict(full: Mapping[str, Any]) -> tuple[str, str] | None:
    if full["group"] and full["multivariate"] is False:
        return "group", "group draws parameters jointly: it needs multivariate to be true or null"
    if full["reference"] and full["categorical_distance"]:
        return "categorical_distance", "Optuna 5.0's densities know no distances: reference must be null"
    return None


_SAMPLERS: Registry[Sampler] = Registry(
    "sampler",
    {
        "random": Kind(build=RandomSampler),
        "auto": Kind(build=AutoSampler, settings=(Count(name="n_startup_trials", default=10),)),
        "gp": Kind(build=GPSampler, settings=(Count(name="n_startup_trials", default=10),)),
        "tpe": Kind(
            build=TPESampler,
            settings=(
                Count(name="n_startup_trials", default=10),
                Count(name="n_ei_candidates", least=1, most=MOST_CANDIDATES, optional=True),
                Flag(name="multivariate", optional=True),
                Flag(name="group", default=False),
                Flag(name="constant_liar", default=True),
                Number(name="prior_weight", least=LEAST_PRIOR, most=MOST_PRIOR, optional=True),
                Flag(name="consider_magic_clip", default=True),
                Flag(name="consider_endpoints", default=False),
                Choice(name="reference", words=("optuna5",), optional=True),
                Distances(name="categorical_distance"),
            ),
            conflict=_conflict,
        ),
    },
)

resolve = _SAMPLERS.resolve
build = _SAMPLERS.build
