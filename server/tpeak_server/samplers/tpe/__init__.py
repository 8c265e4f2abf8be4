"""The tree-structured Parzen estimator (Bergstra et al. 2011; its parts compared by Watanabe, arXiv 2304.11127).

Finished trials are split into few good and many bad ones; a kernel mixture over all parameters jointly is fitted to
each. Candidates are drawn from the good mixture l; the one with the largest log l - log g is suggested. Choices that
decide which other parameters there are come first, each by itself. Trials under way count as bad (a constant liar), so
that parallel workers keep apart.

| symbol | shape | unit | meaning |
|---|---|---|---|
| n | | trials | finished ones: complete, pruned, lost |
| m | | trials | pending ones, those drawn earlier in the same batch included |
| c | | points | candidates |
| d, e | | | numeric and categorical parameters that have more than one value |
| u, unit | (d, ·) | 0 .. 1 of the range, on its scale | numeric coordinates, NaN where a point lacks the parameter |
| choice | (e, ·) | index | categorical coordinates, -1 where a point lacks the parameter |
| centre | (d, kernels) | as u | means of the truncated normal kernels |
| bandwidth | (d, kernels) | as u | their standard deviations, before truncation |
| own | (e, kernels) | index | the choices that categorical kernels favour |
| weight | (kernels,) | | relative, one per trial; the prior kernel has `Rules.prior_weight` |
| uniforms | (1 + d + e, c) | 0 .. 1 | the randomness of one suggestion: kernel, then one number a coordinate |
| score | (c,) | | log l - log g, up to what all candidates share |

A coordinate that a *kernel* lacks has the prior's density there: the trial says nothing about that parameter, be it
conditional, new, or told with a value that the current range does not hold. A coordinate that a *point* lacks is
integrated out. So one mixture serves conditional spaces, and gives the density of the fixed parameters alone. Which
parameters a candidate lacks is learned (`samplers.structure`): what belongs to a branch that it does not take is not
judged.

What a study began with, trials of other studies, has kernels of its own in both mixtures, which weigh less and less
(`warm`).

Read `sampler` first, then `draw`, `model`, `split` (of several objectives `volume` and `fronts`), `mixture`, and the
two kinds of kernel in `normal` (with `cells`) and `categorical`; `rules` has what differs between the project's own
estimator and the reference, Optuna's.
"""

from tpeak_server.samplers.tpe.sampler import TPESampler

__all__ = ["TPESampler"]
