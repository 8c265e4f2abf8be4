"""Settings as the wire has them, `{"name": "tpe", "n_startup_trials": 10}`: checked, and filled with defaults."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from tpeak_server.domain.errors import Invalid, pointer

T = TypeVar("T")

AUTO = "auto"
"""Stands for a number that is found out once in a study."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """An integer setting within [least, most]. Where it is `optional`, null stands for the builder's own choice."""

    name: str
    default: int | None = None
    least: int = 0
    most: int = 2**53
    optional: bool = False

    def checked(self, value: object, where: str) -> int:
        """The integer itself. Raises Invalid."""
        if isinstance(value, bool) or not isinstance(value, int):
            raise _refused(self, "be an integer", value, where)
        _check_bounds(self, value, where)
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoCount:
    """An integer setting within [least, most], or the word "auto"."""

    name: str
    default: int | str | None = AUTO
    least: int = 1
    most: int = 2**53
    optional: bool = False

    def checked(self, value: object, where: str) -> int | str:
        """The integer, or "auto". Raises Invalid."""
        if value == AUTO:
            return AUTO
        if isinstance(value, bool) or not isinstance(value, int):
            raise _refused(self, f"be an integer or {AUTO!r}", value, where)
        _check_bounds(self, value, where)
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A real setting within [least, most]."""

    name: str
    default: float | None = None
    least: float
    most: float
    optional: bool = False

    def checked(self, value: object, where: str) -> float:
        """The number as a float. Raises Invalid."""
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise _refused(self, "be a number", value, where)
        _check_bounds(self, value, where)
        return float(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Positive:
    """A real setting above 0, or, where it may be `auto`, the word "auto"."""

    name: str
    default: float | str | None = None
    auto: bool = False
    optional: bool = False

    def checked(self, value: object, where: str) -> float | str:
        """The number as a float, or "auto". Raises Invalid."""
        if self.auto and value == AUTO:
            return AUTO
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.0 < value < math.inf:
            otherwise = f" or {AUTO!r}" if self.auto else ""
            raise _refused(self, f"be a number above 0{otherwise}", value, where)
        return float(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """A setting that is true or false."""

    name: str
    default: bool | None = None
    optional: bool = False

    def checked(self, value: object, where: str) -> bool:
        """The flag itself. Raises Invalid."""
        if not isinstance(value, bool):
            raise _refused(self, "be true or false", value, where)
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A setting that is one of some words."""

    name: str
    words: tuple[str, ...]
    default: str | None = None
    optional: bool = False

    def checked(self, value: object, where: str) -> str:
        """The word itself. Raises Invalid."""
        if not isinstance(value, str) or value not in self.words:
            raise _refused(self, f"be {' or '.join(map(repr, self.words))}", value, where)
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Nested:
    """A setting that is a spec itself, of the `family`: of any kind, or one of those `names`.

    `resolve` makes the full spec of one that is found at a pointer.
    """

    name: str
    family: str
    resolve: Callable[[Mapping[str, Any], str], dict[str, Any]]
    names: tuple[str, ...] = ()
    default: None = None
    optional: bool = False

    def checked(self, value: object, where: str) -> dict[str, Any]:
        """The full spec. Raises Invalid, which points into it."""
        if not isinstance(value, Mapping):
            raise _refused(self, f"be a {self.family}'s settings", value, where)
        full = self.resolve(value, where)
        if self.names and full["name"] not in self.names:
            message = f"{self.name} must be {' or '.join(map(repr, self.names))}, got {full['name']!r}"
            raise Invalid(message, where=f"{where}/name")
        return full


