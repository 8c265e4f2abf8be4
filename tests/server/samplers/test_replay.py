from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tpeak_server.domain.distributions import FloatDistribution, Space
from tpeak_server.domain.observations import Suggestion, View
from tpeak_server.samplers import RandomSampler, TPESampler
from tpeak_server.samplers.replay import Drawn, Outcome, not_drawn, replay
from tpeak_server.samplers.seam import Explanation, Stream

SPACE: Space = {"x": FloatDistribution(low=-1.0, high=1.0)}


class Chooses:
    """A sampler whose candidates, and scores, are given."""

    version = "chooses-1"

    def __init__(self, candidates: list[float], scores: list[float]) -> None:
        self.candidates, self.scores = candidates, scores

    def suggest(self, *_: object, **__: object) -> list[Suggestion]:
        return [self.explain().suggestion]

    def explain(self, *_: object, **__: object) -> Explanation:
        chosen = int(np.argmax(self.scores))
        return Explanation(
            suggestion=Suggestion(values={"x": self.candidates[chosen]}, origin="tpe"),
            candidates=[{"x": x} for x in self.candidates],
            scores=np.array(self.scores),
            chosen=chosen,
            good={"x": 0.5},
            bad={"x": -0.5},
        )


@pytest.fixture
def drawn(view_of: Callable[..., View], stream_of: Callable[[int], Stream]) -> Drawn:
    """A proposal of 0.25."""
    return Drawn(
        view=view_of({"x": np.empty(0)}, []),
        space=SPACE,
        pending={"x": np.empty(0)},
        stream=stream_of(0),
        values={"x": 0.25},
        version="chooses-1",
    )


def test_the_same_values_are_the_same(drawn: Drawn) -> None:
    found = replay(Chooses([0.5, 0.25], [1.0, 2.0]), drawn)
    assert (found.outcome, found.reasons, found.score, found.agrees) == (Outcome.SAME, [], 2.0, True)


def test_a_zero_of_the_other_sign_is_not_the_same(drawn: Drawn) -> None:
    found = replay(Chooses([0.0], [1.0]), replace(drawn, values={"x": -0.0}))
    assert (found.outcome, found.agrees) == (Outcome.DIFFERS, False)


def test_another_candidate_of_the_same_score_is_a_tie(drawn: Drawn) -> None:
    found = replay(Chooses([0.5, 0.25], [1.0 + 5e-10, 1.0]), drawn)
    assert (found.outcome, found.score, found.agrees) == (Outcome.TIE, 1.0, False)
    assert found.reasons == ["another candidate has the same score but for 5.0e-10"]


def test_a_better_candidate_differs(drawn: Drawn) -> None:
    found = replay(Chooses([0.5, 0.25], [2.0, 1.5]), drawn)
    assert (found.outcome, found.score) == (Outcome.DIFFERS, 1.5)
    assert found.reasons == ["the same candidates, of which another one is better by 0.5"]


def test_values_that_were_no_candidate_differ(drawn: Drawn) -> None:
    found = replay(Chooses([0.5], [2.0]), drawn)
    assert (found.outcome, found.reasons, found.score) == (Outcome.DIFFERS, ["other values were drawn"], None)


def test_values_that_are_equal_but_for_rounding_are_another_build_s(drawn: Drawn) -> None:
    found = replay(Chooses([0.25 + 1e-15], [2.0]), drawn)
    assert (found.outcome, found.reasons) == (
        Outcome.DIFFERS,
        ["equal but for rounding: it was drawn by another build"],
    )


def test_of_another_version_nothing_is_drawn(drawn: Drawn) -> None:
    found = replay(Chooses([0.25], [1.0]), replace(drawn, version="chooses-0"))
    assert (found.outcome, found.explanation) == (Outcome.OTHER_VERSION, None)
    assert found.reasons == ["drawn by chooses-0; chooses-1, which is at work now, draws otherwise"]


def test_nothing_is_claimed_where_the_history_has_changed(drawn: Drawn) -> None:
    found = replay(Chooses([0.25], [1.0]), replace(drawn, changed=["it burned"], doubtful=["it may rain"]))
    assert (found.outcome, found.reasons) == (Outcome.HISTORY_CHANGED, ["it burned", "it may rain"])
    assert found.agrees


def test_a_doubt_counts_only_where_other_values_are_drawn(drawn: Drawn) -> None:
    doubted = replace(drawn, doubtful=["it may rain"])
    assert replay(Chooses([0.25], [1.0]), doubted).outcome is Outcome.SAME
    assert replay(Chooses([0.5], [1.0]), doubted).outcome is Outcome.HISTORY_CHANGED


def test_a_sampler_without_reasons_is_asked_again(drawn: Drawn) -> None:
    sampler = RandomSampler()
    (suggestion,) = sampler.suggest(drawn.view, SPACE, drawn.pending, [drawn.stream])
    found = replay(sampler, replace(drawn, values=suggestion.values, version="random-2"))
    assert (found.outcome, found.score) == (Outcome.SAME, None)


def test_each_of_a_group_of_points_is_drawn_again_by_itself(
    drawn: Drawn, view_of: Callable[..., View], stream_of: Callable[[int], Stream]
) -> None:
    x = np.linspace(-1, 1, 30)
    sampler, view, streams = TPESampler(), view_of({"x": x}, x**2), [stream_of(number) for number in range(20)]
    suggestions = sampler.suggest(view, SPACE, drawn.pending, streams)
    for number, suggestion in enumerate(suggestions):
        before = np.array([other.values["x"] for other in suggestions[:number]])
        own = replace(
            drawn,
            view=view,
            pending={"x": before},
            stream=streams[number],
            values=suggestion.values,
            version=sampler.version,
        )
        assert replay(TPESampler(), own).outcome is Outcome.SAME


def test_what_no_sampler_drew_has_a_reason() -> None:
    assert not_drawn("it was added").outcome is Outcome.NOT_DRAWN
    assert not_drawn("it was added").reasons == ["it was added"]
