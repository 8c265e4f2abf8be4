import math
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tpeak_server.domain.distributions import (
    MAX_EXACT_INT,
    CategoricalDistribution,
    Distribution,
    FloatDistribution,
    IntDistribution,
    Space,
)
from tpeak_server.domain.observations import Floats, Outcome, Suggestion, Tries, View
from tpeak_server.samplers import RandomSampler, TPESampler
from tpeak_server.samplers.auto import AutoSampler
from tpeak_server.samplers.latin import draw_latin
from tpeak_server.samplers.seam import Stream

pytestmark = pytest.mark.filterwarnings("error")

Columns = Callable[..., dict[str, Floats]]
Views = Callable[..., View]
Streams = Callable[[int], Stream]
Allows = Callable[[Distribution, float], bool]

DISTRIBUTIONS: list[Distribution] = [
    FloatDistribution(low=-3, high=5),
    FloatDistribution(low=1e-6, high=1e6, log=True),
    FloatDistribution(low=0, high=1, step=0.1),
    FloatDistribution(low=2.5, high=2.5),
    FloatDistribution(low=-8e307, high=9e307),
    FloatDistribution(low=1e10, high=math.nextafter(1e10, math.inf), log=True),
    IntDistribution(low=0, high=1),
    IntDistribution(low=-5, high=100, step=7),
    IntDistribution(low=1, high=1000, log=True),
    IntDistribution(low=-MAX_EXACT_INT, high=MAX_EXACT_INT, step=3),
    IntDistribution(low=1, high=MAX_EXACT_INT, log=True),
    IntDistribution(low=MAX_EXACT_INT - 100, high=MAX_EXACT_INT, log=True),
    CategoricalDistribution(choices=("only",)),
    CategoricalDistribution(choices=("a", "b", "c")),
    CategoricalDistribution(choices=tuple(range(1000))),
]
SPACE: Space = {
    "x": FloatDistribution(low=-3, high=5),
    "rate": FloatDistribution(low=1e-6, high=1, log=True),
    "layers": IntDistribution(low=1, high=9),
    "solver": CategoricalDistribution(choices=("adam", "sgd", "lion")),
}
LOSSES = st.one_of(st.floats(-10, 10), st.sampled_from([math.nan, math.inf, -math.inf, 1e308]))


@st.composite
def spaces(draw: st.DrawFn) -> dict[str, Distribution]:
    chosen = draw(st.lists(st.sampled_from(DISTRIBUTIONS), min_size=1, max_size=5))
    return {f"p{index}": distribution for index, distribution in enumerate(chosen)}


def nothing(space: Space) -> dict[str, Floats]:
    return {name: np.empty(0) for name in space}


def appended(pending: Mapping[str, Floats], values: Mapping[str, float]) -> dict[str, Floats]:
    return {name: np.append(column, values.get(name, np.nan)) for name, column in pending.items()}


@settings(max_examples=150, deadline=None)
@given(spaces(), st.lists(LOSSES, min_size=0, max_size=40), st.floats(0, 1), st.integers(0, 4), st.integers(0, 999))
def test_suggestions_are_in_the_range_and_on_the_grid(
    view_of: Views,
    columns_of: Columns,
    stream_of: Streams,
    allows: Allows,
    space: Space,
    losses: list[float],
    missing: float,
    running: int,
    seed: int,
) -> None:
    view = view_of(columns_of(space, len(losses), seed=seed, missing=missing), losses)
    pending = columns_of(space, running, seed=seed + 1, missing=missing)
    drawn = TPESampler(n_startup_trials=0).suggest(view, space, pending, [stream_of(seed), stream_of(seed + 1)])
    assert [suggestion.origin for suggestion in drawn] == ["tpe", "tpe"]
    for suggestion in drawn:
        assert suggestion.values.keys() == space.keys()
        assert all(allows(space[name], value) for name, value in suggestion.values.items())


@settings(max_examples=40, deadline=None)
@given(spaces(), st.integers(0, 60), st.floats(0, 1), st.integers(0, 4), st.integers(0, 999))
def test_a_batch_equals_a_sequence_that_puts_the_earlier_ones_into_pending(
    view_of: Views,
    columns_of: Columns,
    stream_of: Streams,
    space: Space,
    count: int,
    missing: float,
    running: int,
    seed: int,
) -> None:
    view = view_of(columns_of(space, count, seed=seed, missing=missing), np.random.default_rng(seed).normal(size=count))
    pending = columns_of(space, running, seed=seed + 1)
    batch = TPESampler().suggest(view, space, pending, [stream_of(number) for number in range(3)])
    for number, expected in enumerate(batch):
        alone = TPESampler().suggest(view, space, pending, [stream_of(number)])
        assert alone == [expected]
        pending = appended(pending, expected.values)


