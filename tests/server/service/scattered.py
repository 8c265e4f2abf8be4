"""A study's rows with trials of all kinds, drawn at random, straight into the tables: far faster than their lives."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from tests.server.service.conftest import Sql
from tpeak_server.domain.distributions import (
    CategoricalDistribution,
    Distribution,
    FloatDistribution,
    IntDistribution,
    canonical,
)

RANGES: Mapping[int, tuple[str, Distribution]] = {
    0: ("x", FloatDistribution(low=0.0, high=1.0)),
    1: ("kind", CategoricalDistribution(choices=("a", "b", "c"))),
    2: ("layers", IntDistribution(low=0, high=2)),
    3: ("x", FloatDistribution(low=0.0, high=2.0)),
    4: ("kind", CategoricalDistribution(choices=("c", "b"))),
    5: ("late", FloatDistribution(low=0.0, high=1.0)),
}
DISCRETE = (1, 2)
PROPOSED = ((0, 1, 2), (0, 1, 2), (2, 0), (3, 4), (2, 1), ())
STATES = ("complete",) * 4 + ("pruned",) * 2 + ("failed", "lost", "running", "waiting")
ORIGINS = ("tpe", "tpe", "added", "cmaes 3", "cmaes 04", "nsgaii 12", "cmaes x")
ODD = (math.nan, math.inf, -math.inf, 0.0, -0.0)

TRIAL = """
INSERT INTO trials (study_id, number, state, proposed_ids, proposed, fixed, values, constraints, origin, epoch, attempt,
    told_epoch, sampled_at_seq, deleted)
VALUES (%s, %s, %s, %s::smallint[], %s::float8[], %s, %s::float8[], %s::float8[], %s, %s, 0, %s, %s, %s)
"""
LEASE = """
INSERT INTO leases (study_id, number, epoch, token, worker, request_id, ordinal, request_hash, used, live, expires_at,
    resume_epoch, checkpoint_step)
VALUES (%s, %s, %s, 'token', 'tester', %s, 0, '', %s::text[], false, tpeak_now(), %s, %s)
"""
REPORT = """
INSERT INTO reports (study_id, number, epoch, step, values, cost, seq, prune)
VALUES (%s, %s, %s, %s, %s::float8[], %s, 1, false)
"""
SUGGESTION = "INSERT INTO suggestions VALUES (%s, %s, 'late', 5, %s, 1)"
DISTRIBUTION = "INSERT INTO distributions VALUES (%s, %s, %s, %s, %s)"


def scatter(sql: Sql, study_id: int, trials: int, *, objectives: int, seed: int, discrete: bool = False) -> None:
    """Gives a study without trials so many of them; `discrete`: with discrete parameters alone."""
    dice = Random(seed)
    sql("BEGIN")
    for number, (name, distribution) in RANGES.items():
        if not discrete or number in DISCRETE:
            sql(DISTRIBUTION, study_id, number, name, canonical(distribution), number)
    for number in range(trials):
        _trial(sql, study_id, number, objectives, dice, discrete)
    sql("UPDATE study_clocks SET next_number = %s, seq = 1 WHERE study_id = %s", trials, study_id)
    sql("COMMIT")


def _trial(sql: Sql, study_id: int, number: int, objectives: int, dice: Random, discrete: bool) -> None:
    state, epoch = dice.choice(STATES), dice.randrange(4)
    ids = DISCRETE if discrete else dice.choice(PROPOSED)
    values = _values(dice, objectives) if state == "complete" or (state == "pruned" and dice.random() < 0.5) else None
    sql(
        TRIAL, study_id, number, state, list(ids), [_within(dice, RANGES[i][1]) for i in ids],
        json.dumps({"z": 1}) if dice.random() < 0.05 else None, values,
        _values(dice, dice.randint(1, 3)) if dice.random() < 0.3 else None, dice.choice(ORIGINS), epoch,
        dice.choice((None, 0, epoch, max(0, epoch - 1))), dice.choice((None, number)), dice.random() < 0.05,
    )  # fmt: skip
    for leased in range(1, epoch + 1):
        _lease(sql, study_id, number, leased, [RANGES[i][0] for i in ids], dice)
    for reporting in range(epoch + 1):
        if dice.random() < 0.6:
            _reports(sql, study_id, number, reporting, objectives, dice)
    if not discrete and dice.random() < 0.08:
        sql(SUGGESTION, study_id, number, dice.random())


def _lease(sql: Sql, study_id: int, number: int, epoch: int, names: Sequence[str], dice: Random) -> None:
    used = [name for name in dice.sample(names, len(names)) if dice.random() < 0.8]
    resume = epoch - 1 if epoch > 1 and dice.random() < 0.1 else None
    key = f"{number} {epoch}"
    sql(LEASE, study_id, number, epoch, key, dice.choice((None, list(names), used)), resume, dice.randrange(6))


def _reports(sql: Sql, study_id: int, number: int, epoch: int, objectives: int, dice: Random) -> None:
    costly, ragged = dice.random() < 0.3, dice.random() < 0.1
    for step in dice.sample(range(8), dice.randint(1, 6)):
        width = dice.randint(1, objectives) if ragged else objectives
        cost = dice.choice((None, 0.0, 0.1, dice.random())) if costly else None
        sql(REPORT, study_id, number, epoch, step, _values(dice, width), cost)


def _values(dice: Random, count: int) -> list[Any]:
    return [dice.choice(ODD) if dice.random() < 0.15 else dice.gauss(0.0, 1.0) for _ in range(count)]


def _within(dice: Random, distribution: Distribution) -> float:
    if isinstance(distribution, CategoricalDistribution):
        return float(dice.randrange(len(distribution.choices)))
    return float(dice.randrange(3)) if isinstance(distribution, IntDistribution) else dice.random()
