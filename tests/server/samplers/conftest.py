from collections.abc import Callable

import numpy as np
import pytest

from tpeak_server.domain.distributions import Distribution, IntDistribution, Space
from tpeak_server.domain.observations import Floats, Outcome, View
from tpeak_server.samplers.layout import layout_of
from tpeak_server.samplers.seam import Stream


@pytest.fixture(scope="session")
def stream_of() -> Callable[[int], Stream]:
    def stream_of(number: int) -> Stream:
        return Stream(1, number)

    return stream_of


@pytest.fixture(scope="session")
def allows() -> Callable[[Distribution, float], bool]:
    """Whether a value is in the range and on the grid; for an int in exact arithmetic, whatever its size."""

    def allows(distribution: Distribution, value: float) -> bool:
        if isinstance(distribution, IntDistribution):
            in_range = distribution.low <= value <= distribution.high
            return in_range and value == int(value) and (int(value) - distribution.low) % distribution.step == 0
        return distribution.contains(value)

    return allows


@pytest.fixture(scope="session")
def columns_of() -> Callable[..., dict[str, Floats]]:
    """Random internal values of `count` points of a space; a share of them is missing."""

    def columns_of(space: Space, count: int, *, seed: int = 0, missing: float = 0.0) -> dict[str, Floats]:
        rng = np.random.default_rng(seed)
        layout = layout_of(space)
        rows = [layout.values(layout.uniform(rng.random(layout.dimensions))) for _ in range(count)]
        columns = {name: np.array([row[name] for row in rows], dtype=np.float64) for name in space}
        for column in columns.values():
            column[rng.random(count) < missing] = np.nan
        return columns

    return columns_of


@pytest.fixture(scope="session")
def view_of() -> Callable[..., View]:
    """A view of complete trials, but for what is given."""

    def view_of(columns: dict[str, Floats], loss: object, **given: object) -> View:
        losses = np.asarray(loss, dtype=np.float64)
        n = len(losses)
        fields: dict[str, object] = {
            "seq": n,
            "numbers": np.arange(n),
            "outcome": np.full(n, Outcome.COMPLETE, dtype=np.int8),
            "loss": losses.reshape(n, -1) if n else np.empty((0, 1)),
            "last_step": np.full(n, -1),
            "last_loss": np.full(n, np.nan),
            "violation": np.zeros(n),
            "columns": columns,
        }
        fields |= {name: np.asarray(value) for name, value in given.items()}
        return View(**fields)  # type: ignore[arg-type]

    return view_of
