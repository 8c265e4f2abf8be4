"""Cells of the comparison, one study each, and the file that keeps them so that no study is run twice."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

FILE = "cells.jsonl"

C = TypeVar("C", bound="Kept")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """A sampler or a pruner by its name here; `settings` are those of tpeak's on the wire, beside the defaults."""

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def label(self) -> str:
        """The name with the settings, the same text for the same sampler."""
        if not self.settings:
            return self.name
        return f"{self.name}:{json.dumps(self.settings, sort_keys=True, separators=(',', ':'))}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampler(Spec):
    """A sampler of either service."""

    @property
    def of_tpeak(self) -> bool:
        """Whether the server has it."""
        return not self.name.startswith("optuna")


class Kept(Protocol):
    """One study as the cache keeps it."""

    @property
    def key(self) -> tuple[str | int, ...]:
        """What the study was."""
        ...

    @property
    def trials(self) -> int:
        """How long it was."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One study: the values told, and those without noise, in the order in which its trials finished.

    `near` says of every trial, in the order of the asks, whether it was near one that ran (`crowd`).
    """

    sampler: str
    version: str
    problem: str
    fingerprint: str
    seed: int
    trials: int
    told: list[float]
    noiseless: list[float]
    seconds: float
    near: list[bool] = field(default_factory=list)

    @property
    def key(self) -> tuple[str, str, str, str, int]:
        """What the study was; how long it was is no part of it."""
        return self.sampler, self.version, self.problem, self.fingerprint, self.seed

    def found(self, trials: int) -> float:
        """The value, without noise, of the one that looked best of the first `trials`."""
        best = min(range(min(trials, len(self.told))), key=self.told.__getitem__)
        return self.noiseless[best]


class Cache(Generic[C]):
    """Cells of one kind in a file of JSON lines below a folder; the longest study stands for shorter ones."""

    def __init__(self, folder: Path, kind: type[C], file: str = FILE) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / file
        self._cells: dict[tuple[str | int, ...], C] = {}
        if self._path.exists():
            for line in self._path.read_text().splitlines():
                self._keep(kind(**json.loads(line)))

    def find(self, key: tuple[str | int, ...], trials: int) -> C | None:
        """The cell, if it is there and long enough."""
        cell = self._cells.get(key)
        return cell if cell is not None and cell.trials >= trials else None

    def add(self, cell: C) -> None:
        """Appends in one write, so that several runs may share the file."""
        self._keep(cell)
        with self._path.open("a") as file:
            file.write(json.dumps(asdict(cell)) + "\n")  # type: ignore[call-overload]

    def _keep(self, cell: C) -> None:
        known = self._cells.get(cell.key)
        if known is None or known.trials < cell.trials:
            self._cells[cell.key] = cell


def parse_samplers(text: str) -> list[Sampler]:
    """The samplers of `tpe,tpe:{"n_ei_candidates":64},optuna5`, in order."""
    return [Sampler(**parsed(part)) for part in split(text, ",")]


def split(text: str, mark: str) -> list[str]:
    """The parts between marks that are outside of braces."""
    return re.split(rf"{re.escape(mark)}(?![^{{]*\}})", text)


def parsed(part: str) -> dict[str, Any]:
    """Name and settings of `tpe:{"n_ei_candidates":64}`."""
    name, _, settings = part.partition(":")
    return {"name": name, "settings": json.loads(settings) if settings else {}}
