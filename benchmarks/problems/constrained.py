"""Textbook problems with constraints, each at most 0 where the point is feasible.

A value is asinh(gap / unit), the gap being how far the function is above that of the best feasible point: nearer than
the problem's unit as good as the gap itself, beyond it a logarithm. Infeasible points may be below 0, feasible ones are
not.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from problems.problem import Problem, Trial

FAMILY = "constrained"


def problems() -> list[Problem]:
    """The problems of this family."""
    return [
        _problem("mystery", mystery, best=-1.1742744, unit=1.0),
        _problem("gramacy", gramacy, best=0.5997880, unit=0.1),
        _problem("gardner", gardner, best=0.2532358, unit=1.0),
        _problem("g04", g04, best=-30665.5386720, unit=100.0),
        _problem("g08", g08, best=-0.0958250415, unit=0.01),
        _problem("g09", g09, best=680.6300573, unit=10.0),
        _problem("pressure-vessel", pressure_vessel, best=6059.7143350, unit=100.0),
        _problem("g24", g24, best=-5.5080132716, unit=1.0),
    ]


def _problem(name: str, function: Callable[[Trial], float], *, best: float, unit: float) -> Problem:
    def objective(trial: Trial) -> float:
        return math.asinh((function(trial) - best) / unit)

    return Problem(name=name, family=FAMILY, objective=objective, constrained=True)


def mystery(trial: Trial) -> float:
    """Sasena's mystery function (2002)."""
    x, y = _floats(trial, 2, 0.0, 5.0)
    _constrain(trial, -math.sin(x - y - math.pi / 8.0))
    bowl = 0.01 * (y - x**2) ** 2 + (1.0 - x) ** 2 + 2.0 * (2.0 - y) ** 2
    return 2.0 + bowl + 7.0 * math.sin(0.5 * x) * math.sin(0.7 * x * y)


def gramacy(trial: Trial) -> float:
    """A linear function between a wave and a circle (Gramacy et al. 2016)."""
    x, y = _floats(trial, 2, 0.0, 1.0)
    wave = 1.5 - x - 2.0 * y - 0.5 * math.sin(2.0 * math.pi * (x**2 - 2.0 * y))
    _constrain(trial, wave, x**2 + y**2 - 1.5)
    return x + y


def gardner(trial: Trial) -> float:
    """The second simulation of Gardner et al. (2014), of which one point in fifty is feasible."""
    x, y = _floats(trial, 2, 0.0, 6.0)
    _constrain(trial, math.sin(x) * math.sin(y) + 0.95)
    return math.sin(x) + y


def g04(trial: Trial) -> float:
    """Himmelblau's problem, as the other G functions numbered as in the CEC 2006 collection."""
    a = trial.suggest_float("x0", 78.0, 102.0)
    b = trial.suggest_float("x1", 33.0, 45.0)
    c, d, e = (trial.suggest_float(f"x{i}", 27.0, 45.0) for i in (2, 3, 4))
    u = 85.334407 + 0.0056858 * b * e + 0.0006262 * a * d - 0.0022053 * c * e
    v = 80.51249 + 0.0071317 * b * e + 0.0029955 * a * b + 0.0021813 * c**2
    w = 9.300961 + 0.0047026 * c * e + 0.0012547 * a * c + 0.0019085 * c * d
    _constrain(trial, u - 92.0, -u, v - 110.0, 90.0 - v, w - 25.0, 20.0 - w)
    return 5.3578547 * c**2 + 0.8356891 * a * e + 37.293239 * a - 40792.141


def g08(trial: Trial) -> float:
    """Waves between two parabolas; one point in a hundred is feasible."""
    x = trial.suggest_float("x0", 0.01, 10.0)
    y = trial.suggest_float("x1", 0.0, 10.0)
    _constrain(trial, x**2 - y + 1.0, 1.0 - x + (y - 4.0) ** 2)
    return -(math.sin(2.0 * math.pi * x) ** 3) * math.sin(2.0 * math.pi * y) / (x**3 * (x + y))


def g09(trial: Trial) -> float:
    """Seven dimensions and four constraints; one point in two hundred is feasible."""
    a, b, c, d, e, f, g = _floats(trial, 7, -10.0, 10.0)
    _constrain(
        trial,
        2.0 * a**2 + 3.0 * b**4 + c + 4.0 * d**2 + 5.0 * e - 127.0,
        7.0 * a + 3.0 * b + 10.0 * c**2 + d - e - 282.0,
        23.0 * a + b**2 + 6.0 * f**2 - 8.0 * g - 196.0,
        4.0 * a**2 + b**2 - 3.0 * a * b + 2.0 * c**2 + 5.0 * f - 11.0 * g,
    )
    own = (a - 10.0) ** 2 + 5.0 * (b - 12.0) ** 2 + c**4 + 3.0 * (d - 11.0) ** 2 + 10.0 * e**6 + 7.0 * f**2 + g**4
    return own - 4.0 * f * g - 10.0 * f - 8.0 * g


def pressure_vessel(trial: Trial) -> float:
    """The cost of a vessel whose plates come in sixteenths of an inch."""
    shell, head = (0.0625 * trial.suggest_int(name, 1, 99) for name in ("shell", "head"))
    radius = trial.suggest_float("radius", 10.0, 200.0)
    length = trial.suggest_float("length", 10.0, 200.0)
    contents = math.pi * radius**2 * length + 4.0 / 3.0 * math.pi * radius**3
    _constrain(trial, 0.0193 * radius - shell, 0.00954 * radius - head, 1.0 - contents / 1_296_000.0)
    plates = 0.6224 * shell * radius * length + 1.7781 * head * radius**2
    return plates + 3.1661 * shell**2 * length + 19.84 * shell**2 * radius


def g24(trial: Trial) -> float:
    """A linear function over two regions that do not meet."""
    x = trial.suggest_float("x0", 0.0, 3.0)
    y = trial.suggest_float("x1", 0.0, 4.0)
    _constrain(
        trial,
        -2.0 * x**4 + 8.0 * x**3 - 8.0 * x**2 + y - 2.0,
        -4.0 * x**4 + 32.0 * x**3 - 88.0 * x**2 + 96.0 * x + y - 36.0,
    )
    return -x - y


def _floats(trial: Trial, count: int, low: float, high: float) -> list[float]:
    return [trial.suggest_float(f"x{i}", low, high) for i in range(count)]


def _constrain(trial: Trial, *values: float) -> None:
    for number, value in enumerate(values):
        trial.set_constraint(f"c{number}", value)