def test_a_batch_in_a_space_that_is_almost_used_up_equals_a_sequence_as_well(
    view_of: Views, stream_of: Streams
) -> None:
    space: Space = {"depth": IntDistribution(low=0, high=29)}
    view = view_of({"depth": np.arange(0.0, 28.0, 2.0)}, np.arange(14.0))
    batch = TPESampler().suggest(view, space, nothing(space), [stream_of(number) for number in range(16)])
    pending = nothing(space)
    for number, expected in enumerate(batch):
        assert TPESampler().suggest(view, space, pending, [stream_of(number)]) == [expected]
        pending = appended(pending, expected.values)


@pytest.mark.parametrize(("complete", "pruned", "lost", "origin"), [(9, 0, 5, "startup"), (6, 4, 0, "tpe")])
def test_startup_lasts_until_enough_trials_are_complete_or_pruned(
    view_of: Views, columns_of: Columns, stream_of: Streams, complete: int, pruned: int, lost: int, origin: str
) -> None:
    outcome = complete * [Outcome.COMPLETE] + pruned * [Outcome.PRUNED] + lost * [Outcome.LOST]
    view = view_of(columns_of(SPACE, len(outcome)), np.zeros(len(outcome)), outcome=outcome)
    drawn = TPESampler().suggest(view, SPACE, nothing(SPACE), [stream_of(0)])
    assert drawn[0].origin == origin


def test_startup_points_are_a_latin_hypercube_of_as_many_points(view_of: Views, stream_of: Streams) -> None:
    streams = [stream_of(number) for number in range(8)]
    startup = TPESampler(n_startup_trials=8).suggest(view_of(nothing(SPACE), []), SPACE, nothing(SPACE), streams)
    assert startup == draw_latin(SPACE, streams, {}, 8, origin="startup")
    assert sorted(int(one.values["x"] + 3) for one in startup) == list(range(8))


def test_the_references_startup_points_are_those_of_the_random_sampler(view_of: Views, stream_of: Streams) -> None:
    streams = [stream_of(0), stream_of(1)]
    view = view_of(nothing(SPACE), [])
    random = RandomSampler().suggest(view, SPACE, nothing(SPACE), streams)
    startup = TPESampler(reference="optuna5").suggest(view, SPACE, nothing(SPACE), streams)
    assert startup == [Suggestion(values=suggestion.values, origin="startup") for suggestion in random]


def test_a_branch_is_chosen_by_itself_however_well_another_one_is_known(view_of: Views, stream_of: Streams) -> None:
    space: Space = {
        "branch": CategoricalDistribution(choices=("known", "better")),
        "x": FloatDistribution(low=0, high=1),
        "y": FloatDistribution(low=0, high=1),
    }
    rng = np.random.default_rng(0)
    branch = np.arange(100) % 2.0
    x, y = rng.random(100), rng.random(100)
    loss = 1.0 + rng.random(100)
    # Ten are good: four of the one branch, which lie together, and six of the other one, anywhere.
    x[[0, 20, 40, 60]] = 0.5
    loss[[0, 20, 40, 60, 1, 15, 31, 47, 63, 79]] = 0.0
    x[branch == 1], y[branch == 0] = np.nan, np.nan
    view = view_of({"branch": branch, "x": x, "y": y}, loss)
    drawn = TPESampler().suggest(view, space, nothing(space), [stream_of(number) for number in range(10)])
    assert drawn[0].values["branch"] == 1.0
    # Those under way count against a branch.
    assert {one.values["branch"] for one in drawn} == {0.0, 1.0}


def test_with_distances_a_good_choice_speaks_for_its_neighbours(view_of: Views) -> None:
    space: Space = {"size": CategoricalDistribution(choices=tuple(range(50)))}
    tried = np.arange(0.0, 50.0, 2.0)
    view = view_of({"size": tried}, np.abs(tried - 20))
    untried = {"size": np.array([19.0, 21.0, 45.0])}

    def scores(sampler: TPESampler) -> list[float]:
        return sampler.log_ratio(view, space, nothing(space), untried).tolist()

    without = scores(TPESampler())
    assert without == pytest.approx([without[0]] * 3)
    below, above, far = scores(TPESampler(categorical_distance={"size": "ordered"}))
    assert min(below, above) > far + 0.5
    of_other_choices = {"size": [[0.0, 1.0], [1.0, 0.0]]}
    assert scores(TPESampler(categorical_distance=of_other_choices)) == pytest.approx(without)


