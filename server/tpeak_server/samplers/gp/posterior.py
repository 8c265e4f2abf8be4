"""What a Gaussian process expects anywhere, once it has seen some losses."""

from __future__ import annotations

import numpy as np
from scipy.linalg import cholesky, solve_triangular

from tpeak_server.domain.observations import Floats
from tpeak_server.samplers.gp.fit import NUGGET
from tpeak_server.samplers.gp.kernel import Inputs, Scales, covariance, variance

LEAST_VARIANCE = 1e-12


class Posterior:
    """Mean and standard deviation of the loss, given the losses (n,) of n points."""

    def __init__(self, scales: Scales, points: Inputs, loss: Floats) -> None:
        self._scales = scales
        self._points = points
        self._factor = cholesky(self._with_noise(covariance(scales, points, points)), lower=True, check_finite=False)
        half = solve_triangular(self._factor, loss, lower=True, check_finite=False)
        self._solved = solve_triangular(self._factor, half, lower=True, trans=1, check_finite=False)
        self.mean: Floats = loss - (scales.noise + NUGGET) * self._solved
        """The mean (n,) at the points seen, followed by those beside them."""

    def beside(self, pending: Inputs) -> Posterior:
        """The same with more points, whose losses are not known yet.

        They are taken to be what is expected there (the kriging believer of Ginsbourger et al. 2010): the mean stays as
        it is, there is no doubt left about these points, and the best of them may be what is to be improved on.
        """
        if not len(pending):
            return self
        across = covariance(self._scales, self._points, pending)
        below = solve_triangular(self._factor, across, lower=True, check_finite=False).T
        corner = self._with_noise(covariance(self._scales, pending, pending)) - below @ below.T
        n, m = len(self._points), len(pending)
        other = object.__new__(Posterior)
        other._scales, other._solved = self._scales, self._solved
        other.mean = np.append(self.mean, self._solved @ across[: len(self._solved)])
        other._points = self._points.joined(pending)
        other._factor = np.zeros((n + m, n + m))
        other._factor[:n, :n], other._factor[n:, :n] = self._factor, below
        other._factor[n:, n:] = cholesky(corner, lower=True, check_finite=False)
        return other

    def at(self, points: Inputs) -> tuple[Floats, Floats]:
        """The mean and the standard deviation (c,) of the loss, without noise."""
        across = covariance(self._scales, self._points, points)
        mean = self._solved @ across[: len(self._solved)]
        half = solve_triangular(self._factor, across, lower=True, check_finite=False)
        left = variance(self._scales, points) - np.einsum("ij,ij->j", half, half)
        return mean, np.sqrt(np.maximum(left, LEAST_VARIANCE))

    def _with_noise(self, matrix: Floats) -> Floats:
        matrix.ravel()[:: len(matrix) + 1] += self._scales.noise + NUGGET
        return matrix
