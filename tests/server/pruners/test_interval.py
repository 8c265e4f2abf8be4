import pytest

from tpeak_server.domain.observations import Curve
from tpeak_server.pruners.interval import looks


@pytest.mark.parametrize(
    ("last", "before", "looked"),
    [
        (4, None, False),
        (5, None, True),
        (5, 4, True),
        (9, 5, False),
        (9, 4, True),
        (15, 14, True),
        (17, 16, False),
        (17, 15, False),
        (17, 14, True),
        (25, 6, True),
    ],
)
def test_a_report_is_looked_at_where_an_interval_began_since_the_one_before(
    last: int, before: int | None, looked: bool
) -> None:
    # Intervals of 10 steps begin at 5, 15 and 25.
    steps = (last,) if before is None else (before, last)
    curve = Curve(number=0, steps=steps, losses=(0.0,) * len(steps), before=before)
    assert looks(curve, 5, 10) is looked


def test_a_curve_without_steps_is_not_looked_at() -> None:
    assert not looks(Curve(number=0, steps=(), losses=()), 0, 1)
