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
from pathlib import Path

from studies.cells import parse_samplers
from studies.worker import FLAG, serve


def main() -> int:
    """Runs what the cache does not have and prints the comparison; the exit code."""
    if FLAG in sys.argv:
        serve()
        return 0
    from problems.catalogue import chosen
    from studies.comparison import Comparison, named, report
    from studies.runner import Interpreters, run_all

    given = _arguments()
    samplers = parse_samplers(given.samplers)
    problems = chosen(given.problems, given.half)
    interpreters = Interpreters(script=__file__, cache=given.cache, optuna4=given.optuna4)
    cells = run_all(
        samplers,
        problems,
        seeds=given.seeds,
        trials=given.trials,
        processes=given.processes,
        budget_s=given.budget_s,
        interpreters=interpreters,
    )
    comparison = Comparison(samplers, problems, cells, given.trials)
    print(report(comparison))
    if given.json:
        from report import write_json

        write_json(given.json, named(comparison))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="regret of samplers on many small problems")
    parser.add_argument(
        "--samplers", default="tpe,optuna5,optuna5_group,optuna4", help='e.g. tpe,tpe:{"n_ei_candidates":64},random'
    )
    parser.add_argument("--problems", nargs="+", default=["*"], metavar="GLOB", help="names or families")
    parser.add_argument("--half", choices=["tune", "report", "all"], default="all")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--budget-s", type=float, default=float("inf"), help="begin no study after that many seconds")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "tpeak-benchmarks")
    parser.add_argument("--optuna4", help="an interpreter with Optuna 4.9; without it one is installed below the cache")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
