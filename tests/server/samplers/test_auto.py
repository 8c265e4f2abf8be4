from collections.abc import Callable

import numpy as np
import pytest

from tpeak_server.domain.distributions import FloatDistribution, Space
from tpeak_server.domain.observations import Floats, View
from tpeak_server.samplers.auto import AutoSampler
from tpeak_server.samplers.gp import GPSampler
from tpeak_server.samplers.seam import Stream
from tpeak_server.samplers.tpe import TPESampler

Columns = Callable[..., dict[str, Floats]]
Views = Callable[..., View]
Streams = Callable[[int], Stream]

PLANE: Space = {"x": FloatDistribution(low=-5, high=5), "y": FloatDistribution(low=-5, high=5)}


@pytest.mark.parametrize(
    ("trials", "sampler"), [(3, GPSampler()), (20, GPSampler()), (250, GPSampler()), (251, TPESampler())]
)
def test_few_trials_are_a_gaussian_processs_and_many_tpes(
    view_of: Views, columns_of: Columns, stream_of: Streams, trials: int, sampler: GPSampler | TPESampler
) -> None:
    columns = columns_of(PLANE, trials)
    view, nothing = view_of(columns, columns["x"] ** 2), {name: np.empty(0) for name in PLANE}
    found = AutoSampler().suggest(view, PLANE, nothing, [stream_of(trials)])
    assert found == sampler.suggest(view, PLANE, nothing, [stream_of(trials)])
    assert AutoSampler().explain(view, PLANE, nothing, stream_of(trials)).suggestion == found[0]
