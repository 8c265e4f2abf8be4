"""A member of a crew with the real client: `python -m cycles.of_tpeak PARAMS CYCLES STUDY...`. TPEAK_URL and
TPEAK_TOKEN say where the server is; each of the studies, by their names, gets CYCLES of this member's cycles.
"""

from __future__ import annotations

import sys
import time

import tpeak
from cycles.crew import serve
from cycles.cycle import loss


def main() -> None:
    """Runs the cycles of one member."""
    params, cycles, *names = sys.argv[1:]
    studies = [tpeak.load_study(study_name=name) for name in names]

    def step(number: int, times: list[float]) -> None:
        study = studies[number // int(cycles)]
        trial = study.ask()
        value = loss({name: trial.suggest_float(name, 0.0, 1.0) for name in (f"x{n}" for n in range(int(params)))})
        times.append(time.monotonic())
        trial.report(value, 0)
        times.append(time.monotonic())
        study.tell(trial, value)
        times.append(time.monotonic())

    serve(step, limit=int(cycles) * len(studies))


if __name__ == "__main__":
    main()
