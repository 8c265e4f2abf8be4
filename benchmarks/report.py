"""How benchmarks show what they measured: a table to read, and rows of JSON to compare."""

from __future__ import annotations

import json
import platform
import statistics
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The rows under their columns, the first one flush left."""
    widths = [max(len(row[place]) for row in [columns, *rows]) for place in range(len(columns))]
    lines = [title, *(_line(row, widths) for row in [columns, ["-" * width for width in widths], *rows])]
    return "\n".join(lines)


def spread(values: Sequence[float], form: str = ".1f") -> str:
    """The median with the least and the greatest; of one value just that."""
    if len(values) == 1:
        return f"{values[0]:{form}}"
    return f"{statistics.median(values):{form}} ({min(values):{form}} .. {max(values):{form}})"


def versions(*packages: str) -> str:
    """What the figures were measured with."""
    return ", ".join([f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in packages)])


def write_json(path: Path, measured: Mapping[str, tuple[str, Sequence[float]]]) -> None:
    """Writes a row for each name: its unit, and the median, number, least and greatest of its runs."""
    rows = [
        {
            "name": name,
            "value": statistics.median(values),
            "unit": unit,
            "runs": len(values),
            "min": min(values),
            "max": max(values),
        }
        for name, (unit, values) in measured.items()
    ]
    path.write_text(json.dumps(rows, indent=1) + "\n")


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(
        cell.ljust(width) if place == 0 else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(row, widths, strict=True))
    ).rstrip()
