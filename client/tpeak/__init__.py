"""tpeak: hyperparameter optimization from a server; this is the thin client, with Optuna's names."""

from tpeak import distributions, errors, exceptions, pruners, samplers
from tpeak._version import __version__
from tpeak.catalog import (
    cancel_study,
    create_study,
    delete_study,
    get_all_study_names,
    load_study,
    pause_study,
    resume_study,
    stop_study,
)
from tpeak.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from tpeak.errors import (
    AlreadyFinished,
    DuplicatedStudyError,
    InvalidDistribution,
    InvalidValue,
    LeaseLost,
    NoTrialYet,
    Preempted,
    ServerUnreachable,
    StudyExists,
    StudyFinished,
    StudyNotFound,
    TpeakError,
    TrialPruned,
    Unauthorized,
)
from tpeak.explanation import Explanation
from tpeak.frozen import FrozenTrial, create_trial
from tpeak.prune_replay import PruneReplay
from tpeak.states import StudyDirection, TrialState
from tpeak.stopping import StopWhen
from tpeak.study import Study
from tpeak.trial import Checkpoint, Trial
from tpeak.warm import WarmStart

__all__ = [
    "AlreadyFinished",
    "CategoricalDistribution",
    "Checkpoint",
    "DuplicatedStudyError",
    "Explanation",
    "FloatDistribution",
    "FrozenTrial",
    "IntDistribution",
    "InvalidDistribution",
    "InvalidValue",
    "LeaseLost",
    "NoTrialYet",
    "Preempted",
    "PruneReplay",
    "ServerUnreachable",
    "StopWhen",
    "Study",
    "StudyDirection",
    "StudyExists",
    "StudyFinished",
    "StudyNotFound",
    "TpeakError",
    "Trial",
    "TrialPruned",
    "TrialState",
    "Unauthorized",
    "WarmStart",
    "__version__",
    "cancel_study",
    "create_study",
    "create_trial",
    "delete_study",
    "distributions",
    "errors",
    "exceptions",
    "get_all_study_names",
    "load_study",
    "pause_study",
    "pruners",
    "resume_study",
    "samplers",
    "stop_study",
]
