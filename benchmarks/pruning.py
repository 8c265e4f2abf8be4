"""What pruners save: trials, epochs and computing to good models, through the real server, beside Optuna 5.0.

    pip install --editable '.[bench,embedded]' optuna==5.0.0
    python benchmarks/pruning.py [--seeds 2] [--problems 'digits*'] [--workers 4] [--processes 3] [--json figures.json]
    python benchmarks/pruning.py --arms 'random+nop,auto+percentile:{"percentile":25}'

Every arm, a sampler with a pruner, runs a study of 100 trials for each problem and seed, or of more where it prunes,
with the same epochs. Trials follow learning curves of models that were trained before (`problems/make_curves.py`). An
arm of tpeak asks, reports every step and tells over HTTP, with tpeak's client, on a server with its own PostgreSQL, and
stops a trial where the server says so (without a pruner it reports nothing); Optuna's are in memory. What the columns
mean is said in `studies/counting.py`. Studies are kept below `--cache`, by what they depend on: arms can be run one by
one, and compared by naming them together. `--processes` studies run at a time, all on one server.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from problems.curves import CurveProblem, marks_of, problems
from report import spread, table, versions, write_json
from studies.arms import Arm, parse_arms
from studies.courses import courses, jobs
from studies.reaching import COSTS, MARKS, Comparison, flat, named, values

RUNGS = 'successive_halving:{"min_resource":1,"reduction_factor":3}'
"""Asynchronous rungs after a 27th, a ninth and a third of the steps."""

ARMS = (
    f"grid+nop,random+nop,tpe+median,tpe+hyperband,auto+nop,random+{RUNGS},tpe+{RUNGS},auto+{RUNGS},"
    "optuna5_random+nop,optuna5+nop,optuna5+median,optuna5+hyperband"
)

HOUR_S = 3600.0


def report(comparison: Comparison, trials: int) -> str:
    """The tables."""
    if not comparison.seeds:
        return "no seed is finished for all problems and arms"
    parts = [*(_reaching(comparison, mark) for mark in MARKS), _in_all(comparison, trials)]
    parts += [_against(comparison, base, mark) for base in comparison.bases() for mark in MARKS]
    return "\n\n".join(parts)


def described(chosen: Sequence[CurveProblem]) -> str:
    """The problems, and how many of their grid's points reach the marks."""
    rows = []
    for problem in chosen:
        marks, finals = marks_of(problem), problem.values[..., -1]
        shares = [float((finals >= of(marks)).mean()) for _, of in MARKS.values()]
        reaching = [f"{share * finals.size:.0f} ({share:.1%})" for share in shares]
        rows.append([problem.name, str(finals.size), f"{marks.typical:.3f}", f"{marks.best:.3f}", *reaching])
    heads = ["", "grid points", "random median", "best known", *(f"at the mark {mark}" for mark in MARKS)]
    return table("Problems", heads, rows)


def _reaching(comparison: Comparison, mark: str) -> str:
    rows = []
    for arm in comparison.arms:
        counts = comparison.counts(arm, mark)
        found = {what: flat(values(counts, what)) for what in ("reached", *COSTS)}
        rows.append(
            [
                arm.label,
                f"{sum(found['reached']):.0f} of {len(found['reached'])}",
                spread(found["trials"], ".0f"),
                spread(found["epochs"], ".0f"),
                spread([seconds / HOUR_S for seconds in found["seconds"]], ".5f"),
                spread(found["at"], ".2f"),
            ]
        )
    heads = ["", "reached", "trials", "epochs", "compute hours", "simulated wall clock, s"]
    return table(f"To {MARKS[mark][0]}: median (least .. greatest) of the studies", heads, rows)


def _in_all(comparison: Comparison, trials: int) -> str:
    rows = []
    for arm in comparison.arms:
        totals = comparison.totals(arm)
        rows.append(
            [
                arm.label,
                spread([one.complete for one in totals], ".0f"),
                spread([one.epochs for one in totals], ".0f"),
                spread([one.seconds / HOUR_S for one in totals], ".5f"),
                spread([one.at for one in totals], ".2f"),
                spread([one.efficiency for one in totals], ".0%"),
                spread([one.way for one in totals], ".3f"),
                spread([one.whole_way for one in totals], ".3f"),
                "yes" if arm.conditional else "no",
            ]
        )
    heads = [
        "", "complete", "epochs", "compute hours", "simulated wall clock, s", "search-space efficiency",
        "final value: share of the way", "after all epochs", "conditional",
    ]  # fmt: skip
    return table(f"In {trials} trials", heads, rows)


def _against(comparison: Comparison, base: Arm, mark: str) -> str:
    rows = [
        [arm.label, *(_shown(comparison.ratios(arm, base, mark, what)) for what in COSTS)]
        for arm in comparison.arms
        if arm is not base
    ]
    title = f"How many times less than {base.label}, to {MARKS[mark][0]}"
    return table(
        f"{title}: geometric mean of the problems (least .. greatest)",
        ["", *(name for name, _ in COSTS.values())],
        rows,
    )


def _shown(found: Sequence[float]) -> str:
    return f"{statistics.geometric_mean(found):.1f} ({min(found):.1f} .. {max(found):.1f})"


def arguments(given: Sequence[str]) -> argparse.Namespace:
    """What is to be run."""
    parser = argparse.ArgumentParser(description="what pruners save on learning curves of real models")
    parser.add_argument("--arms", type=parse_arms, default=ARMS, help="SAMPLER+PRUNER,...; see studies/arms.py")
    parser.add_argument("--problems", nargs="+", default=["*"], metavar="GLOB", help="names")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trials", type=int, default=100, help="without pruning; what prunes gets the same epochs")
    parser.add_argument("--workers", type=int, default=1, help="how many trials run at a time, by a simulated clock")
    parser.add_argument("--processes", type=int, default=1, help="how many studies run at a time")
    parser.add_argument("--budget-s", type=float, default=float("inf"), help="begin no study after that many seconds")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "tpeak-benchmarks")
    parser.add_argument("--json", type=Path)
    return parser.parse_args(given)


def main() -> int:
    """Runs what the cache does not have and prints the tables; the exit code."""
    given = arguments(sys.argv[1:])
    chosen = problems(given.problems)
    wanted = jobs(given.arms, chosen, seeds=given.seeds, workers=given.workers, trials=given.trials)
    found = courses(wanted, given.cache, processes=given.processes, budget_s=given.budget_s)
    comparison = Comparison(given.arms, chosen, found)
    print(f"{len(chosen)} problems, {len(comparison.seeds)} seeds, {given.workers} workers", end="\n\n")
    print(described(chosen), end="\n\n")
    print(report(comparison, given.trials), end="\n\n")
    print(versions("numpy", "scipy", "scikit-learn", "optuna"))
    if given.json:
        write_json(given.json, named(comparison))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
