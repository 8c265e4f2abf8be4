"""`tpeak study prune-replay`: what another pruner would have done to a study."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any

from tpeak.catalog import load_study
from tpeak.prune_replay import PruneReplay, prune_replay

DESCRIBED = "say what a pruner would have ended early, and what that would have saved; nothing is changed"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("name", metavar="NAME", help="the study's name")
    parser.add_argument(
        "--pruner",
        metavar="PRUNER",
        type=_pruner,
        required=True,
        help="""its name, or with settings as JSON: hyperband, or '{"name": "median", "n_warmup_steps": 5}'""",
    )
    parser.add_argument("--json", action="store_true", help="print all that the server says, every decision included")
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Prints what would have been; the exit code."""
    answer = load_study(study_name=given.name)._routes.prune_replay(given.pruner)
    if given.json:
        print(json.dumps(answer))
    else:
        print("\n".join(_lines(prune_replay(answer))))
    return 0


def _pruner(text: str) -> dict[str, Any]:
    """The settings that the text stands for, as the wire has them."""
    if not text.lstrip().startswith("{"):
        return {"name": text}
    try:
        settings: dict[str, Any] = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"this is no JSON: {error}") from None
    return settings


def _lines(found: PruneReplay) -> Iterator[str]:
    if found.trials == 0:
        yield "no trial has reported anything: a pruner has nothing to decide on"
        return
    yield f"pruned {found.pruned} of {found.trials} trials that reported"
    yield f"saved {found.saved} of {found.reports} reports ({_share(found.saved, found.reports)})"
    if found.cost is not None and found.cost_saved is not None:
        yield f"saved {found.cost_saved:.6g} of {found.cost:.6g} in cost ({_share(found.cost_saved, found.cost)})"
    yield from _best(found)


def _best(found: PruneReplay) -> Iterator[str]:
    best, kept = found.best, found.best_kept
    if best is None:
        return
    if kept == best:
        yield f"the best trial, {best.number} ({best.value:.6g}), would have been kept"
        return
    yield f"the best trial, {best.number} ({best.value:.6g}), would have been lost"
    yield from (f"  {decision.reason}" for decision in found.decisions if decision.number == best.number)
    if kept is None:
        yield "no complete trial would be left that may be the best"
    else:
        yield f"the best one would be trial {kept.number} ({kept.value:.6g})"


def _share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "0 %"
