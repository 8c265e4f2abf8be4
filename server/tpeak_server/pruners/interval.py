"""When the rules look at a curve that have a warm-up and an interval."""

from __future__ import annotations

from tpeak_server.domain.observations import Curve


def looks(curve: Curve, n_warmup_steps: int, interval_steps: int) -> bool:
    """Whether this report is one to decide at: the first one at or after a multiple of the interval.

    Multiples count from `n_warmup_steps`. The steps of one report, however many, are all those beyond `curve.before`.
    """
    if not curve.steps or curve.steps[-1] < n_warmup_steps:
        return False
    since = curve.steps[-1] - (curve.steps[-1] - n_warmup_steps) % interval_steps
    return curve.before is None or curve.before < since
