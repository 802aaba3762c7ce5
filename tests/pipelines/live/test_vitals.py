"""What the hot core says of itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from rejse.pipelines.live import vitals
from rejse.pipelines.store.traces import OVERLAY


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which a test sets."""
    now = [1000.0]
    monkeypatch.setattr(vitals.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(vitals.time, "time", lambda: now[0])
    return now


def test_a_minute_of_steps_is_summed_up(tmp_path: Path, clock: list[float]) -> None:
    (tmp_path / OVERLAY).mkdir()
    pulse = vitals.Pulse(tmp_path)
    pulse.beat(4, 9.0, 1)
    for second in range(100):
        clock[0] += 1
        pulse.beat(5, second / 100, customers=2 if second % 2 else 0)
    noted = vitals.vitals(tmp_path)
    assert noted == vitals.Vitals(5, 1100.0, 31, 62, 0.69, 0.99)
    assert noted.is_alive
    clock[0] += vitals.DEAD_AFTER + 1
    assert not noted.is_alive


def test_a_quiet_minute_has_no_latency(tmp_path: Path, clock: list[float]) -> None:
    (tmp_path / OVERLAY).mkdir()
    pulse = vitals.Pulse(tmp_path, last_error="the broker does not answer")
    pulse.beat(1, 0.1, 0)
    expected = vitals.Vitals(1, 1000.0, 0, 0, None, None, "the broker does not answer")
    assert vitals.vitals(tmp_path) == expected


@pytest.mark.parametrize("text", ("", "{", '{"base": 1}', '{"of": "another version"}'))
def test_a_note_that_says_nothing_is_none(tmp_path: Path, text: str) -> None:
    assert vitals.vitals(tmp_path) is None
    (tmp_path / OVERLAY).mkdir()
    (tmp_path / OVERLAY / vitals.NOTE).write_text(text)
    assert vitals.vitals(tmp_path) is None


@pytest.mark.parametrize(
    ("share", "value"), ((0.0, 1), (0.5, 2), (0.51, 3), (0.75, 3), (0.99, 4), (1.0, 4))
)
def test_percentiles_are_values_that_were_seen(share: float, value: int) -> None:
    assert vitals.percentile([1, 2, 3, 4], share) == value
