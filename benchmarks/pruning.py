"""What pruners save: trials, epochs and computing to good models, through the real server, beside Optuna 5.0.

    pip install --editable '.[bench,embedded]' optuna==5.0.0
    python benchmarks/pruning.py [--seeds 2] [--problems 'digits*'] [--workers 4] [--json figures.json]
    python benchmarks/pruning.py --arms 'random+nop,auto+percentile:{"percentile":25}'

Every arm, a sampler with a pruner, runs a study of 100 trials for each problem and seed. Trials follow learning curves
of models that were trained before (`problems/make_curves.py`). An arm of tpeak asks, reports every step and tells over
HTTP, with tpeak's client, on a server with its own PostgreSQL, and stops a trial where the server says so (without a
pruner it reports nothing); Optuna's are in memory. What the columns mean is said in `studies/counting.py`. Studies are
kept below `--cache`, by what they depend on.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from problems.curves import OF_BEST, WITHIN, CurveProblem, Marks, marks_of, problems
from report import spread, table, versions, write_json
from server import server
from studies.arms import Arm, parse_arms
from studies.cells import Cache
from studies.counting import Count, Course, Total, columns, count, ratios, total
from studies.of_pruned import study_of, version_of
from studies.stepwise import run

RUNGS = 'successive_halving:{"min_resource":1,"reduction_factor":3}'
"""Asynchronous rungs after a 27th, a ninth and a third of the steps."""

ARMS = (
    f"grid+nop,random+nop,random+{RUNGS},tpe+nop,tpe+median,tpe+hyperband,tpe+{RUNGS},"
    f"auto+nop,auto+median,auto+hyperband,auto+{RUNGS},"
    "optuna5_random+nop,optuna5+nop,optuna5+median,optuna5+hyperband"
)

BASES = ("random+nop", "grid+nop")
"""What the others are compared with, where they are among the arms."""

MARKS: Mapping[str, tuple[str, Callable[[Marks], float]]] = {
    "95": (f"{WITHIN:.0%} of the way from the random median to the best known value", lambda marks: marks.within),
    "99": (f"{OF_BEST:.0%} of the best known value", lambda marks: marks.of_best),
}
"""By its short name, what is to be reached."""

COSTS: Mapping[str, tuple[str, str]] = {
    "trials": ("trials", "trials"),
    "epochs": ("epochs", "epochs"),
    "seconds": ("compute", "s"),
    "at": ("simulated wall clock", "s"),
}
"""By the field of a count, what it is called, and its unit."""

FILE = "courses.jsonl"

HOUR_S = 3600.0


class Runner:
    """Runs the studies that the cache does not have; the server is started for the first one that needs it."""

    def __init__(self, folder: Path, *, trials: int, workers: int, budget_s: float) -> None:
        self._cache = Cache(folder, Course, FILE)
        self._trials = trials
        self._workers = workers
        self._end = time.monotonic() + budget_s
        self._open = ExitStack()
        self._served = False

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, *failure: object) -> None:
        self._open.close()

    def course(self, arm: Arm, problem: CurveProblem, seed: int) -> Course | None:
        """The study, None where there is no time left for it."""
        names = ("arm", "version", "problem", "fingerprint", "seed", "workers", "trials")
        fingerprint = marks_of(problem).fingerprint
        key = (arm.label, version_of(arm), problem.name, fingerprint, seed, self._workers, self._trials)
        known = self._cache.find(key, self._trials)
        if known is not None or time.monotonic() > self._end:
            return known
        if arm.sampler.of_tpeak and not self._served:
            self._serve()
        study = study_of(arm, problem, seed, self._trials)
        trials = columns(run(study, problem, trials=self._trials, workers=self._workers))
        course = Course(**dict(zip(names, key, strict=True)), **trials)  # type: ignore[arg-type]
        self._cache.add(course)
        return course

    def _serve(self) -> None:
        address = self._open.enter_context(server()).address
        os.environ |= {"TPEAK_URL": f"http://{address.host}:{address.port}", "TPEAK_TOKEN": address.token}
        self._served = True


class Comparison:
    """Counts and totals by arm and problem, over the seeds that all arms have finished on all problems."""

    def __init__(self, arms: Sequence[Arm], chosen: Sequence[CurveProblem], courses: Sequence[Course]) -> None:
        self.arms = arms
        self._problems = chosen
        by_key = {(course.arm, course.problem, course.seed): course for course in courses}
        self.seeds = [
            seed
            for seed in sorted({course.seed for course in courses})
            if all((arm.label, problem.name, seed) in by_key for arm in arms for problem in chosen)
        ]
        self._courses = by_key

    def counts(self, arm: Arm, mark: str) -> dict[str, list[Count]]:
        """Problem -> what each seed's study took to reach the mark."""
        _, of = MARKS[mark]
        return {
            problem.name: [
                count(course, of(marks_of(problem)), marks_of(problem), problem.steps)
                for course in self._of(arm, problem)
            ]
            for problem in self._problems
        }

    def totals(self, arm: Arm) -> list[Total]:
        """Of every study."""
        return [total(course, marks_of(problem)) for problem in self._problems for course in self._of(arm, problem)]

    def ratios(self, arm: Arm, base: Arm, mark: str, what: str) -> list[float]:
        """How many times more of `what` the base needs to reach the mark, by problem."""
        own, other = (_values(self.counts(one, mark), what) for one in (arm, base))
        return ratios(own, other)

    def bases(self) -> list[Arm]:
        """The arms to compare with."""
        return [arm for label in BASES for arm in self.arms if arm.label == label]

    def _of(self, arm: Arm, problem: CurveProblem) -> Iterator[Course]:
        return (self._courses[arm.label, problem.name, seed] for seed in self.seeds)