class Setting(Protocol):
    """One setting of a kind."""

    @property
    def name(self) -> str:
        """Its key on the wire."""
        ...

    @property
    def default(self) -> Any:
        """What it is where nothing is said; None where something must be."""
        ...

    @property
    def optional(self) -> bool:
        """Whether null stands for the builder's own choice."""
        ...

    def checked(self, value: object, where: str) -> Any:
        """The value as it is stored. Raises Invalid."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind(Generic[T]):
    """One thing that can be built from settings.

    A setting without a default must be given, unless it is optional. Where one decides what others may be, `settings`
    finds them for a spec. `conflict` says of settings that are right one by one which of them does not agree with the
    others, and why; None if all do.
    """

    build: Callable[..., T]
    settings: tuple[Setting, ...] | Callable[[Mapping[str, object]], tuple[Setting, ...]] = ()
    conflict: Callable[[Mapping[str, Any]], tuple[str, str] | None] = lambda full: None

    def settings_of(self, spec: Mapping[str, object]) -> tuple[Setting, ...]:
        """The settings that this spec may have."""
        return self.settings(spec) if callable(self.settings) else self.settings


class Registry(Generic[T]):
    """The kinds of one family by their wire names; `family` ("sampler") is also the field that holds the spec."""

    def __init__(self, family: str, kinds: Mapping[str, Kind[T]]) -> None:
        self._family = family
        self._kinds = dict(kinds)

    def resolve(self, spec: Mapping[str, object], at: str | None = None) -> dict[str, Any]:
        """The full spec: the name, then every setting. Raises Invalid where something is unknown, wrong or missing.

        `at` points to the spec, where it is part of another one.
        """
        at = pointer([self._family]) if at is None else at
        name = self._name(spec, at)
        kind = self._kinds[name]
        settings = kind.settings_of(spec)
        known = [setting.name for setting in settings]
        for key in spec:
            if key != "name" and key not in known:
                message = f"the {self._family} {name!r} has no setting {_hinted(key, known)}"
                raise Invalid(message, where=at + pointer([key]))
        full = {"name": name} | {setting.name: self._value(spec, setting, at) for setting in settings}
        if conflict := kind.conflict(full):
            raise Invalid(conflict[1], where=at + pointer([conflict[0]]))
        return full

    def build(self, spec: Mapping[str, object], **beside: Any) -> T:
        """What the spec describes, ready for use; builders get `beside` too. Raises Invalid as `resolve` does."""
        full = self.resolve(spec)
        kind = self._kinds[full.pop("name")]
        return kind.build(**full, **beside)

    def _name(self, spec: Mapping[str, object], at: str) -> str:
        name, known = spec.get("name"), sorted(self._kinds)
        if name is None:
            raise Invalid(f"a {self._family} needs a name: {' or '.join(known)}", where=f"{at}/name")
        if not isinstance(name, str) or name not in known:
            raise Invalid(f"there is no {self._family} {_hinted(name, known)}", where=f"{at}/name")
        return name

    def _value(self, spec: Mapping[str, object], setting: Setting, at: str) -> Any:
        where = at + pointer([setting.name])
        if setting.name in spec:
            given = spec[setting.name]
            return None if given is None and setting.optional else setting.checked(given, where)
        if setting.default is None and not setting.optional:
            raise Invalid(f"the {self._family} {spec['name']!r} needs {setting.name}", where=where)
        return setting.default


def _refused(setting: Setting, what: str, value: object, where: str) -> Invalid:
    otherwise = ", or null" if setting.optional else ""
    return Invalid(f"{setting.name} must {what}{otherwise}, got {shown(value)}", where=where)


def _check_bounds(setting: Count | AutoCount | Number, value: float, where: str) -> None:
    if not setting.least <= value <= setting.most:
        raise _refused(setting, f"lie within {setting.least} .. {setting.most}", value, where)


def _hinted(key: object, known: Iterable[str]) -> str:
    """The key, and the most similar of the known words or all of them."""
    words = list(known)
    close = difflib.get_close_matches(str(key)[:80], words, n=1)
    if close:
        return f"{shown(key)}; did you mean {close[0]!r}?"
    return f"{shown(key)}; there is {', '.join(words)}" if words else f"{shown(key)}; it has none"


def shown(value: object) -> str:
    """A value that somebody sent, in a message: not longer than a line."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
