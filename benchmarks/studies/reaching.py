"""Arms compared: what their studies took to reach marks, and what they came to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from problems.curves import OF_BEST, WITHIN, CurveProblem, Marks, marks_of
from studies.arms import Arm
from studies.counting import Count, Course, Total, count, ratios, total

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
        own, other = (values(self.counts(one, mark), what) for one in (arm, base))
        return ratios(own, other)

    def bases(self) -> list[Arm]:
        """The arms to compare with."""
        return [arm for label in BASES for arm in self.arms if arm.label == label]

    def _of(self, arm: Arm, problem: CurveProblem) -> Iterator[Course]:
        return (self._courses[arm.label, problem.name, seed] for seed in self.seeds)


def named(comparison: Comparison) -> dict[str, tuple[str, Sequence[float]]]:
    """The figures by name: of every study what it took and came to, and of every problem the ratios."""
    figures: dict[str, tuple[str, Sequence[float]]] = {}
    for arm in comparison.arms if comparison.seeds else ():
        for mark in MARKS:
            counts = comparison.counts(arm, mark)
            figures[f"reached_{mark}_{arm.label}"] = ("share", flat(values(counts, "reached")))
            for what, (_, unit) in COSTS.items():
                figures[f"{what}_{mark}_{arm.label}"] = (unit, flat(values(counts, what)))
            for base in comparison.bases():
                for what in COSTS:
                    found = comparison.ratios(arm, base, mark, what)
                    figures[f"{what}_{mark}_{arm.label}_of_{base.sampler.name}"] = ("times", found)
        for what, unit in (
            ("epochs", "epochs"),
            ("seconds", "s"),
            ("efficiency", "share"),
            ("way", "share"),
            ("whole_way", "share"),
        ):
            figures[f"{what}_{arm.label}"] = (unit, [float(getattr(one, what)) for one in comparison.totals(arm)])
    return figures


def values(counts: Mapping[str, Sequence[Count]], what: str) -> dict[str, list[float]]:
    """One field of the counts."""
    return {name: [float(getattr(one, what)) for one in each] for name, each in counts.items()}


def flat(by_problem: Mapping[str, Sequence[float]]) -> list[float]:
    """Those of all problems."""
    return [value for each in by_problem.values() for value in each]