def test_neither_the_memo_nor_other_threads_change_a_suggestion(
    view_of: Views, columns_of: Columns, stream_of: Streams
) -> None:
    views = [view_of(columns_of(SPACE, 20 + i, seed=i), np.arange(20 + i)) for i in range(8)]
    asked = [(views[i % 8], i) for i in range(64)]
    sampler = TPESampler()
    with ThreadPoolExecutor(8) as pool:
        shared = list(pool.map(lambda ask: sampler.suggest(ask[0], SPACE, nothing(SPACE), [stream_of(ask[1])]), asked))
    alone = [TPESampler().suggest(view, SPACE, nothing(SPACE), [stream_of(number)]) for view, number in asked]
    assert shared == alone


def test_one_view_serves_several_spaces(view_of: Views, columns_of: Columns, stream_of: Streams) -> None:
    sampler, view = TPESampler(), view_of(columns_of(SPACE, 20), np.arange(20))
    wider = {**SPACE, "x": FloatDistribution(low=-300, high=500)}
    for space in (SPACE, wider, SPACE):
        expected = TPESampler().suggest(view, space, nothing(space), [stream_of(0)])
        assert sampler.suggest(view, space, nothing(space), [stream_of(0)]) == expected


def test_the_order_of_names_in_the_space_changes_nothing(
    view_of: Views, columns_of: Columns, stream_of: Streams
) -> None:
    view = view_of(columns_of(SPACE, 20), np.arange(20))
    backwards = dict(reversed(SPACE.items()))
    assert TPESampler().suggest(view, SPACE, nothing(SPACE), [stream_of(0)]) == TPESampler().suggest(
        view, backwards, nothing(SPACE), [stream_of(0)]
    )


def test_affine_changes_of_the_objective_change_nothing(
    view_of: Views, columns_of: Columns, stream_of: Streams
) -> None:
    columns, losses = columns_of(SPACE, 30), np.random.default_rng(0).normal(size=30)
    first, second = (view_of(columns, values) for values in (losses, 1000 * losses - 7))
    assert TPESampler().suggest(first, SPACE, nothing(SPACE), [stream_of(0)]) == TPESampler().suggest(
        second, SPACE, nothing(SPACE), [stream_of(0)]
    )


def test_suggestions_gather_where_losses_are_small(view_of: Views, columns_of: Columns, stream_of: Streams) -> None:
    columns = columns_of(SPACE, 200)
    loss = (columns["x"] - 1) ** 2 + (np.log10(columns["rate"]) + 3) ** 2 + 5 * (columns["solver"] != 2)
    view, sampler = view_of(columns, loss), TPESampler()
    values = [sampler.suggest(view, SPACE, nothing(SPACE), [stream_of(i)])[0].values for i in range(40)]
    # Uniform points are at 2.0, 1.5 and 1/3.
    assert np.median([abs(value["x"] - 1) for value in values]) < 1.3
    assert np.median([abs(math.log10(value["rate"]) + 3) for value in values]) < 1.0
    assert np.mean([value["solver"] == 2 for value in values]) > 0.8


def test_pending_trials_keep_others_away(view_of: Views, columns_of: Columns, stream_of: Streams) -> None:
    space: Space = {"x": FloatDistribution(low=0, high=1)}
    columns = columns_of(space, 100)
    view, sampler = view_of(columns, np.abs(columns["x"] - 0.2)), TPESampler()
    near = []
    for pending in (nothing(space), {"x": np.full(20, 0.2)}):
        drawn = [sampler.suggest(view, space, pending, [stream_of(i)])[0].values["x"] for i in range(30)]
        near.append(sum(abs(x - 0.2) < 0.02 for x in drawn))
    assert near[0] >= 25
    assert near[1] <= 5


def test_names_are_drawn_conditionally_on_the_fixed_ones(
    view_of: Views, columns_of: Columns, stream_of: Streams
) -> None:
    space: Space = {
        "branch": CategoricalDistribution(choices=("left", "right")),
        "x": FloatDistribution(low=0, high=1),
    }
    columns = columns_of(space, 200)
    view = view_of(columns, np.abs(columns["x"] - np.where(columns["branch"] == 0, 0.1, 0.9)))
    for branch, best in ((0.0, 0.1), (1.0, 0.9)):
        streams = [stream_of(i) for i in range(30)]
        drawn = TPESampler().suggest(view, space, nothing(space), streams, fixed={"branch": branch})
        assert all(suggestion.values.keys() == {"x"} for suggestion in drawn)
        assert sum(abs(suggestion.values["x"] - best) < 0.25 for suggestion in drawn) >= 25


@pytest.mark.parametrize("sampler", [TPESampler(), AutoSampler()], ids=["tpe", "auto"])
def test_points_are_cheaper_together_once_the_model_is_fitted(
    view_of: Views, columns_of: Columns, stream_of: Streams, sampler: TPESampler | AutoSampler
) -> None:
    view = view_of(columns_of(SPACE, 300), np.arange(300))
    assert not sampler.batches(view, SPACE)
    sampler.suggest(view, SPACE, nothing(SPACE), [stream_of(0)])
    assert sampler.batches(view, SPACE)


