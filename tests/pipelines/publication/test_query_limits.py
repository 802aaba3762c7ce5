"""What a query may take holds for one call of a function too, within which DuckDB counts nothing
and looks at no clock; and what ends the process leaves nothing behind.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rejse.pipelines.config import settings
from tests.support import store_builder
from tests.support.installation import installation

#: One call that goes on for a minute, and one whose value takes 3.2 GB.
ENDLESS = "select levenshtein(repeat('a', 150000), repeat('b', 150000))"
HUGE = "select list_sum(range(400000000))"
#: The command line, and one whose query sends a signal, as it begins.
PROGRAM = (
    "from rejse.pipelines.cli import main\n"
    "from rejse.pipelines.publication import query\n"
    "from rejse.pipelines.runtime import signals\n{more}\nmain.main()"
)
SIGNALLED = """
import os, signal
heed, within = signals.heed, query._in_time
signals.heed = lambda close: heed(close, grace=0.0)
def hit(seconds):
    os.kill(os.getpid(), signal.{name})
    return within(seconds)
query._in_time = hit
signals._raise = lambda number, frame: None  # as where a library holds the main thread
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv(settings.KEY_VARIABLE, raising=False)
    (tmp_path / "mine").mkdir()
    installation(tmp_path / "mine", {})
    store_builder.published(tmp_path / "mine" / "store")
    return tmp_path


def asked(place: Path, *args: str, more: str = "") -> tuple[int, str, list[str]]:
    """Exit code, what is said in JSON, and what is left in the folder of temporary files."""
    room = place / "room"
    room.mkdir()
    command = [sys.executable, "-c", PROGRAM.format(more=more), "sql", "--json", "-c"]
    done = subprocess.run(
        [*command, str(place / "mine"), *args],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TMPDIR": str(room)},
    )
    message = json.loads(done.stdout.splitlines()[-1])["message"]
    return done.returncode, message, [path.name for path in room.iterdir()]


def test_one_call_that_takes_too_long_is_stopped(place: Path) -> None:
    code, message, left = asked(place, ENDLESS, "--timeout", "100ms")
    assert (code, left) == (2, [])
    assert "took longer than it may" in message and "--timeout 1h" in message


@pytest.mark.skipif(sys.platform != "linux", reason="bounded by what Linux says of a process")
def test_one_value_that_takes_too_much_memory_is_refused(place: Path) -> None:
    code, message, left = asked(place, HUGE, "--memory", "300MB")
    assert (code, left) == (2, [])
    assert "needs more memory" in message


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_within_one_call_leaves_nothing(place: Path, number: signal.Signals) -> None:
    code, message, left = asked(place, ENDLESS, more=SIGNALLED.format(name=number.name))
    assert (code, left) == (128 + number, [])
    assert number.name in message
