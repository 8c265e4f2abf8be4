from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tpeak_server.domain.distributions import CategoricalDistribution, FloatDistribution, IntDistribution, Space
from tpeak_server.domain.errors import InvalidValue
from tpeak_server.domain.observations import View
from tpeak_server.samplers import build
from tpeak_server.samplers.replay import Drawn, Outcome, replay
from tpeak_server.samplers.seam import Counts, Labours, Stream, innermost, walks

SPACE: Space = {
    "x": FloatDistribution(low=-1.0, high=1.0),
    "layers": IntDistribution(low=1, high=9),
    "solver": CategoricalDistribution(choices=("adam", "sgd")),
}
NOTHING = {name: np.empty(0) for name in SPACE}


def partial(base: dict[str, Any], **fixed: Any) -> Any:
    return build({"name": "partial_fixed", "fixed_params": fixed, "base_sampler": base})


@pytest.fixture
def view(view_of: Callable[..., View], columns_of: Callable[..., Any]) -> View:
    columns = columns_of(SPACE, 30)
    return view_of(columns, columns["x"] ** 2 + columns["layers"])


@pytest.mark.parametrize("base", [{"name": "tpe"}, {"name": "random"}, {"name": "qmc"}], ids=lambda base: base["name"])
def test_the_others_are_drawn_by_the_other_sampler_in_sight_of_the_fixed_ones(view: View, base: dict[str, Any]) -> None:
    streams = [Stream(1, number) for number in range(30, 36)]
    drawn = partial(base, solver="sgd", layers=3).suggest(view, SPACE, NOTHING, streams)
    alone = build(base).suggest(view, SPACE, NOTHING, streams, fixed={"solver": 1.0, "layers": 3.0})
    assert [one.values for one in drawn] == [{**one.values, "solver": 1.0, "layers": 3.0} for one in alone]
    assert len({one.values["x"] for one in drawn}) == 6


def test_what_is_not_in_the_space_yet_is_given_for_later(view: View) -> None:
    (drawn,) = partial({"name": "tpe"}, momentum=0.5, layers=3).suggest(view, SPACE, NOTHING, [Stream(1, 30)])
    assert (drawn.values["layers"], drawn.fixed) == (3.0, {"momentum": 0.5})


def test_a_fixed_parameter_that_comes_late_is_what_it_is_fixed_to(view: View) -> None:
    sampler, stream = partial({"name": "tpe"}, layers=30), Stream(1, 30, "layers")
    (drawn,) = sampler.suggest(view, SPACE, NOTHING, [stream], fixed={"x": 0.5})
    assert drawn.values == {"layers": 30.0}
    with pytest.raises(InvalidValue, match="an int parameter needs an integer, got 'many'"):
        partial({"name": "tpe"}, layers="many").suggest(view, SPACE, NOTHING, [stream])


def test_a_late_parameter_that_is_not_fixed_is_the_other_sampler_s(view: View) -> None:
    stream, given = Stream(1, 30, "x"), {"layers": 3.0}
    (drawn,) = partial({"name": "tpe"}, layers=3).suggest(view, SPACE, NOTHING, [stream], fixed=given)
    (alone,) = build({"name": "tpe"}).suggest(view, SPACE, NOTHING, [stream], fixed=given)
    assert drawn.values == alone.values


def test_what_means_nothing_in_the_space_is_left_for_who_asks_for_it(view: View) -> None:
    (drawn,) = partial({"name": "random"}, solver="lbfgs").suggest(view, SPACE, NOTHING, [Stream(1, 30)])
    assert (drawn.values.keys(), drawn.fixed) == ({"x", "layers"}, {"solver": "lbfgs"})


@pytest.mark.parametrize("base", [{"name": "tpe"}, {"name": "random"}, {"name": "qmc"}], ids=lambda base: base["name"])
def test_a_proposal_is_drawn_again_and_explained(view: View, base: dict[str, Any]) -> None:
    sampler, stream = partial(base, layers=3), Stream(1, 30)
    (drawn,) = sampler.suggest(view, SPACE, NOTHING, [stream])
    stored = Drawn(view=view, space=SPACE, pending=NOTHING, stream=stream, values=drawn.values, version=sampler.version)
    found = replay(partial(base, layers=3), stored)
    assert found.outcome is Outcome.SAME
    assert found.explanation is not None
    assert (len(found.explanation.candidates) > 0) == (base["name"] == "tpe")
    assert all(candidate["layers"] == 3.0 for candidate in found.explanation.candidates)


def test_partly_fixed_samplers_nest(view: View) -> None:
    inner = {"name": "partial_fixed", "fixed_params": {"layers": 2, "x": 0.25}, "base_sampler": {"name": "random"}}
    (drawn,) = partial(inner, layers=3).suggest(view, SPACE, NOTHING, [Stream(1, 30)])
    assert (drawn.values["layers"], drawn.values["x"]) == (3.0, 0.25)


def test_it_walks_if_the_other_one_does() -> None:
    assert walks(partial({"name": "brute_force"}, x=1))
    assert walks(partial({"name": "grid", "search_space": {"y": [1]}}, x=1))
    assert not walks(partial({"name": "tpe"}, x=1))


def test_what_it_counts_and_how_long_it_takes_are_the_other_sampler_s() -> None:
    inner = {"name": "partial_fixed", "fixed_params": {"x": 0.5}, "base_sampler": {"name": "nsgaii"}}
    assert isinstance(innermost(partial(inner, layers=3)), Counts)
    assert isinstance(innermost(partial({"name": "gp"}, layers=3)), Labours)
    assert not isinstance(innermost(partial({"name": "tpe"}, layers=3)), Counts | Labours)