def test_points_are_no_cheaper_together_where_one_choice_decides_which_parameters_there_are(
    view_of: Views, columns_of: Columns, stream_of: Streams
) -> None:
    columns = columns_of(SPACE, 300)
    columns["rate"][columns["solver"] != 0] = np.nan
    view, sampler = view_of(columns, np.arange(300)), TPESampler()
    sampler.suggest(view, SPACE, nothing(SPACE), [stream_of(0)])
    assert not sampler.batches(view, SPACE)


def test_points_are_no_cheaper_together_where_each_may_be_replaced(
    view_of: Views, columns_of: Columns, stream_of: Streams
) -> None:
    view = replace(view_of(columns_of(SPACE, 300), np.arange(300)), tried=Tries(trials={}, ranges={}))
    sampler = TPESampler(deduplicate=False)
    sampler.suggest(view, SPACE, nothing(SPACE), [stream_of(0)])
    assert not sampler.batches(view, SPACE)


def test_a_fixed_value_out_of_the_range_conditions_nothing(
    view_of: Views, columns_of: Columns, stream_of: Streams
) -> None:
    view = view_of(columns_of(SPACE, 30), np.arange(30))
    drawn = TPESampler().suggest(view, SPACE, nothing(SPACE), [stream_of(0)], fixed={"x": 99.0, "other": 1.0})
    assert drawn[0].values.keys() == {"rate", "layers", "solver"}


def test_a_new_parameter_is_drawn_over_its_whole_range(view_of: Views, columns_of: Columns, stream_of: Streams) -> None:
    view = view_of(columns_of(SPACE, 50), np.arange(50))
    space = {**SPACE, "new": IntDistribution(low=0, high=3)}
    fixed = {"x": 0.0, "rate": 0.1, "layers": 3.0, "solver": 1.0}
    streams = [[stream_of(i)] for i in range(60)]
    drawn = [TPESampler().suggest(view, space, nothing(space), stream, fixed=fixed)[0].values for stream in streams]
    assert {values["new"] for values in drawn} == {0.0, 1.0, 2.0, 3.0}


def test_trials_of_a_wider_range_still_teach_the_other_parameters(
    view_of: Views, columns_of: Columns, stream_of: Streams
) -> None:
    wide: Space = {"x": FloatDistribution(low=0, high=100), "y": FloatDistribution(low=0, high=1)}
    columns = columns_of(wide, 200)
    view = view_of(columns, np.abs(columns["y"] - 0.8))
    narrow: Space = {**wide, "x": FloatDistribution(low=0, high=1)}
    drawn = TPESampler().suggest(view, narrow, nothing(narrow), [stream_of(i) for i in range(20)])
    assert np.median([abs(suggestion.values["y"] - 0.8) for suggestion in drawn]) < 0.15


def test_an_empty_space_gives_an_empty_point(view_of: Views, stream_of: Streams) -> None:
    for count in (0, 20):
        drawn = TPESampler().suggest(view_of({}, np.zeros(count)), {}, {}, [stream_of(0), stream_of(1)])
        assert [suggestion.values for suggestion in drawn] == [{}, {}]


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf, 0.0])
def test_equal_losses_of_any_kind_are_no_obstacle(
    view_of: Views, columns_of: Columns, stream_of: Streams, loss: float, allows: Allows
) -> None:
    view = view_of(columns_of(SPACE, 30), np.full(30, loss))
    drawn = TPESampler().suggest(view, SPACE, nothing(SPACE), [stream_of(0)])
    assert all(allows(SPACE[name], value) for name, value in drawn[0].values.items())


def test_several_objectives_are_no_obstacle(view_of: Views, columns_of: Columns, stream_of: Streams) -> None:
    columns = columns_of(SPACE, 100)
    view = view_of(columns, np.stack([columns["x"] ** 2, (columns["x"] - 2) ** 2], axis=1))
    drawn = TPESampler().suggest(view, SPACE, nothing(SPACE), [stream_of(i) for i in range(20)])
    assert np.mean([-0.5 < suggestion.values["x"] < 2.5 for suggestion in drawn]) > 0.8


def test_five_hundred_parameters_are_no_obstacle(
    view_of: Views, columns_of: Columns, stream_of: Streams, allows: Allows
) -> None:
    space = {f"p{i}": DISTRIBUTIONS[i % len(DISTRIBUTIONS)] for i in range(500)}
    view = view_of(columns_of(space, 40, missing=0.1), np.arange(40))
    drawn = TPESampler().suggest(view, space, columns_of(space, 3, seed=1), [stream_of(0), stream_of(1)])
    assert all(allows(space[name], value) for name, value in drawn[1].values.items())