def report(comparison: Comparison, trials: int) -> str:
    """The tables."""
    if not comparison.seeds:
        return "no seed is finished for all problems and arms"
    parts = [*(_reaching(comparison, mark) for mark in MARKS), _in_all(comparison, trials)]
    parts += [_against(comparison, base, mark) for base in comparison.bases() for mark in MARKS]
    return "\n\n".join(parts)


def named(comparison: Comparison) -> dict[str, tuple[str, Sequence[float]]]:
    """The figures by name: of every study what it took and came to, and of every problem the ratios."""
    figures: dict[str, tuple[str, Sequence[float]]] = {}
    for arm in comparison.arms if comparison.seeds else ():
        for mark in MARKS:
            counts = comparison.counts(arm, mark)
            figures[f"reached_{mark}_{arm.label}"] = ("share", _flat(_values(counts, "reached")))
            for what, (_, unit) in COSTS.items():
                figures[f"{what}_{mark}_{arm.label}"] = (unit, _flat(_values(counts, what)))
            for base in comparison.bases():
                for what in COSTS:
                    found = comparison.ratios(arm, base, mark, what)
                    figures[f"{what}_{mark}_{arm.label}_of_{base.sampler.name}"] = ("times", found)
        for what, unit in (("epochs", "epochs"), ("seconds", "s"), ("efficiency", "share"), ("way", "share")):
            figures[f"{what}_{arm.label}"] = (unit, [float(getattr(one, what)) for one in comparison.totals(arm)])
    return figures


def _reaching(comparison: Comparison, mark: str) -> str:
    rows = []
    for arm in comparison.arms:
        counts = comparison.counts(arm, mark)
        flat = {what: _flat(_values(counts, what)) for what in ("reached", "trials", "epochs", "seconds", "at")}
        rows.append(
            [
                arm.label,
                f"{sum(flat['reached']):.0f} of {len(flat['reached'])}",
                spread(flat["trials"], ".0f"),
                spread(flat["epochs"], ".0f"),
                spread([seconds / HOUR_S for seconds in flat["seconds"]], ".5f"),
                spread(flat["at"], ".2f"),
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
                "yes" if arm.conditional else "no",
            ]
        )
    heads = [
        "", "complete", "epochs", "compute hours", "simulated wall clock, s", "search-space efficiency",
        "final value: share of the way", "conditional",
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


def _values(counts: Mapping[str, Sequence[Count]], what: str) -> dict[str, list[float]]:
    return {name: [float(getattr(one, what)) for one in each] for name, each in counts.items()}


def _flat(values: Mapping[str, Sequence[float]]) -> list[float]:
    return [value for each in values.values() for value in each]


def arguments(given: Sequence[str]) -> argparse.Namespace:
    """What is to be run."""
    parser = argparse.ArgumentParser(description="what pruners save on learning curves of real models")
    parser.add_argument("--arms", type=parse_arms, default=ARMS, help="SAMPLER+PRUNER,...; see studies/arms.py")
    parser.add_argument("--problems", nargs="+", default=["*"], metavar="GLOB", help="names")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--workers", type=int, default=1, help="how many trials run at a time, by a simulated clock")
    parser.add_argument("--budget-s", type=float, default=float("inf"), help="begin no study after that many seconds")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "tpeak-benchmarks")
    parser.add_argument("--json", type=Path)
    return parser.parse_args(given)


def main() -> int:
    """Runs what the cache does not have and prints the tables; the exit code."""
    given = arguments(sys.argv[1:])
    chosen = problems(given.problems)
    with Runner(given.cache, trials=given.trials, workers=given.workers, budget_s=given.budget_s) as runner:
        found = [
            runner.course(arm, problem, seed) for seed in range(given.seeds) for problem in chosen for arm in given.arms
        ]
    comparison = Comparison(given.arms, chosen, [course for course in found if course is not None])
    print(f"{len(chosen)} problems, {len(comparison.seeds)} seeds, {given.workers} workers", end="\n\n")
    print(report(comparison, given.trials), end="\n\n")
    print(versions("numpy", "scipy", "scikit-learn", "optuna"))
    if given.json:
        write_json(given.json, named(comparison))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
