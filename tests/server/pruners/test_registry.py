import json
import math

import pytest

from tests.server.pruners.curves import Trials, decide
from tpeak_server.domain.errors import Invalid
from tpeak_server.domain.observations import KEEP
from tpeak_server.pruners import (
    Automatic,
    HyperbandPruner,
    MedianPruner,
    NopPruner,
    PatientPruner,
    PercentilePruner,
    SuccessiveHalvingPruner,
    ThresholdPruner,
    WilcoxonPruner,
    build,
    resolve,
)
from tpeak_server.pruners.resource import Resource

COUNTS = {"n_startup_trials": 5, "n_warmup_steps": 0, "interval_steps": 1, "n_min_trials": 1, "objective": None}
HALVING = {
    "resource": "step",
    "min_resource": "auto",
    "reduction_factor": 4,
    "min_early_stopping_rate": 0,
    "bootstrap_count": 0,
    "objective": None,
}

FULL = [
    ({"name": "nop"}, {}),
    ({"name": "median"}, COUNTS),
    ({"name": "percentile", "percentile": 25}, {"percentile": 25.0, **COUNTS}),
    (
        {"name": "threshold", "upper": 1},
        {"lower": None, "upper": 1.0, "n_warmup_steps": 0, "interval_steps": 1, "objective": None},
    ),
    (
        {"name": "patient", "patience": 3},
        {"wrapped_pruner": None, "patience": 3, "min_delta": 0.0, "objective": None},
    ),
    (
        {"name": "patient", "patience": 3, "wrapped_pruner": {"name": "median"}},
        {"wrapped_pruner": {"name": "median", **COUNTS}, "patience": 3, "min_delta": 0.0, "objective": None},
    ),
    ({"name": "wilcoxon"}, {"p_threshold": 0.1, "n_startup_steps": 2, "objective": None}),
    ({"name": "successive_halving"}, HALVING),
    (
        {"name": "hyperband"},
        {
            "resource": "step",
            "min_resource": 1,
            "max_resource": "auto",
            "reduction_factor": 3,
            "bootstrap_count": 0,
            "objective": None,
        },
    ),
    (
        {"name": "successive_halving", "resource": "cost", "min_resource": 0.25},
        {**HALVING, "resource": "cost", "min_resource": 0.25},
    ),
    ({"name": "successive_halving", "resource": "cost"}, {**HALVING, "resource": "cost"}),
    (
        {"name": "hyperband", "resource": "cost", "max_resource": 1_000_000},
        {
            "resource": "cost",
            "min_resource": 1.0,
            "max_resource": 1_000_000.0,
            "reduction_factor": 3,
            "bootstrap_count": 0,
            "objective": None,
        },
    ),
]


@pytest.mark.parametrize(("spec", "settings"), FULL)
def test_defaults_are_filled_in_and_a_full_spec_stays_as_it_is(
    spec: dict[str, object], settings: dict[str, object]
) -> None:
    full = resolve(spec)
    assert full == {"name": spec["name"], **settings}
    assert resolve(json.loads(json.dumps(full))) == full


@pytest.mark.parametrize(
    ("spec", "pruner"),
    [
        ({"name": "nop"}, NopPruner()),
        ({"name": "median", "interval_steps": 3}, MedianPruner(interval_steps=3)),
        ({"name": "percentile", "percentile": 10}, PercentilePruner(percentile=10.0)),
        ({"name": "threshold", "lower": -1, "upper": -1}, ThresholdPruner(lower=-1.0, upper=-1.0)),
        ({"name": "wilcoxon", "p_threshold": 0}, WilcoxonPruner(p_threshold=0.0)),
        ({"name": "successive_halving"}, SuccessiveHalvingPruner()),
        (
            {"name": "successive_halving", "min_resource": 3, "bootstrap_count": 2},
            SuccessiveHalvingPruner(min_resource=3, bootstrap_count=2),
        ),
        (
            {"name": "successive_halving", "resource": "cost", "min_resource": 0.5},
            SuccessiveHalvingPruner(min_resource=0.5, resource=Resource.COST),
        ),
        ({"name": "patient", "patience": 0}, PatientPruner(wrapped_pruner=None, patience=0)),
        (
            {"name": "patient", "patience": 2, "wrapped_pruner": {"name": "median"}, "min_delta": 0.5},
            PatientPruner(
                wrapped_pruner=MedianPruner(),
                patience=2,
                min_delta=0.5,
            ),
        ),
    ],
)
def test_pruners_are_built_with_their_settings_and_without_the_objective(
    spec: dict[str, object], pruner: object
) -> None:
    assert build(spec) == pruner
    if spec["name"] != "nop":
        assert build({**spec, "objective": 5}, seed=7) == pruner


def test_hyperband_is_built_with_the_studys_seed_wrapped_or_not() -> None:
    spec = {"name": "hyperband", "max_resource": 27}
    brackets = [HyperbandPruner(max_resource=27, seed=3).bracket_of(number) for number in range(20)]
    built = build(spec, seed=3)
    wrapped = build({"name": "patient", "patience": 0, "wrapped_pruner": spec}, seed=3)
    assert isinstance(wrapped, PatientPruner)
    for pruner in (built, wrapped.wrapped_pruner):
        assert isinstance(pruner, HyperbandPruner)
        assert [pruner.bracket_of(number) for number in range(20)] == brackets


