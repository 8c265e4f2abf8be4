"""Who found what."""

from __future__ import annotations

import numpy as np

from studies.ranking import Significance, duel, ranks


def test_equals_share_a_rank() -> None:
    ranked = ranks({"a": np.array([[0.1, 0.2]]), "b": np.array([[0.1, 0.1]]), "c": np.array([[0.3, 0.3]])})
    assert {name: rank.tolist() for name, rank in ranked.items()} == {
        "a": [[1.5, 2.0]],
        "b": [[1.5, 1.0]],
        "c": [[3.0, 3.0]],
    }


def test_wins_ties_and_losses_are_by_problem() -> None:
    own = np.array([[0.1, 0.1], [0.2, 0.4], [0.5, 0.5]])
    other = np.array([[0.2, 0.1], [0.4, 0.2005], [0.4, 0.4]])
    result = duel(own, other)
    assert (result.wins, result.ties, result.losses) == (1, 1, 1)


def test_what_is_always_better_is_significantly_better() -> None:
    other = np.arange(1.0, 9.0).reshape(4, 2)
    result = duel(0.9 * other, other)
    assert result.by_problem == Significance(p=0.125, better=True)
    assert result.by_study == Significance(p=0.0078125, better=True)
    assert duel(other, 0.9 * other).by_problem == Significance(p=0.125, better=False)


def test_studies_that_are_all_alike_tell_nothing() -> None:
    same = np.ones((3, 2))
    assert duel(same, same).by_study == Significance(p=1.0, better=False)
