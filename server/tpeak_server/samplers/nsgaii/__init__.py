"""NSGA-II (Deb et al. 2002), with asynchronous generations.

A trial's origin, `nsgaii 7`, says which generation it was proposed in. The parents of a generation are chosen from the
complete trials alone: those of the generation before and their parents, feasible ones first, then by front of
non-domination, then the least crowded. Until the latest generation has `population_size` complete trials, new trials
belong to it; so parallel workers never wait, and late results compete with all others of their generation. Failed,
pruned and lost trials are never parents. Trials of no generation, enqueued or of another sampler, are in the first.

| symbol | shape | meaning |
|---|---|---|
| d, e | | numeric and categorical parameters |
| parents | (d + e, parents) | coordinates: 0 .. 1 over each range, on its scale; indices of choices; NaN where absent |
| individuals | (n, 2 + k) | number, violation and the k losses |

Read `sampler` first, then `selection` (who survives), `children` and `crossover` (what becomes of them).
"""

from tpeak_server.samplers.nsgaii.sampler import NSGAIISampler

__all__ = ["NSGAIISampler"]