@pytest.mark.parametrize(
    "spec",
    [
        {"name": "successive_halving"},
        {"name": "hyperband"},
    ],
)
def test_a_spec_whose_automatic_settings_were_told_is_built_and_prunes(spec: dict[str, object]) -> None:
    peers = Trials(dict.fromkeys(range(50), dict.fromkeys(range(100), 0.0)))
    curves = [{**dict.fromkeys(range(last), 1.0), last: 2.0} for last in range(1, 100)]
    full = resolve(spec)
    automatic = build(full)
    assert isinstance(automatic, Automatic)
    assert all(decide(automatic, curve, peers) is KEEP for curve in curves)
    told = resolve({**full, **automatic.told(99)})
    settled = build(told)
    assert any(decide(settled, curve, peers).prune for curve in curves)
    assert isinstance(settled, Automatic)
    assert settled.told(99) == {}


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
            " n_startup_trials, n_warmup_steps, interval_steps, n_min_trials, objective",
        ),
        (
            {"name": "median", "interval_steps": 0},
            "/pruner/interval_steps",
            "interval_steps must lie within 1 .. 9007199254740992, got 0",
        ),
        (
            {"name": "median", "objective": 16},
            "/pruner/objective",
            "objective must lie within 0 .. 15, or null, got 16",
        ),
        (
            {"name": "nop", "objective": 0},
            "/pruner/objective",
            "the pruner 'nop' has no setting 'objective'; it has none",
        ),
        ({"name": "threshold"}, "/pruner/lower", "the pruner 'threshold' needs lower or upper"),
        (
            {"name": "threshold", "lower": 2, "upper": 1},
            "/pruner/lower",
            "lower must not exceed upper, 1.0, got 2.0",
        ),
        ({"name": "threshold", "upper": "1"}, "/pruner/upper", "upper must be a number, or null, got '1'"),
        (
            {"name": "threshold", "lower": -math.inf},
            "/pruner/lower",
            "lower must lie within -1.7976931348623157e+308 .. 1.7976931348623157e+308, or null, got -inf",
        ),
        ({"name": "patient"}, "/pruner/patience", "the pruner 'patient' needs patience"),
        (
            {"name": "patient", "patience": 1, "wrapped_pruner": "median"},
            "/pruner/wrapped_pruner",
            "wrapped_pruner must be a pruner's settings, or null, got 'median'",
        ),
        (
            {"name": "patient", "patience": 1, "wrapped_pruner": {"name": "median", "interval_steps": 0}},
            "/pruner/wrapped_pruner/interval_steps",
            "interval_steps must lie within 1 .. 9007199254740992, got 0",
        ),
        (
            {"name": "patient", "patience": 1, "wrapped_pruner": {"name": "median", "objective": 0}},
            "/pruner/wrapped_pruner/objective",
            "the pruner around it names the objective: it must be null here",
        ),
        (
            {"name": "wilcoxon", "p_threshold": 1.5},
            "/pruner/p_threshold",
            "p_threshold must lie within 0.0 .. 1.0, got 1.5",
        ),
        (
            {"name": "successive_halving", "min_resource": "automatic"},
            "/pruner/min_resource",
            "min_resource must be an integer or 'auto', got 'automatic'",
        ),
        (
            {"name": "successive_halving", "min_resource": 0},
            "/pruner/min_resource",
            "min_resource must lie within 1 .. 9007199254740992, got 0",
        ),
        (
            {"name": "successive_halving", "reduction_factor": 1},
            "/pruner/reduction_factor",
            "reduction_factor must lie within 2 .. 9007199254740992, got 1",
        ),
        (
            {"name": "successive_halving", "min_early_stopping_rate": 54},
            "/pruner/min_early_stopping_rate",
            "min_early_stopping_rate must lie within 0 .. 53, got 54",
        ),
        (
            {"name": "successive_halving", "bootstrap_count": 1},
            "/pruner/bootstrap_count",
            "a bootstrap needs to know the rungs: min_resource must be a number",
        ),
        (
            {"name": "hyperband", "bootstrap_count": 1},
            "/pruner/bootstrap_count",
            "a bootstrap needs to know the rungs: max_resource must be a number",
        ),
        (
            {"name": "hyperband", "min_resource": "auto"},
            "/pruner/min_resource",
            "min_resource must be an integer, got 'auto'",
        ),
        (
            {"name": "hyperband", "max_resource": True},
            "/pruner/max_resource",
            "max_resource must be an integer or 'auto', got True",
        ),
        (
            {"name": "hyperband", "resource": "costs", "min_resource": 0.5},
            "/pruner/resource",
            "resource must be 'step' or 'cost', got 'costs'",
        ),
        (
            {"name": "hyperband", "resource": "step", "min_resource": 0.5},
            "/pruner/min_resource",
            "min_resource must be an integer, got 0.5",
        ),
        (
            {"name": "hyperband", "resource": "cost", "min_resource": "auto"},
            "/pruner/min_resource",
            "min_resource must be a number above 0, got 'auto'",
        ),
        (
            {"name": "hyperband", "resource": "cost", "max_resource": math.inf},
            "/pruner/max_resource",
            "max_resource must be a number above 0 or 'auto', got inf",
        ),
        (
            {"name": "successive_halving", "resource": "cost", "min_resource": 0},
            "/pruner/min_resource",
            "min_resource must be a number above 0 or 'auto', got 0",
        ),
        (
            {"name": "successive_halving", "resource": "cost", "bootstrap_count": 1},
            "/pruner/bootstrap_count",
            "a bootstrap needs to know the rungs: min_resource must be a number",
        ),
        (
            {"name": "median", "resource": "cost"},
            "/pruner/resource",
            "the pruner 'median' has no setting 'resource'; there is"
            " n_startup_trials, n_warmup_steps, interval_steps, n_min_trials, objective",
        ),
    ],
)
def test_what_is_wrong_is_said_and_where(spec: dict[str, object], where: str, message: str) -> None:
    with pytest.raises(Invalid) as refused:
        resolve(spec)
    assert (refused.value.where, refused.value.message) == (where, message)
