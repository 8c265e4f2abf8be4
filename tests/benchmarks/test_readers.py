"""The names under which what readers took is kept."""

from __future__ import annotations

from readers import Read, named


def test_figures_are_of_each_run_and_mb_are_there_where_they_were_counted() -> None:
    runs = [Read(seconds=1.5, mb=8.5, asks_ms=[3.0, 1.0, 2.0]), Read(seconds=2.5, mb=8.25, asks_ms=[4.0])]
    assert named({"columns": runs, "get_trials": [Read(seconds=3.5, mb=None, asks_ms=[5.0])]}) == {
        "columns_s": ("s", [1.5, 2.5]),
        "columns_mb": ("MB", [8.5, 8.25]),
        "columns_ask_p50_ms": ("ms", [2.0, 4.0]),
        "columns_ask_max_ms": ("ms", [3.0, 4.0]),
        "get_trials_s": ("s", [3.5]),
        "get_trials_ask_p50_ms": ("ms", [5.0]),
        "get_trials_ask_max_ms": ("ms", [5.0]),
    }
