import numpy as np

from tpeak_server.samplers.generations import KEPT, Memo, grouped, next_generation


def test_trials_are_grouped_by_generation_in_their_order() -> None:
    labels = np.array([1, 0, -1, 1, 0, 3], dtype=np.int32)
    counted = np.array([True, True, True, True, False, True])
    assert [(label, rows.tolist()) for label, rows in grouped(labels, counted)] == [(0, [1]), (1, [0, 3]), (3, [5])]
    assert grouped(labels, np.zeros(6, dtype=bool)) == []


def test_the_latest_generation_goes_on_until_it_has_its_results() -> None:
    rows = np.array([4, 5])
    assert next_generation([], 2) == 0
    assert next_generation([(3, rows)], 3) == 3
    assert next_generation([(3, rows)], 2) == 4


def test_only_what_follows_the_first_change_is_computed_again() -> None:
    steps: list[float] = []

    def step(state: float, part: np.ndarray) -> float:
        steps.append(float(part[0]))
        return state * 10 + float(part[0])

    memo: Memo[float] = Memo()

    def folded(*parts: float) -> float:
        steps.clear()
        return memo.folded(b"", lambda: 0.0, [np.array([part]) for part in parts], step)

    assert (folded(1, 2, 3), steps) == (123.0, [1, 2, 3])
    assert (folded(1, 2, 3), steps) == (123.0, [])
    assert (folded(1, 2, 3, 4), steps) == (1234.0, [4])
    assert (folded(1, 5, 3), steps) == (153.0, [5, 3])
    assert (folded(), steps) == (0.0, [])
    many = range(3 * KEPT)
    folded(*many)
    assert (folded(*many), steps) == (folded(*many), [])
