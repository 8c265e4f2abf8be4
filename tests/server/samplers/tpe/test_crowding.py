"""Many workers at once: what runs keeps others away from the same point."""

from collections.abc import Callable

import numpy as np
import pytest

from tpeak_server.domain.distributions import FloatDistribution, Space
from tpeak_server.domain.observations import Floats, View
from tpeak_server.samplers import TPESampler
from tpeak_server.samplers.seam import Stream

SPACE: Space = {f"x{i}": FloatDistribution(low=0, high=1) for i in range(3)}

NEAR = 0.01


def share_of_near_duplicates(points: Floats) -> float:
    """How many of the points (n, d) have another one within NEAR in every coordinate."""
    apart = np.abs(points[:, np.newaxis] - points).max(axis=2)
    np.fill_diagonal(apart, 1.0)
    return float((apart.min(axis=1) < NEAR).mean())


@pytest.fixture
def history(view_of: Callable[..., View]) -> View:
    """A hundred trials of a bowl, of which the best lie close together."""
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.random((70, 3)), rng.normal(0.6, 0.05, (30, 3)).clip(0, 1)])
    return view_of(dict(zip(SPACE, x.T, strict=True)), ((x - 0.6) ** 2).sum(axis=1))


@pytest.mark.parametrize("workers", [16, 256])
def test_a_batch_does_not_crowd_one_point(history: View, stream_of: Callable[[int], Stream], workers: int) -> None:
    drawn = TPESampler().suggest(
        history, SPACE, {name: np.empty(0) for name in SPACE}, [stream_of(number) for number in range(workers)]
    )
    assert share_of_near_duplicates(np.array([[one.values[name] for name in SPACE] for one in drawn])) < 0.05


@pytest.mark.parametrize("workers", [16, 256])
def test_asks_one_by_one_do_not_crowd_one_point_either(
    history: View, stream_of: Callable[[int], Stream], workers: int
) -> None:
    sampler, pending = TPESampler(), {name: np.empty(0) for name in SPACE}
    for number in range(workers):
        values = sampler.suggest(history, SPACE, pending, [stream_of(number)])[0].values
        pending = {name: np.append(column, values[name]) for name, column in pending.items()}
    points = np.array(list(pending.values())).T
    assert share_of_near_duplicates(points) < 0.05
    # Without sight of the others many meet.
    blind = TPESampler(constant_liar=False).suggest(
        history, SPACE, {name: np.empty(0) for name in SPACE}, [stream_of(number) for number in range(workers)]
    )
    blind_points = np.array([[one.values[name] for name in SPACE] for one in blind])
    spread, blind_spread = np.std(points, axis=0).mean(), np.std(blind_points, axis=0).mean()
    assert spread > blind_spread
