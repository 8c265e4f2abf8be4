"""`tpeak trial explain`: why a trial has its parameters."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from tpeak.catalog import load_study
from tpeak.explanation import Explanation

DESCRIBED = "say why it has its parameters, and draw them again"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("name", metavar="NAME", help="the study's name")
    parser.add_argument("number", metavar="NUMBER", type=int, help="the trial's number")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Prints the explanation; the exit code."""
    print("\n".join(_lines(load_study(study_name=given.name).explain(given.number))))
    return 0


def _lines(found: Explanation) -> Iterator[str]:
    by = f" by {found.version}" if found.version else ""
    others = f" beside {found.warm} of other studies" if found.warm else ""
    finished = f"{found.seen} trials finished and {found.pending} pending{others}"
    yield f"trial {found.number}: {found.origin}{by}, with {finished}"
    if found.score is not None:
        yield f"score {found.score:.4g}, of {found.candidates} candidates"
    for name, value in found.params.items():
        yield f"  {name} = {value!r}{_why(found, name)}"
    for one in found.nearest:
        values = ", ".join(f"{value:.6g}" for value in one.values or ())
        yield f"  near trial {one.number}: {one.state} {values or 'without a value'}, distance {one.distance:.3f}"
    yield f"drawn again: {found.outcome}"
    for reason in (*found.reasons, *found.notes):
        yield f"  {reason}"


def _why(found: Explanation, name: str) -> str:
    late, density = found.late.get(name), found.densities.get(name)
    if late is not None:
        return f"  ({late.origin} after the ask)"
    return f"  (log density: good {density.good:.3f}, bad {density.bad:.3f})" if density is not None else ""
