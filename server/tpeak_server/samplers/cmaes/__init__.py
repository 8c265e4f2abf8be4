"""Covariance matrix adaptation (Hansen, arXiv 1604.00772), by the package `cmaes`, with asynchronous generations.

A trial's origin, `cmaes 7`, says which generation it was proposed in. The distribution that a new trial is drawn from
is computed from the finished trials alone: one update a generation, from the results of the trials proposed in it,
whenever they came. Until the latest generation has enough results, new trials belong to it; so parallel workers never
wait, and a generation may get more results than it needs: then the best and the worst of them count, as in a larger
population with the same number of parents. A failed trial is none; another one takes its place. A lost or infeasible
one is worse than all others. Enqueued trials, and those of another sampler, belong to no generation.

A trial's point is drawn with a generator of its own, so that its proposal can be drawn again.

Read `sampler` first, then `evolution` with its table of symbols, and `generations` beside this package.
"""

from tpeak_server.samplers.cmaes.sampler import CmaEsSampler

__all__ = ["CmaEsSampler"]
