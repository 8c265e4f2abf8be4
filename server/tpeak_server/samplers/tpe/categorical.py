"""Categorical coordinates of kernels: mostly the trial's own choice, else any.

A kernel's probabilities are (one-hot + 1 / N) normalised over the C choices, with N kernels in the mixture. That is:
the own choice with probability `stay` = N / (N + C), else uniform over all. A kernel without a choice is uniform.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tpeak_server.domain.observations import Floats


@dataclass(frozen=True, slots=True)
class Categoricals:
    """The categorical coordinates of kernels: `own` (e, kernels), MISSING where a kernel is uniform."""

    own: NDArray[np.int64]
    log_other: Floats
    """(e, kernels): the log probability of a choice that is not the own one."""
    log_lift: Floats
    """(e, 1): how much larger the log probability of the own choice is."""
    stay: Floats
    """(e, 1)"""
    sizes: NDArray[np.int64]
    """(e, 1)"""

    def joined(self, other: Categoricals) -> Categoricals:
        """These kernels followed by other ones of the same mixture."""
        return Categoricals(
            np.concatenate([self.own, other.own], axis=1),
            np.concatenate([self.log_other, other.log_other], axis=1),
            self.log_lift,
            self.stay,
            self.sizes,
        )

    def take(self, which: slice) -> Categoricals:
        """Some of the kernels."""
        return Categoricals(self.own[:, which], self.log_other[:, which], self.log_lift, self.stay, self.sizes)

    def sample(self, kernels: NDArray[np.int64], uniforms: Floats) -> NDArray[np.int64]:
        """One choice (e, c) from each of the chosen kernels (c,)."""
        own = self.own[:, kernels]
        stays = (uniforms < self.stay) & (own >= 0)
        # What is left of the same number is uniform again; where the kernel is uniform it is the number itself.
        rest = np.where(own >= 0, (uniforms - self.stay) / (1.0 - self.stay), uniforms)
        anything = np.clip(rest * self.sizes, 0, self.sizes - 1).astype(np.int64)
        return np.where(stays, own, anything)

    def add_log_density(self, total: NDArray[np.floating], choice: NDArray[np.int64]) -> None:
        """Adds the log probabilities of points (e, c) to (c, kernels), nothing for missing coordinates."""
        known = choice >= 0
        total += known.T.astype(total.dtype) @ self.log_other.astype(total.dtype)
        for chosen, has, own, lift in zip(choice, known, self.own, self.log_lift, strict=True):
            total += lift.astype(total.dtype) * ((chosen[:, np.newaxis] == own) & has[:, np.newaxis])


def categoricals(choice: NDArray[np.int64], kernels: Floats, sizes: NDArray[np.int64]) -> Categoricals:
    """Kernels at these choices (e, n) for a mixture of that many kernels (e, 1), the prior's included."""
    log_other = np.where(choice >= 0, -np.log(kernels + sizes), -np.log(sizes))
    return Categoricals(
        own=choice,
        log_other=log_other,
        log_lift=np.log(kernels + 1.0),
        stay=kernels / (kernels + sizes),
        sizes=sizes,
    )
