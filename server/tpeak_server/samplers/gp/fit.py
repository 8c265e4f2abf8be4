"""The scales of a Gaussian process, by their largest posterior probability.

All are estimated as logarithms, theta (d + e + 3,), with normal priors. The search begins at the priors' means,
whatever was found before: a replay must find the same.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.linalg import blas, lapack
from scipy.optimize import minimize

from tpeak_server.domain.observations import Floats
from tpeak_server.samplers.gp.kernel import Inputs, Scales, differences, matern_and_slope

NUGGET = 1e-6
"""Added to the noise, so that two equal points do no harm."""

MOST_STEPS = 40

CLOSE_ENOUGH = 1e-5
"""The search ends when a step gains less than that share of the energy."""

LENGTH = 0.5, 1.0
"""Mean and standard deviation of log(length / sqrt(d + e)); where many coordinates add up, each matters less."""

SIGNAL = 0.0, 1.0
TREND = -1.0, 1.5
NOISE = math.log(1e-4), 2.0
"""Of the logarithms of the variances, those of the losses being 1."""

NO_NOISE = math.log(1e-8), 0.1
"""That of the noise where there is said to be none."""

HOPELESS = 1e10
"""The energy where the covariance is singular."""

WITHIN = 4.0
"""Standard deviations of the priors that are searched."""


class Energy:
    """The negative logarithm of the scales' posterior density, up to a constant, and its gradient."""

    def __init__(self, points: Inputs, loss: Floats, noise: tuple[float, float] = NOISE) -> None:
        self._loss = loss
        # Each pair is reckoned with once, and where it stands above the diagonal.
        self._rows, self._columns = np.triu_indices(len(loss), 1)
        self._above = self._rows * len(loss) + self._columns
        self._apart = differences(points, self._rows, self._columns)
        self._linear = points.effects.T @ points.effects
        size = len(self._apart)
        length = math.log(LENGTH[0]) + 0.5 * math.log(max(1, size))
        self.mean = np.concatenate([np.full(size, -2.0 * length), [SIGNAL[0], TREND[0], noise[0]]])
        self.deviation = np.concatenate([np.full(size, 2.0 * LENGTH[1]), [SIGNAL[1], TREND[1], noise[1]]])

    def __call__(self, theta: Floats) -> tuple[float, Floats]:
        """At theta (d + e + 3,)."""
        scales = scales_of(theta)
        smooth, slope = matern_and_slope(scales.sharpness @ self._apart)
        smooth *= scales.signal
        covariance = scales.trend * self._linear
        covariance.ravel()[self._above] += smooth
        covariance.ravel()[:: len(covariance) + 1] += scales.signal + scales.noise + NUGGET
        # LAPACK counts columns first: for it this is the lower triangle.
        factor, failed = lapack.dpotrf(covariance.T, lower=1, clean=0, overwrite_a=1)
        if failed:
            return HOPELESS, np.zeros_like(theta)
        log_determinant = 2.0 * float(np.log(factor.diagonal()).sum())
        inverse, _ = lapack.dpotri(factor, lower=1, overwrite_c=1)
        solved = blas.dsymv(1.0, inverse, self._loss, lower=1)
        diagonal = inverse.diagonal() - solved * solved
        pairs = 2.0 * (inverse.T.ravel()[self._above] - solved[self._rows] * solved[self._columns])
        z = (theta - self.mean) / self.deviation
        energy = 0.5 * (float(self._loss @ solved) + log_determinant + float(z @ z))
        slope *= pairs
        linear = float(pairs @ self._linear.ravel()[self._above]) + float(diagonal @ self._linear.diagonal())
        gradient = np.concatenate(
            [
                scales.signal * scales.sharpness * (self._apart @ slope),
                [
                    float(pairs @ smooth) + scales.signal * float(diagonal.sum()),
                    scales.trend * linear,
                    scales.noise * float(diagonal.sum()),
                ],
            ]
        )
        return energy, 0.5 * gradient + z / self.deviation


def fit_scales(points: Inputs, loss: Floats, noise: tuple[float, float] = NOISE) -> Scales:
    """The scales for n points with losses (n,) of deviation 1; `noise` is the prior of its variance's logarithm."""
    energy = Energy(points, loss, noise)
    bounds = np.stack([energy.mean - WITHIN * energy.deviation, energy.mean + WITHIN * energy.deviation], axis=1)
    options = {"maxiter": MOST_STEPS, "ftol": CLOSE_ENOUGH}
    found = minimize(energy, energy.mean, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return scales_of(found.x)


def scales_of(theta: Floats) -> Scales:
    """The scales with these logarithms."""
    signal, trend, noise = np.exp(theta[-3:]).tolist()
    return Scales(sharpness=np.exp(theta[:-3]), signal=signal, trend=trend, noise=noise)
