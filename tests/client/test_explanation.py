import dataclasses

import pytest

from tpeak.errors import TrialNotFound
from tpeak.explanation import Density, Late, Neighbour

EXPLAIN = "/studies/s1/trials/7/explain"


def test_an_explanation_is_what_the_server_says(study, server, explanation_row):
    server.on("GET", EXPLAIN, explanation_row())
    found = study.explain(7)
    assert (found.number, found.origin, found.version, found.outcome) == (7, "tpe", "tpe-1", "same")
    assert (found.seen, found.pending, found.candidates, found.score) == (11, 2, 24, 1.25)
    assert found.params == {"x": 0.25, "depth": 3}
    assert found.densities == {"x": Density(good=0.5, bad=float("-inf"))}
    assert found.late == {"depth": Late(origin="sampled", given=("x",))}
    assert found.nearest == (
        Neighbour(number=4, state="complete", values=(0.5,), params={"x": 0.5}, distance=0.25),
        Neighbour(number=5, state="pruned", values=None, params={"x": 0.75}, distance=0.5),
    )
    assert (found.reasons, found.notes) == ((), ("deleted since: trial 2",))


def test_an_explanation_stays_as_it_is(study, server, explanation_row):
    server.on("GET", EXPLAIN, explanation_row(score=None))
    found = study.explain(7)
    assert found.score is None
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.score = 1.0


def test_a_trial_that_is_not_there_has_none(study, server, refusal):
    server.on("GET", EXPLAIN, refusal(404, "trial_not_found"))
    with pytest.raises(TrialNotFound):
        study.explain(7)
