"""Directions, ids in paths, and a study's time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tpeak_server.domain.study import ID_ALPHABET, Direction, Study, StudyState, from_path, to_path

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def study(**settings: Any) -> Study:
    defaults = {"id": 1, "name": "s", "directions": (Direction.MINIMIZE,), "sampler": {}, "pruner": {}, "seed": 0}
    return Study(**{**defaults, **settings})


def test_a_value_times_the_sign_is_a_loss() -> None:
    both = study(directions=(Direction("minimize"), Direction("maximize")))
    assert both.signs == (1.0, -1.0)


def test_a_study_is_open_until_something_else_is_said() -> None:
    new = study()
    assert (new.state, new.lease_seconds, new.max_attempts) == (StudyState.OPEN, 60.0, 3)
    assert (new.max_trials, new.timeout_s, new.space, new.tags, new.note) == (None, None, None, (), "")


@pytest.mark.parametrize(
    ("timeout_s", "first_ask", "after_s", "over"),
    [
        (None, NOON, 10**9, False),
        (60.0, None, 10**9, False),
        (60.0, NOON, 59.999, False),
        (60.0, NOON, 60.0, True),
        (60.0, NOON, -1.0, False),
        (0.5, NOON, 0.5, True),
        (1e308, NOON, 10**9, False),
    ],
)
def test_a_studys_time_runs_from_its_first_ask(
    timeout_s: float | None, first_ask: datetime | None, after_s: float, over: bool
) -> None:
    timed = study(timeout_s=timeout_s, first_ask_at=first_ask)
    assert timed.timed_out(NOON + timedelta(seconds=after_s)) is over


@pytest.mark.parametrize(
    ("study_id", "text"),
    [
        (0, "0000000000000"),
        (1, "0000000000001"),
        (31, "000000000000z"),
        (32, "0000000000010"),
        (2**53, "0080000000000"),
        (2**63 - 1, "7zzzzzzzzzzzz"),
    ],
)
def test_an_id_in_a_path_is_thirteen_letters(study_id: int, text: str) -> None:
    assert to_path(study_id) == text
    assert from_path(text) == study_id


@settings(derandomize=True, deadline=None)
@given(study_id=st.integers(0, 2**63 - 1))
def test_every_id_comes_back(study_id: int) -> None:
    text = to_path(study_id)
    assert len(text) == 13
    assert set(text) <= set(ID_ALPHABET)
    assert from_path(text) == study_id


def test_no_letter_is_taken_for_a_digit() -> None:
    assert len(set(ID_ALPHABET)) == 32
    assert not set("ilou") & set(ID_ALPHABET)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "0" * 12,
        "0" * 14,
        "8000000000000",
        "zzzzzzzzzzzzz",
        "000000000000A",
        "000000000000l",
        "000000000000٣",
        "000000000000 ",
        "000000000000\n",
        "-000000000001",
    ],
)
def test_what_is_no_id_is_none(text: str) -> None:
    assert from_path(text) is None
