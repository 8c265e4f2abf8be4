"""The results: each printed as it comes, and kept by name."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from cycles.cycle import CALLS, Measured
from cycles.experiments import CREW, Cold
from cycles.figures import quantile
from cycles.overload import Overloaded
from report import spread, table

SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
USUAL_WORKERS = 16
"""The workers of the figures whose names do not say how many."""


class Sheet:
    """The figures so far: by name the unit, and the value of each run."""

    def __init__(self) -> None:
        self.named: dict[str, tuple[str, list[float]]] = {}

    def values(self, name: str, unit: str, values: Sequence[float]) -> None:
        """Keeps a figure."""
        self.named[name] = unit, list(values)

    def closed(self, trials: int, workers: int, runs: Sequence[Measured]) -> None:
        """The runs of a closed loop."""
        suffix = str(trials) if workers == USUAL_WORKERS else f"{trials}_{workers}_workers"
        self.values(f"cycles_per_s_{suffix}", "1/s", per_s(runs))
        for call in CALLS:
            for label, share in SHARES.items():
                self.values(f"{call}_{label}_ms_{suffix}", "ms", times(runs, call, share))
        self._show(f"{trials:,} trials, closed loop, {workers:,} workers", runs)

    def opened(self, trials: int, workers: int, rate: float, runs: Sequence[Measured]) -> None:
        """The runs of an open loop."""
        for call in CALLS:
            for label, share in SHARES.items():
                self.values(f"{call}_{label}_ms_{workers}_workers_{trials}", "ms", times(runs, call, share))
        self._show(f"{trials:,} trials, open loop, {workers:,} workers, {rate:g} cycles/s due", runs)

    def worst_open(self, workers: int) -> None:
        """The open loop's slowest asks: of the size with the greatest median."""
        found = [
            values for name, (_, values) in self.named.items() if name.startswith(f"ask_p99_ms_{workers}_workers_")
        ]
        self.values(f"ask_p99_ms_{workers}_workers", "ms", max(found, key=statistics.median))

    def real_clients(self, trials: int, runs: Sequence[Measured]) -> None:
        """The runs of the real client."""
        self.values("real_clients_cycles_per_s", "1/s", per_s(runs))
        self._show(f"{trials:,} trials, {CREW} processes with the real client", runs)

    def cold(self, trials: int, params: int, runs: Sequence[Cold]) -> None:
        """First asks of a study that was not loaded."""
        seconds, mib = [run.seconds for run in runs], [run.mib for run in runs]
        self.values(f"first_ask_s_{trials}", "s", seconds)
        self.values(f"server_mib_{trials}", "MiB", mib)
        print(f"\n{trials:,} trials x {params} parameters, a server that has just started:")
        print(f"the first ask takes {spread(seconds, '.2f')} s, the server then has {spread(mib)} MiB\n", flush=True)

    def overload(self, trials: int, workers: int, found: Sequence[Overloaded]) -> None:
        """Loads that were more than sustainable."""
        self.values(f"peak_cycles_per_s_{trials}", "1/s", [one.peak for one in found])
        self.values(f"sustained_cycles_per_s_{trials}", "1/s", [one.sustained for one in found])
        self.values(f"overload_cycles_per_s_{trials}", "1/s", [one.done for one in found])
        self.values(f"overload_ratio_{trials}", "", [one.ratio for one in found])
        self._show(f"{trials:,} trials, {workers:,} workers, twice the sustainable rate", [one.run for one in found])
        peak, sustained = ([getattr(one, name) for one in found] for name in ("peak", "sustained"))
        print(f"peak {spread(peak)} cycles/s, sustained {spread(sustained)}")
        print(f"share of the peak at twice that: {spread([one.ratio for one in found], '.2f')}\n", flush=True)

    def _show(self, title: str, runs: Sequence[Measured]) -> None:
        rows = [[f"{call} ms", *(spread(times(runs, call, share)) for share in SHARES.values())] for call in CALLS]
        rows.insert(0, ["cycles/s", spread(per_s(runs)), "", ""])
        counted = f"{len(runs)} runs of {spread([run.cycles for run in runs], '.0f')} cycles that count"
        print(table(f"{title}; {counted}", ["", *SHARES], rows))
        troubles = {
            "refused for the time being": sum(run.refused for run in runs),
            "begun or due, and not ended": sum(run.unfinished for run in runs),
        }
        print("".join(f"{what}: {count}\n" for what, count in troubles.items() if count), end="")
        busy = [run.load_cpu_s / run.load_s for run in runs if run.load_s]
        print(f"the load took {spread(busy, '.2f')} of a core\n" if busy else "", flush=True)


def per_s(runs: Sequence[Measured]) -> list[float]:
    """Each run's cycles a second."""
    return [run.cycles / run.seconds for run in runs]


def times(runs: Sequence[Measured], call: str, share: float) -> list[float]:
    """Each run's milliseconds that this share of its calls was below; infinity where there was no such call."""
    return [quantile(found, share) if (found := getattr(run, call)) else float("inf") for run in runs]
