"""How good the suggestions are: regret of tpeak's samplers beside Optuna's, on many small problems.

    pip install --editable '.[bench]' optuna==5.0.0
    python benchmarks/samplers.py [--samplers tpe,optuna5] [--problems conditional 'bbob*'] [--half report]
    python benchmarks/samplers.py --sampler auto [--json figures.json]

A study of 200 trials is run for every problem, seed and sampler. The regret is 0 at the best value of the problem and 1
at the median of what random search draws; a noisy problem's is that of the noiseless value of the trial that looked
best. Of several objectives it is the share of the front's volume that was not found, and the volume is what is shown.
The first sampler is compared with each of the others. `--sampler` is one of tpeak's by its name on the wire: it is
compared with Optuna 5.0's of the same name on the problems that suit it (`studies/matches.py`). Finished studies are
kept below `--cache`, by the sampler's sources and the problem's values, so that a change of one sampler runs that one
alone.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

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
    from studies.matches import match_of

    given = arguments(sys.argv[1:])
    match = match_of(given.sampler)
    samplers = parse_samplers(given.samplers)
    problems = chosen(given.problems, given.half)
    cells = run(given, samplers, problems, __file__)
    comparison = Comparison(samplers, problems, cells, given.trials, match.headline)
    if match.note:
        print(match.note, end="\n\n")
    print(report(comparison, halved=match.halved))
    if given.json:
        from report import write_json

        write_json(given.json, named(comparison, halved=match.halved))
    return 0


def arguments(given: Sequence[str]) -> argparse.Namespace:
    """What is to be run: the defaults are those of the sampler that is named."""
    from studies.command import parser
    from studies.matches import MATCHES, match_of

    one = argparse.ArgumentParser(add_help=False)
    one.add_argument("--sampler", choices=MATCHES, help="beside Optuna 5.0's of this name, where that suits")
    match = match_of(one.parse_known_args(given)[0].sampler)
    found = parser(
        "regret of samplers on many small problems",
        samplers=",".join(match.samplers),
        seeds=10,
        trials=match.trials,
        processes=2,
        parents=[one],
    )
    found.add_argument("--problems", nargs="+", default=match.families, metavar="GLOB", help="names or families")
    found.add_argument("--half", choices=["tune", "report", "all"], default="all")
    return found.parse_args(given)


if __name__ == "__main__":
    raise SystemExit(main())
