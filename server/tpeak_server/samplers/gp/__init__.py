"""Bayesian optimization with a Gaussian process, for few trials that are worth thinking about.

The losses of all finished trials are taken for one draw of a Gaussian process over all parameters jointly: a line and a
parabola along each of them, and beside that anything smooth. Its scales are the most probable ones. The point is
suggested whose loss is expected to improve most on the least one, among random points, draws from the good density of
the tree-structured Parzen estimator, and mutations of the best trials, of which the best are mutated further.

A pruned trial counts with the loss that `extrapolation` expects of it, where reports are known.

| symbol | shape | unit | meaning |
|---|---|---|---|
| n, m, c | | points | finished trials, pending ones, candidates |
| d, e | | | numeric and categorical parameters that have more than one value |
| unit | (d, ·) | 0 .. 1 of the range, on its scale | numeric coordinates; of those that a point lacks the middle |
| choice | (e, ·) | index | categorical coordinates, -1 where a point lacks the parameter |
| q | (·, ·) | | squared distance, each coordinate times its sharpness |
| sharpness | (d + e,) | 1 / length^2 | how fast the loss changes along each coordinate |
| loss | (n,) | standard deviations | losses as `losses` shapes them: robust, and hardly changed by a monotonic scale |
| mean, deviation | (c,) | as loss | what the loss is expected to be, without noise |
| improvement | (c,) | log | of the expected improvement: log E[max(least - loss, 0)] |

Read `sampler` first, then `search`, `posterior`, `kernel` and `fit`.
"""

from tpeak_server.samplers.gp.sampler import GPSampler

__all__ = ["GPSampler"]
