"""Settings by name: filled, checked, and wrong ones explained."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pytest

from tpeak_server.domain.errors import Invalid
from tpeak_server.domain.settings import AutoCount, Choice, Count, Flag, Kind, Nested, Number, Registry


@dataclass(frozen=True, kw_only=True)
class Mill:
    stones: int = 0
    speed: float = 0.0


MILLS: Registry[Mill] = Registry(
    "mill",
    {
        "wind": Kind(
            build=Mill,
            settings=(Count(name="stones", default=2, least=1, most=4), Number(name="speed", least=0.0, most=9.5)),
        ),
        "water": Kind(build=Mill),
    },
)


def test_a_spec_is_filled_with_defaults_in_the_order_of_the_settings() -> None:
    full = MILLS.resolve({"speed": 3, "name": "wind"})
    assert list(full.items()) == [("name", "wind"), ("stones", 2), ("speed", 3.0)]
    assert type(full["speed"]) is float
    assert MILLS.resolve({"name": "water"}) == {"name": "water"}


def test_a_full_spec_stays_as_it_is() -> None:
    full = {"name": "wind", "stones": 4, "speed": 9.5}
    assert MILLS.resolve(full) == full
    assert MILLS.resolve(MILLS.resolve(full)) == full


def test_a_spec_is_not_changed() -> None:
    spec = {"name": "wind", "speed": 1}
    MILLS.resolve(spec)
    MILLS.build(spec)
    assert spec == {"name": "wind", "speed": 1}


def test_what_a_spec_describes_is_built() -> None:
    assert MILLS.build({"name": "wind", "speed": 0, "stones": 1}) == Mill(stones=1, speed=0.0)
    assert MILLS.build({"name": "water"}) == Mill()


@pytest.mark.parametrize(
    ("spec", "where", "message"),
    [
        ({}, "/mill/name", "a mill needs a name: water or wind"),
        ({"name": None}, "/mill/name", "a mill needs a name: water or wind"),
        ({"name": "wnd"}, "/mill/name", "there is no mill 'wnd'; did you mean 'wind'?"),
        ({"name": "tide"}, "/mill/name", "there is no mill 'tide'; there is water, wind"),
        ({"name": 7}, "/mill/name", "there is no mill 7; there is water, wind"),
        ({"name": ["wind"]}, "/mill/name", "there is no mill ['wind']; did you mean 'wind'?"),
        ({"name": "wind"}, "/mill/speed", "the mill 'wind' needs speed"),
        (
            {"name": "wind", "speed": 1, "stone": 1},
            "/mill/stone",
            "the mill 'wind' has no setting 'stone'; did you mean 'stones'?",
        ),
        (
            {"name": "wind", "speed": 1, "x/~": 1},
            "/mill/x~1~0",
            "the mill 'wind' has no setting 'x/~'; there is stones, speed",
        ),
        ({"name": "water", "stones": 1}, "/mill/stones", "the mill 'water' has no setting 'stones'; it has none"),
        (
            {"name": "wind", "speed": 1, "stones": 0},
            "/mill/stones",
            "stones must lie within 1 .. 4, got 0",
        ),
        ({"name": "wind", "speed": 1, "stones": 5}, "/mill/stones", "stones must lie within 1 .. 4, got 5"),
        ({"name": "wind", "speed": 1, "stones": 2.0}, "/mill/stones", "stones must be an integer, got 2.0"),
        ({"name": "wind", "speed": 1, "stones": True}, "/mill/stones", "stones must be an integer, got True"),
        ({"name": "wind", "speed": 1, "stones": None}, "/mill/stones", "stones must be an integer, got None"),
        ({"name": "wind", "speed": "1"}, "/mill/speed", "speed must be a number, got '1'"),
        ({"name": "wind", "speed": False}, "/mill/speed", "speed must be a number, got False"),
        ({"name": "wind", "speed": 9.75}, "/mill/speed", "speed must lie within 0.0 .. 9.5, got 9.75"),
        ({"name": "wind", "speed": math.nan}, "/mill/speed", "speed must lie within 0.0 .. 9.5, got nan"),
        ({"name": "wind", "speed": math.inf}, "/mill/speed", "speed must lie within 0.0 .. 9.5, got inf"),
    ],
)
def test_what_is_wrong_is_explained(spec: dict[str, Any], where: str, message: str) -> None:
    for attempt in (MILLS.resolve, MILLS.build):
        with pytest.raises(Invalid) as refused:
            attempt(spec)
        assert (refused.value.where, refused.value.message) == (where, message)


@dataclass(frozen=True, kw_only=True)
class Oven:
    fuel: str | None
    loaves: int | None
    heat: float | None
    lit: bool | None
    clean: bool


OVENS: Registry[Oven] = Registry(
    "oven",
    {
        "stone": Kind(
            build=Oven,
            settings=(
                Choice(name="fuel", words=("wood", "coal"), optional=True),
                Count(name="loaves", least=1, most=9, optional=True),
                Number(name="heat", least=100.0, most=400.0, optional=True),
                Flag(name="lit", optional=True),
                Flag(name="clean", default=True),
            ),
            conflict=lambda full: (
                ("clean", "coal is never clean") if full["fuel"] == "coal" and full["clean"] else None
            ),
        ),
        "clay": Kind(build=Oven, settings=(Choice(name="fuel", words=("wood", "coal"), default="wood"),)),
    },
)


def test_an_optional_setting_is_null_where_it_is_not_given() -> None:
    nothing = {"name": "stone", "fuel": None, "loaves": None, "heat": None, "lit": None, "clean": True}
    assert OVENS.resolve({"name": "stone"}) == nothing
    assert OVENS.resolve(nothing) == nothing
    assert OVENS.build(nothing) == Oven(fuel=None, loaves=None, heat=None, lit=None, clean=True)


def test_words_and_flags_are_taken_as_they_are() -> None:
    full = {"name": "stone", "fuel": "coal", "loaves": 3, "heat": 250.0, "lit": False, "clean": False}
    assert OVENS.resolve(full) == full
    assert OVENS.resolve({"name": "clay"}) == {"name": "clay", "fuel": "wood"}


@pytest.mark.parametrize(
    ("spec", "where", "message"),
    [
        ({"fuel": "oil"}, "/oven/fuel", "fuel must be 'wood' or 'coal', or null, got 'oil'"),
        ({"fuel": ["wood"]}, "/oven/fuel", "fuel must be 'wood' or 'coal', or null, got ['wood']"),
        ({"fuel": True}, "/oven/fuel", "fuel must be 'wood' or 'coal', or null, got True"),
        ({"loaves": 2.0}, "/oven/loaves", "loaves must be an integer, or null, got 2.0"),
        ({"loaves": 10}, "/oven/loaves", "loaves must lie within 1 .. 9, or null, got 10"),
        ({"heat": "hot"}, "/oven/heat", "heat must be a number, or null, got 'hot'"),
        ({"heat": math.nan}, "/oven/heat", "heat must lie within 100.0 .. 400.0, or null, got nan"),
        ({"lit": 1}, "/oven/lit", "lit must be true or false, or null, got 1"),
        ({"clean": None}, "/oven/clean", "clean must be true or false, got None"),
        ({"clean": "true"}, "/oven/clean", "clean must be true or false, got 'true'"),
        ({"fuel": "coal"}, "/oven/clean", "coal is never clean"),
    ],
)
def test_what_is_wrong_with_words_flags_and_all_together_is_explained(
    spec: dict[str, Any], where: str, message: str
) -> None:
    for attempt in (OVENS.resolve, OVENS.build):
        with pytest.raises(Invalid) as refused:
            attempt({"name": "stone", **spec})
        assert (refused.value.where, refused.value.message) == (where, message)


@dataclass(frozen=True, kw_only=True)
class Bakery:
    shelves: int | str
    mill: dict[str, Any] | None
    owner: str = "nobody"


BAKERIES: Registry[Bakery] = Registry(
    "bakery",
    {
        "small": Kind(
            build=Bakery,
            settings=(
                AutoCount(name="shelves", most=9),
                Nested(name="mill", family="mill", resolve=MILLS.resolve, names=("wind",), optional=True),
            ),
        ),
    },
)


def test_auto_stays_until_a_number_takes_its_place() -> None:
    assert BAKERIES.resolve({"name": "small"}) == {"name": "small", "shelves": "auto", "mill": None}
    assert BAKERIES.build({"name": "small", "shelves": "auto"}) == Bakery(shelves="auto", mill=None)
    assert BAKERIES.build({"name": "small", "shelves": 9}) == Bakery(shelves=9, mill=None)


def test_a_spec_within_a_spec_is_filled_too() -> None:
    full = BAKERIES.resolve({"name": "small", "mill": {"name": "wind", "speed": 3}})
    assert full["mill"] == {"name": "wind", "stones": 2, "speed": 3.0}
    assert BAKERIES.resolve(full) == full


def test_a_builder_gets_what_is_given_beside_the_spec() -> None:
    assert BAKERIES.build({"name": "small"}, owner="Ada") == Bakery(shelves="auto", mill=None, owner="Ada")


@pytest.mark.parametrize(
    ("spec", "where", "message"),
    [
        ({"shelves": "Auto"}, "/bakery/shelves", "shelves must be an integer or 'auto', got 'Auto'"),
        ({"shelves": 2.0}, "/bakery/shelves", "shelves must be an integer or 'auto', got 2.0"),
        ({"shelves": True}, "/bakery/shelves", "shelves must be an integer or 'auto', got True"),
        ({"shelves": None}, "/bakery/shelves", "shelves must be an integer or 'auto', got None"),
        ({"shelves": 0}, "/bakery/shelves", "shelves must lie within 1 .. 9, got 0"),
        ({"shelves": 10}, "/bakery/shelves", "shelves must lie within 1 .. 9, got 10"),
        ({"mill": "wind"}, "/bakery/mill", "mill must be a mill's settings, or null, got 'wind'"),
        ({"mill": {"name": "water"}}, "/bakery/mill/name", "mill must be 'wind', got 'water'"),
        ({"mill": {"name": "wind"}}, "/bakery/mill/speed", "the mill 'wind' needs speed"),
    ],
)
def test_what_is_wrong_with_auto_and_with_a_spec_within_is_explained(
    spec: dict[str, Any], where: str, message: str
) -> None:
    for attempt in (BAKERIES.resolve, BAKERIES.build):
        with pytest.raises(Invalid) as refused:
            attempt({"name": "small", **spec})
        assert (refused.value.where, refused.value.message) == (where, message)


@pytest.mark.parametrize("spec", [{"name": "x" * 10_000}, {"name": "water", "y" * 10_000: 1}])
def test_an_explanation_shows_a_long_word_in_part(spec: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as refused:
        MILLS.resolve(spec)
    assert len(refused.value.message) < 200
