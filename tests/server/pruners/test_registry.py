import math

import pytest

from tpeak_server.domain.errors import Invalid
from tpeak_server.pruners import MedianPruner, NopPruner, PercentilePruner, build, resolve

COUNTS = {"n_startup_trials": 5, "n_warmup_steps": 0, "interval_steps": 1, "n_min_trials": 1}


def test_defaults_are_filled_in() -> None:
    assert resolve({"name": "nop"}) == {"name": "nop"}
    assert resolve({"name": "median"}) == {"name": "median", **COUNTS}
    assert resolve({"name": "percentile", "percentile": 25}) == {"name": "percentile", "percentile": 25.0, **COUNTS}


def test_pruners_are_built_with_their_settings() -> None:
    assert build({"name": "nop"}) == NopPruner()
    assert build({"name": "median", "interval_steps": 3}) == MedianPruner(interval_steps=3)
    assert build({"name": "percentile", "percentile": 10}) == PercentilePruner(percentile=10.0)


@pytest.mark.parametrize(
    ("spec", "where", "message"),
    [
        ({"name": "med"}, "/pruner/name", "there is no pruner 'med'; did you mean 'median'?"),
        ({"name": "percentile"}, "/pruner/percentile", "the pruner 'percentile' needs percentile"),
        (
            {"name": "percentile", "percentile": 101},
            "/pruner/percentile",
            "percentile must lie within 0.0 .. 100.0, got 101",
        ),
        (
            {"name": "percentile", "percentile": math.nan},
            "/pruner/percentile",
            "percentile must lie within 0.0 .. 100.0, got nan",
        ),
        (
            {"name": "percentile", "percentile": "25"},
            "/pruner/percentile",
            "percentile must be a number, got '25'",
        ),
        (
            {"name": "median", "percentile": 25},
            "/pruner/percentile",
            "the pruner 'median' has no setting 'percentile'; there is"
            " n_startup_trials, n_warmup_steps, interval_steps, n_min_trials",
        ),
        (
            {"name": "median", "interval_steps": 0},
            "/pruner/interval_steps",
            "interval_steps must lie within 1 .. 9007199254740992, got 0",
        ),
    ],
)
def test_what_is_wrong_is_said_and_where(spec: dict[str, object], where: str, message: str) -> None:
    with pytest.raises(Invalid) as refused:
        resolve(spec)
    assert (refused.value.where, refused.value.message) == (where, message)
