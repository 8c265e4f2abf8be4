from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tpeak_server.domain.distributions import FloatDistribution, Space
from tpeak_server.domain.observations import Floats, Outcome, Reports, View, Warm
from tpeak_server.samplers.auto import AutoSampler
from tpeak_server.samplers.gp import GPSampler
from tpeak_server.samplers.seam import Stream
from tpeak_server.samplers.tpe import TPESampler

Columns = Callable[..., dict[str, Floats]]
Views = Callable[..., View]
Streams = Callable[[int], Stream]

PLANE: Space = {"x": FloatDistribution(low=-5, high=5), "y": FloatDistribution(low=-5, high=5)}


@pytest.mark.parametrize(
    ("trials", "sampler", "origin"),
    [
        (3, GPSampler(), "startup"),
        (20, GPSampler(), "gp (few trials)"),
        (250, GPSampler(), "gp (few trials)"),
        (251, TPESampler(), "tpe (many trials)"),
    ],
)
def test_few_trials_are_a_gaussian_processs_and_many_tpes(
    view_of: Views,
    columns_of: Columns,
    stream_of: Streams,
    trials: int,
    sampler: GPSampler | TPESampler,
    origin: str,
) -> None:
    columns = columns_of(PLANE, trials)
    view, nothing = view_of(columns, columns["x"] ** 2), {name: np.empty(0) for name in PLANE}
    (found,) = AutoSampler().suggest(view, PLANE, nothing, [stream_of(trials)])
    (alone,) = sampler.suggest(view, PLANE, nothing, [stream_of(trials)])
    assert (found.values, found.origin) == (alone.values, origin)
    assert AutoSampler().explain(view, PLANE, nothing, stream_of(trials)).suggestion == found


def test_many_parameters_make_fewer_trials_many(view_of: Views, columns_of: Columns, stream_of: Streams) -> None:
    space: Space = {f"x{k}": FloatDistribution(low=0, high=1) for k in range(50)}
    columns = columns_of(space, 101)
    view, nothing = view_of(columns, columns["x0"]), {name: np.empty(0) for name in space}
    (found,) = AutoSampler().suggest(view, space, nothing, [stream_of(101)])
    assert found.origin == "tpe (many trials)"


def test_where_very_many_run_tpe_keeps_them_apart(view_of: Views, columns_of: Columns, stream_of: Streams) -> None:
    columns = columns_of(PLANE, 20)
    view, running = view_of(columns, columns["x"] ** 2), columns_of(PLANE, 251, seed=1)
    (found,) = AutoSampler().suggest(view, PLANE, running, [stream_of(271)])
    assert found.origin == "tpe (many running)"


def test_pruned_trials_are_the_process_s_where_it_knows_their_reports(
    view_of: Views, columns_of: Columns, stream_of: Streams
) -> None:
    columns = columns_of(PLANE, 20)
    reports = Reports(starts=np.arange(21), steps=np.ones(20, dtype=np.int64), losses=columns["x"] ** 2)
    view = replace(
        view_of(columns, columns["x"] ** 2, outcome=[Outcome.PRUNED] * 15 + [Outcome.COMPLETE] * 5), reports=reports
    )
    (found,) = AutoSampler().suggest(view, PLANE, {name: np.empty(0) for name in PLANE}, [stream_of(20)])
    assert found.origin == "gp (few trials)"


@pytest.mark.parametrize(("pruned", "origin"), [(5, "gp (few trials)"), (6, "tpe (many pruned)")])
def test_where_more_than_a_quarter_is_pruned_and_nothing_is_known_of_reports_tpe_ranks_them(
    view_of: Views, columns_of: Columns, stream_of: Streams, pruned: int, origin: str
) -> None:
    columns = columns_of(PLANE, 20)
    outcome = [Outcome.PRUNED] * pruned + [Outcome.COMPLETE] * (20 - pruned)
    view, nothing = view_of(columns, columns["x"] ** 2, outcome=outcome), {name: np.empty(0) for name in PLANE}
    (found,) = AutoSampler().suggest(view, PLANE, nothing, [stream_of(20)])
    assert found.origin == origin


def test_other_studies_are_tpes_as_long_as_they_count(view_of: Views, columns_of: Columns, stream_of: Streams) -> None:
    others = Warm(
        source=np.zeros(25, dtype=np.int64),
        rank=np.arange(25),
        seen=np.array([25]),
        weight=np.ones(1),
        columns=columns_of(PLANE, 25, seed=3),
    )
    nothing = {name: np.empty(0) for name in PLANE}

    def origin(trials: int) -> str:
        columns = columns_of(PLANE, trials)
        view = replace(view_of(columns, columns["x"] ** 2), warm=others)
        (found,) = AutoSampler().suggest(view, PLANE, nothing, [stream_of(trials)])
        return found.origin

    assert [origin(trials) for trials in (5, 37, 38)] == ["tpe (warm start)", "tpe (warm start)", "gp (few trials)"]
