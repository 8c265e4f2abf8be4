"""What is said of a server's memory."""

from __future__ import annotations

from pathlib import Path

import pytest

import soak
from cycles.cycle import Measured


def watched(mib_per_h: float) -> tuple[list[tuple[float, float]], Measured]:
    """A minute whose first third is a warm-up that grows much faster."""
    samples = [(moment, 100.0 + mib_per_h * moment / 3600) for moment in range(61)]
    steep = [(moment, mib - 50.0 + moment) if moment < 18 else (moment, mib) for moment, mib in samples]
    return steep, Measured(cycles=600, seconds=60.0, ask=[1.0], report=[1.0], tell=[1.0])


@pytest.mark.parametrize(("mib_per_h", "code", "words"), [(10.0, 0, "not certainly more than"), (40.0, 1, "more than")])
def test_growth_after_the_warm_up_decides(
    mib_per_h: float,
    code: int,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(soak, "watch", lambda steady, every_s: watched(mib_per_h))
    monkeypatch.setattr("sys.argv", ["soak.py", "--minutes", "1", "--json", str(tmp_path / "found.json")])
    assert soak.main() == code
    assert f"growth {mib_per_h:.1f} +- 0.0 MiB/hour, {words} the bound of 30" in capsys.readouterr().out
    assert '"name": "memory_mib_per_hour"' in (tmp_path / "found.json").read_text()
