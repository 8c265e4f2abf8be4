"""Arms of the comparison of pruners: a sampler with a pruner, of tpeak or of Optuna."""

from __future__ import annotations

from dataclasses import dataclass

from studies.cells import Sampler, Spec, parsed, split

WITHOUT_CONDITIONS = ("grid", "optuna5_grid", "optuna5_qmc", "optuna5_gp", "optuna5_cmaes")
"""Samplers that do not search parameters which only some trials have: they leave them out, or draw them at random."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """What a study is run with."""

    sampler: Sampler
    pruner: Spec

    @property
    def label(self) -> str:
        """The same text for the same arm."""
        return f"{self.sampler.label}+{self.pruner.label}"

    @property
    def conditional(self) -> bool:
        """Whether the sampler searches conditional parameters, too."""
        return self.sampler.name not in WITHOUT_CONDITIONS


def parse_arms(text: str) -> list[Arm]:
    """The arms of `random+nop,auto+hyperband:{"reduction_factor":4},optuna5+median`, in order; no pruner is `nop`."""
    found = []
    for part in split(text, ","):
        sampler, *pruners = split(part, "+")
        if len(pruners) > 1:
            raise ValueError(f"{part!r} has more than one pruner")
        pruner = Spec(**parsed(pruners[0] if pruners else "nop"))
        found.append(Arm(sampler=Sampler(**parsed(sampler)), pruner=pruner))
    return found
