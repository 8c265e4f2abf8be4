"""How good the suggestions are: regret of tpeak's sampler beside Optuna's, on many small problems.

    pip install --editable '.[bench]' optuna==5.0.0
    python benchmarks/samplers.py [--samplers tpe,optuna5] [--problems conditional 'bbob*'] [--half report]

A study of 200 trials is run for every problem, seed and sampler. The regret is 0 at the best value of the problem and 1
at the median of what random search draws; a noisy problem's is that of the noiseless value of the trial that looked
best. The first sampler is compared with each of the others. Finished studies are kept below `--cache`, by the
sampler's sources and the problem's values, so that a change of one sampler runs that one alone.
"""

from __future__ import annotations

import argparse
import sys

from studies.cells import parse_samplers
from studies.worker import FLAG, serve


def main() -> int:
    """Runs what the cache does not have and prints the comparison; the exit code."""
    if FLAG in sys.argv:
        serve()
        return 0
    from problems.catalogue import chosen
    from studies.command import run
    from studies.comparison import Comparison, named, report

    given = _arguments()
    samplers = parse_samplers(given.samplers)
    problems = chosen(given.problems, given.half)
    cells = run(given, samplers, problems, __file__)
    comparison = Comparison(samplers, problems, cells, given.trials)
    print(report(comparison))
    if given.json:
        from report import write_json

        write_json(given.json, named(comparison))
    return 0


def _arguments() -> argparse.Namespace:
    from studies.command import parser

    found = parser(
        "regret of samplers on many small problems",
        samplers="tpe,optuna5,optuna5_group,optuna4",
        seeds=10,
        trials=200,
        processes=2,
    )
    found.add_argument("--problems", nargs="+", default=["*"], metavar="GLOB", help="names or families")
    found.add_argument("--half", choices=["tune", "report", "all"], default="all")
    return found.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
