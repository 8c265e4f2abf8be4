"""Studies of samplers that count generations, played with arrays alone; and spaces and histories of all kinds."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tpeak_server.domain.distributions import (
    MAX_EXACT_INT,
    CategoricalDistribution,
    Distribution,
    FloatDistribution,
    IntDistribution,
    Space,
)
from tpeak_server.domain.observations import NONE, Floats, Outcome, Reports, View, generation_of
from tpeak_server.samplers.layout import layout_of
from tpeak_server.samplers.seam import Sampler, Stream

Losses = tuple[float, ...]
Objective = Callable[[Mapping[str, float]], Losses]


class Played:
    """A study under way: finished trials by number, and what a sampler sees of them."""

    def __init__(self, sampler: Sampler, space: Space, seed: int = 0) -> None:
        self.sampler, self.space, self.seed = sampler, space, seed
        self.values: dict[int, Mapping[str, float]] = {}
        self.origins: dict[int, str] = {}
        self.losses: dict[int, Losses] = {}
        self.violations: dict[int, float] = {}
        self.objectives = 1

    def view(self) -> View:
        numbers = sorted(self.losses)
        n = len(numbers)
        generations: dict[str, Any] = {}
        for at, number in enumerate(numbers):
            found = generation_of(self.origins[number])
            if found is not None:
                generations.setdefault(found[0], np.full(n, NONE, dtype=np.int32))[at] = found[1]
        return View(
            seq=n,
            numbers=np.array(numbers, dtype=np.int64),
            outcome=np.full(n, Outcome.COMPLETE, dtype=np.int8),
            loss=np.array([self.losses[number] for number in numbers], dtype=np.float64).reshape(n, self.objectives),
            last_step=np.full(n, -1),
            last_loss=np.full(n, np.nan),
            violation=np.array([self.violations.get(number, 0.0) for number in numbers]),
            columns={
                name: np.array([self.values[number].get(name, np.nan) for number in numbers], dtype=np.float64)
                for name in self.space
            },
            generations=generations,
        )

    def ask(self, number: int) -> Mapping[str, float]:
        nothing = {name: np.empty(0) for name in self.space}
        (drawn,) = self.sampler.suggest(self.view(), self.space, nothing, [Stream(self.seed, number)])
        self.values[number], self.origins[number] = drawn.values, drawn.origin
        return drawn.values


def play(
    sampler: Sampler,
    space: Space,
    objective: Objective,
    *,
    trials: int,
    workers: int = 1,
    seed: int = 0,
    several: int = 1,
) -> Played:
    """A study of that many trials, which take their time."""
    study = Played(sampler, space, seed)
    study.objectives = several
    durations = np.random.default_rng(seed).lognormal(0.0, 0.5, trials)
    running: list[tuple[float, int]] = []
    now = 0.0
    for number in range(trials + workers):
        if number >= trials or len(running) == workers:
            if not running:
                break
            now, ended = heapq.heappop(running)
            study.losses[ended] = objective(study.values[ended])
        if number < trials:
            study.ask(number)
            heapq.heappush(running, (now + durations[number], number))
    return study


@st.composite
def distributions(draw: st.DrawFn) -> Distribution:
    """Ranges of every kind, up to the ends of what is allowed."""
    kind = draw(st.sampled_from(["float", "log", "grid", "int", "logint", "categorical"]))
    if kind == "float":
        low, high = sorted(draw(st.tuples(st.floats(-1e12, 1e12), st.floats(-1e12, 1e12))))
        return FloatDistribution(low=low, high=high)
    if kind == "log":
        low = 10 ** draw(st.floats(-12, 12))
        return FloatDistribution(low=low, high=low * 10 ** draw(st.floats(0, 12)), log=True)
    if kind == "grid":
        low, step, count = draw(st.floats(-1e3, 1e3)), 10 ** draw(st.floats(-6, 3)), draw(st.integers(0, 5000))
        return FloatDistribution(low=low, high=low + count * step, step=step)
    if kind == "int":
        low_int, high_int = sorted(draw(st.tuples(*2 * [st.integers(-MAX_EXACT_INT, MAX_EXACT_INT)])))
        step_int = draw(st.integers(1, max(1, (high_int - low_int) // 2)))
        return IntDistribution(low=low_int, high=low_int + (high_int - low_int) // step_int * step_int, step=step_int)
    if kind == "logint":
        low_int = draw(st.integers(1, 2**40))
        return IntDistribution(low=low_int, high=low_int * draw(st.integers(1, 2**10)), log=True)
    return CategoricalDistribution(choices=tuple(range(draw(st.integers(1, 9)))))


spaces = st.dictionaries(st.sampled_from("abcdef"), distributions(), min_size=1, max_size=4)


def history_of(
    space: Space, count: int, *, seed: int, kind: str, size: int, missing: float, objectives: int = 1
) -> View:
    """A history of everything: all outcomes, wild losses and reports, no generation, parameters that are not there."""
    rng = np.random.default_rng(seed)
    layout = layout_of(space)
    rows = [layout.values(layout.uniform(rng.random(layout.dimensions))) for _ in range(count)]
    columns: dict[str, Floats] = {name: np.array([row[name] for row in rows], dtype=np.float64) for name in space}
    for column in columns.values():
        column[rng.random(count) < missing] = np.nan
    outcome = rng.choice([Outcome.COMPLETE, Outcome.PRUNED, Outcome.LOST], count, p=[0.8, 0.1, 0.1]).astype(np.int8)
    wild = [np.nan, np.inf, -np.inf, 0.0, 1.0, 2.0]
    loss = rng.choice(wild, (count, objectives))
    loss[outcome != Outcome.COMPLETE] = np.nan
    reported = rng.integers(0, 3, count)
    losses = rng.choice(wild, reported.sum())
    ends = reported.cumsum()
    last = np.append(losses, np.nan)[np.where(reported > 0, ends - 1, -1)]
    reports = Reports(
        starts=np.append(0, ends), steps=np.arange(reported.sum()) - np.repeat(ends - reported, reported), losses=losses
    )
    return View(
        seq=count,
        numbers=np.cumsum(rng.integers(1, 3, count)),
        outcome=outcome,
        loss=loss,
        last_step=reported - 1,
        last_loss=last,
        violation=np.where(outcome == Outcome.LOST, np.inf, rng.choice([0.0, 0.0, 1.0], count)),
        columns=columns,
        generations={kind: (np.arange(count) // size - (rng.random(count) < 0.1)).astype(np.int32)},
        reports=reports if objectives == 1 else None,
    )
