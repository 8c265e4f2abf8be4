"""The pruners by their names on the wire."""

from __future__ import annotations

from collections.abc import Mapping

from tpeak_server.domain.settings import Count, Kind, Number, Registry
from tpeak_server.pruners.median import MedianPruner
from tpeak_server.pruners.nop import NopPruner
from tpeak_server.pruners.percentile import PercentilePruner
from tpeak_server.pruners.seam import Pruner

_COUNTS = (
    Count(name="n_startup_trials", default=5),
    Count(name="n_warmup_steps", default=0),
    Count(name="interval_steps", default=1, least=1),
    Count(name="n_min_trials", default=1, least=1),
)

_PRUNERS: Registry[Pruner] = Registry(
    "pruner",
    {
        "nop": Kind(build=NopPruner),
        "median": Kind(build=MedianPruner, settings=_COUNTS),
        "percentile": Kind(
            build=PercentilePruner, settings=(Number(name="percentile", least=0.0, most=100.0), *_COUNTS)
        ),
    },
)

resolve = _PRUNERS.resolve


def build(spec: Mapping[str, object], *, seed: int = 0) -> Pruner:
    """The rule that the spec describes, of a study with this seed. Raises Invalid as `resolve` does."""
    return _PRUNERS.build(spec)
