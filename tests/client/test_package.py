import inspect
import subprocess
import sys

import optuna
import pytest

import tpeak

UNSUPPORTED = {
    "create_trial": {"system_attrs"},
}

LOOSER = {
    ("load_study", "storage"),
    ("delete_study", "storage"),
    ("get_all_study_names", "storage"),
    ("TPESampler.__init__", "n_ei_candidates"),
}
"""Where tpeak finds by itself what Optuna must be given, or has by itself."""

RULES = (
    *("MedianPruner", "PercentilePruner", "ThresholdPruner", "PatientPruner", "WilcoxonPruner"),
    *("SuccessiveHalvingPruner", "HyperbandPruner"),
)
"""The pruners that have settings."""

OWN = {
    "create_study": [
        *("max_trials", "timeout", "lease_seconds", "max_attempts", "space", "user_attrs", "tags", "note"),
        *("max_host_failures", "late_results", "stop_when", "warm_start"),
    ],
    "Study.ask": ["wall_time", "resumable"],
    "Study.tell": ["constraints"],
    "Study.optimize": ["executor", "retry_on", "wall_time", "resumable"],
    "TPESampler.__init__": ["reference", "categorical_distance", "deduplicate"],
    "RandomSampler.__init__": ["deduplicate"],
    "GPSampler.__init__": ["deduplicate"],
    **{f"{name}.__init__": ["objective"] for name in RULES},
    **{f"{name}.__init__": ["objective", "resource"] for name in ("SuccessiveHalvingPruner", "HyperbandPruner")},
    "Trial.report": ["cost"],
    "FrozenTrial.report": ["cost"],
}

STUDY = ("ask", "tell", "optimize", "enqueue_trial", "add_trial", "add_trials", "get_trials", "set_user_attr", "stop")
SUGGEST = ("suggest_float", "suggest_int", "suggest_categorical")
TRIAL = (*SUGGEST, "report", "should_prune", "set_user_attr", "set_constraint")

MIRRORED = [
    *(
        (name, getattr(optuna, name), getattr(tpeak, name))
        for name in ("create_study", "load_study", "delete_study", "get_all_study_names", "create_trial")
    ),
    *((f"Study.{name}", getattr(optuna.Study, name), getattr(tpeak.Study, name)) for name in (STUDY)),
    *(
        (f"{theirs.__name__}.{name}", getattr(theirs, name), getattr(ours, name))
        for theirs, ours in ((optuna.Trial, tpeak.Trial), (optuna.trial.FrozenTrial, tpeak.FrozenTrial))
        for name in TRIAL
    ),
    *(
        (f"{name}.__init__", getattr(optuna.distributions, name).__init__, getattr(tpeak.distributions, name).__init__)
        for name in ("FloatDistribution", "IntDistribution", "CategoricalDistribution")
    ),
    *(
        (f"{name}.__init__", getattr(optuna.samplers, name).__init__, getattr(tpeak.samplers, name).__init__)
        for name in (
            *("TPESampler", "RandomSampler", "GridSampler", "BruteForceSampler", "QMCSampler"),
            *("PartialFixedSampler", "GPSampler", "CmaEsSampler", "NSGAIISampler"),
        )
    ),
    *(
        (f"{name}.__init__", getattr(optuna.pruners, name).__init__, getattr(tpeak.pruners, name).__init__)
        for name in RULES
    ),
]


def test_what_belongs_to_trials_is_found_where_optuna_has_it():
    for name in ("Trial", "FrozenTrial", "TrialState", "create_trial"):
        assert hasattr(optuna.trial, name)
        assert getattr(tpeak.trial, name) is getattr(tpeak, name)


@pytest.mark.parametrize(("name", "theirs", "ours"), MIRRORED, ids=[name for name, _, _ in MIRRORED])
def test_parameters_have_optunas_names_order_kinds_and_defaults(name, theirs, ours):
    wanted = [
        (each.name, each.kind, inspect.Parameter.empty if (name, each.name) in LOOSER else each.default)
        for each in inspect.signature(theirs).parameters.values()
        if each.name not in UNSUPPORTED.get(name, ())
    ]
    if name == "create_trial":  # an enumeration's member of the same name
        wanted[0] = ("state", wanted[0][1], tpeak.TrialState[wanted[0][2].name])
    got = [
        (each.name, each.kind, inspect.Parameter.empty if (name, each.name) in LOOSER else each.default)
        for each in inspect.signature(ours).parameters.values()
    ]
    assert got[: len(wanted)] == wanted
    assert [each[0] for each in got[len(wanted) :]] == OWN.get(name, [])


PROPERTIES = {
    tpeak.Study: "best_params best_trial best_trials best_value direction directions trials user_attrs study_name",
    tpeak.Trial: "number params distributions user_attrs constraints datetime_start",
    tpeak.FrozenTrial: "value last_step duration",
}


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, names in PROPERTIES.items() for name in names.split()]
)
def test_properties_are_there(kind, name):
    assert isinstance(getattr(kind, name), property)


def test_all_public_names_are_there_and_sorted():
    assert [name for name in tpeak.__all__ if not hasattr(tpeak, name)] == []
    assert len(tpeak.__all__) == len(set(tpeak.__all__))


def test_importing_tpeak_imports_nothing_heavy():
    heavy = ("httpx", "numpy", "asyncio", "tpeak_server", "pydantic")
    program = f"import sys, tpeak; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
