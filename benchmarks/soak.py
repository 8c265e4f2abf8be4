"""Whether the server's memory grows under a steady load: the slope of what it occupies over time.

    python benchmarks/soak.py [--minutes 10] [--json FILE]

Studies are created, worked through and finished all the time. Exits with 1 where the whole 95 percent interval of the
slope after the warm-up lies above the bound; the interval allows for samples that resemble their neighbours.
"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cycles.cycle import CALLS, Measured
from cycles.figures import Slope, quantile, slope
from cycles.steady_load import SteadyLoad
from load import drive
from memory import resident_mib
from report import versions, write_json
from server import server

BOUND_MIB_PER_H = 30.0
"""Of 50 cycles a second that is 175 bytes a trial that would never be freed."""

WARMUP_SHARE = 0.3
"""Of the run: the caches of idle studies fill up to their limit, and the allocator finds its size."""

HOUR_S = 3600.0


def main() -> int:
    """Measures and prints; the exit code."""
    given = _arguments()
    seconds = 60.0 * given.minutes
    samples, load = watch(SteadyLoad(rate=given.rate, seconds=seconds, trials=given.trials), given.every)
    counted = [(moment, mib) for moment, mib in samples if moment >= WARMUP_SHARE * seconds]
    found = per_hour(counted)
    grows = found.exceeds(given.bound)
    print(
        f"{given.minutes:g} minutes, {load.cycles / load.seconds:.1f} cycles/s in studies of {given.trials} trials, "
        f"{len(samples)} samples, of which {len(counted)} count"
    )
    for call in CALLS:
        print(f"{call} ms: p50 {quantile(getattr(load, call), 0.5):.1f}, p99 {quantile(getattr(load, call), 0.99):.1f}")
    first, warm, last = samples[0][1], counted[0][1], samples[-1][1]
    print(f"the server had {first:.1f} MiB at first, {warm:.1f} after the warm-up, {last:.1f} at the end")
    verdict = "more than" if grows else "not certainly more than"
    print(f"growth {found.value:.1f} +- {found.margin:.1f} MiB/hour, {verdict} the bound of {given.bound:g}")
    print(versions("tpeak", "fastapi", "uvicorn", "psycopg", "numpy"))
    if given.json:
        figures = {
            "memory_mib_per_hour": ("MiB/h", [found.value]),
            "memory_mib_per_hour_margin": ("MiB/h", [found.margin]),
            "memory_mib": ("MiB", [mib for _, mib in counted]),
            "steady_cycles_per_s": ("1/s", [load.cycles / load.seconds]),
        }
        write_json(given.json, figures)
    return int(grows)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="the slope of the server's memory under a steady load")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=50.0, help="cycles a second")
    parser.add_argument("--trials", type=int, default=50, help="of a study until it is finished")
    parser.add_argument("--every", type=float, default=3.0, help="seconds between two looks at the memory")
    parser.add_argument("--bound", type=float, default=BOUND_MIB_PER_H, help="MiB an hour")
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args()


def watch(steady: SteadyLoad, every_s: float) -> tuple[list[tuple[float, float]], Measured]:
    """Samples of seconds from the start and MiB while the load runs, and what it measured."""
    samples = []
    with server() as running, ThreadPoolExecutor(1) as pool:
        began = time.monotonic()
        load = pool.submit(drive, running.address, steady)
        while not load.done():
            samples.append((time.monotonic() - began, resident_mib(running.pid)))
            time.sleep(every_s)
        return samples, load.result()


def per_hour(samples: list[tuple[float, float]]) -> Slope:
    """The slope of MiB over hours."""
    return slope([moment / HOUR_S for moment, _ in samples], [mib for _, mib in samples])


if __name__ == "__main__":
    sys.exit(main())
