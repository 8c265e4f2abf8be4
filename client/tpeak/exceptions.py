"""tpeak.errors under Optuna's name."""

from tpeak.errors import DuplicatedStudyError, TpeakError, TrialPruned

__all__ = ["DuplicatedStudyError", "TpeakError", "TrialPruned"]
