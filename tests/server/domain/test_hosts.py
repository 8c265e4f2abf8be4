"""Hosts that fail fast, and trials that would outlast their worker."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tpeak_server.domain.hosts import Host, failed_fast, is_fast, outlasts, pause_s

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("age_s", "durations_s", "fast"),
    [
        (10.0, [], True),
        (10.1, [], False),
        (10.0, [1.0] * 4, True),
        (10.0, [1.0] * 5, False),
        (0.2, [1.0] * 5, True),
        (0.21, [1.0] * 5, False),
        (10.0, [3600.0] * 5, True),
        (11.0, [3600.0] * 5, False),
        (2.0, [0.1, 0.1, 10.0, 99.0, 99.0], True),
    ],
)
def test_a_failure_is_fast_in_the_first_seconds_and_beside_what_a_trial_takes(
    age_s: float, durations_s: list[float], fast: bool
) -> None:
    assert is_fast(age_s, durations_s) is fast


def test_pauses_double_up_to_five_minutes() -> None:
    assert [pause_s(before) for before in (0, 1, 2, 5, 6, 7, 10**9)] == [5.0, 10.0, 20.0, 160.0, 300.0, 300.0, 300.0]


def test_a_host_is_paused_from_the_last_failure_in_a_row_that_is_borne() -> None:
    host, left = Host(name="h"), []
    for _ in range(4):
        host = failed_fast(host, now=NOW, limit=3, ended_trial=True, cause="no device")
        left.append(host.paused_s(NOW))
    assert left == [0.0, 0.0, 5.0, 10.0]
    assert (host.failures, host.owed, host.cause) == (4, 4, "no device")
    assert [host.paused_s(NOW + timedelta(seconds=s)) for s in (4.0, 10.0, 11.0)] == [6.0, 0.0, 0.0]


def test_a_failure_that_is_tried_again_is_owed_to_nobody() -> None:
    host = failed_fast(Host(name="h"), now=NOW, limit=1, ended_trial=False, cause=None)
    assert (host.failures, host.owed, host.paused_s(NOW)) == (1, 0, 5.0)


@pytest.mark.parametrize(
    ("wall_time_s", "durations_s", "expected"),
    [
        (0.0, [], False),
        (0.0, [9.0, 9.0], False),
        (8.0, [9.0, 1.0, 1.0], True),
        (9.0, [9.0, 1.0, 1.0], False),
        (1.0, [1.0] * 9 + [9.0], False),
        (1.0, [1.0] * 8 + [9.0] * 2, True),
    ],
)
def test_a_trial_is_expected_to_take_what_nine_in_ten_did_not_exceed(
    wall_time_s: float, durations_s: list[float], expected: bool
) -> None:
    assert outlasts(wall_time_s, durations_s) is expected
