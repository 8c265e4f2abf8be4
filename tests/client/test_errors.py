import pickle
import re

import pytest

import tpeak
from tpeak import errors
from tpeak.errors import TpeakError


def tree(kind: type[TpeakError]) -> list[type[TpeakError]]:
    return [kind, *(each for narrower in kind.__subclasses__() for each in tree(narrower))]


def test_the_docstring_shows_the_whole_tree():
    shown = re.findall(r"[A-Z]\w+(?= |$)", errors.__doc__.split("\n\n")[1].replace("DuplicatedStudyError", ""), re.M)
    names = [name for name in shown if name not in ("KeyError", "ValueError")]
    assert names == [kind.__name__ for kind in tree(TpeakError)]


def test_no_code_is_there_twice():
    codes = [kind.code for kind in tree(TpeakError) if "code" in vars(kind) and kind.code is not None]
    assert len(codes) == len(set(codes))


def test_messages_are_shown_plainly_even_by_key_errors():
    assert str(errors.StudyNotFound("no study 'x'")) == "no study 'x'"
    assert str(errors.InvalidValue("too large", where="/values/0")) == "too large (at /values/0)"


def test_errors_are_those_that_optuna_users_catch():
    assert issubclass(errors.StudyNotFound, KeyError)
    assert issubclass(errors.NoCompleteTrial, ValueError)
    assert issubclass(errors.AlreadyFinished, ValueError)
    assert issubclass(errors.InvalidDistribution, ValueError)
    assert tpeak.exceptions.DuplicatedStudyError is tpeak.StudyExists
    assert tpeak.exceptions.TrialPruned is tpeak.TrialPruned


@pytest.mark.parametrize("kind", tree(TpeakError))
def test_errors_come_back_from_process_pools(kind):
    error = pickle.loads(pickle.dumps(kind("gone")))
    assert type(error) is kind
    assert str(error) == "gone"
