"""The ledger on disk: once, whole lines, other writers, compaction, a killed process."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rejse.pipelines.alerts.courier import Courier
from rejse.pipelines.alerts.receivers import FileReceiver
from rejse.pipelines.store import alert_ledger
from rejse.pipelines.store.alert_ledger import FOLDER, NAME, Ledger
from rejse.transforms.alerts.ledger import Entry, Match, fired
from rejse.transforms.alerts.schedule import Pace
from tests.support.alerting import entries

AT = 1_770_000_000_000_000


def entry(name: str) -> Entry:
    return fired(Match("rule", "info", "j1", "c" * 32, name, "Care", "because"), AT, 1)


def append(ledger: Ledger, *given: Entry) -> None:
    ledger.append(lambda _: given)


def test_a_torn_line_is_read_by_nobody_and_cut_off(tmp_path: Path) -> None:
    append(Ledger(tmp_path), entry("a"))
    file = tmp_path / FOLDER / NAME
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    with file.open("a") as out:
        out.write('{"kind": "fired", "key": "half')
    ledger = Ledger(tmp_path)
    assert [alert.opening_event for alert in ledger.alerts().values()] == ["a"]
    append(ledger, entry("b"))
    assert [e["opening_event"] for e in entries(tmp_path)] == ["a", "b"]


def test_writers_see_each_other(tmp_path: Path) -> None:
    first, other = Ledger(tmp_path), Ledger(tmp_path)
    append(first, entry("a"))
    append(other, entry("a"), entry("b"))
    seen = []
    first.append(lambda alerts: seen.extend(alerts) or [])
    assert len(seen) == 2
    alert_ledger.rewrite(tmp_path, lambda alert: alert.opening_event == "b")
    assert [alert.opening_event for alert in first.alerts().values()] == ["b"]


def test_a_compacted_ledger_says_the_same(tmp_path: Path) -> None:
    ledger, first = Ledger(tmp_path), entry("a")
    same = {"key": first["key"], "at": AT + 1}
    append(
        ledger, first, entry("b"),
        {"kind": "delivered", **same, "channel": "file", "n": 1},
        {"kind": "withdrawn", **same, "because": "late"},
        {"kind": "undelivered", **same, "channel": "webhook", "n": 2},
        {"kind": "restored", **same, "base": 3}, {"kind": "moved", **same, "journey_id": "j2"},
        {"kind": "acknowledged", **same, "by": "desk"},
        {"kind": "closed", **same, "by": "desk", "is_true": True},
        {"kind": "of a later version", **same},
    )  # fmt: skip
    before = dict(ledger.alerts())
    assert alert_ledger.rewrite(tmp_path, lambda _: True) == 0
    assert len(entries(tmp_path)) == 2
    assert Ledger(tmp_path).alerts() == before == ledger.alerts()
    assert alert_ledger.rewrite(tmp_path, lambda alert: alert.closed_at is None) == 1
    assert [alert.opening_event for alert in ledger.alerts().values()] == ["b"]


def test_a_store_without_alerts_stays_without(tmp_path: Path) -> None:
    assert alert_ledger.rewrite(tmp_path, lambda _: True) == 0
    alert_ledger.forget(tmp_path, ["c"])
    assert Ledger(tmp_path).alerts() == {}
    assert [*tmp_path.iterdir()] == []


#: Dies between the message and the note of its delivery, or before the message.
KILLED = """
import os, signal, sys
from pathlib import Path
from rejse.pipelines.alerts.courier import Courier
from rejse.pipelines.alerts.receivers import FileReceiver
from rejse.transforms.alerts.schedule import Pace

class Dying(FileReceiver):
    def send(self, message):
        if sys.argv[2] == "after":
            super().send(message)
        os.kill(os.getpid(), signal.SIGKILL)

store = Path(sys.argv[1])
Courier(store, "file", Dying(store / "out.jsonl"), Pace(), lambda: 0).deliver()
"""


@pytest.mark.parametrize(("when", "ids"), [("before", 1), ("after", 2)])
def test_a_kill_between_ledger_and_delivery_loses_nothing(
    tmp_path: Path, when: str, ids: int
) -> None:
    append(Ledger(tmp_path), entry("a"))
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), when], check=False)
    assert killed.returncode == -signal.SIGKILL
    file = tmp_path / "out.jsonl"
    courier = Courier(tmp_path, "file", FileReceiver(file), Pace(), lambda: AT)
    courier.deliver()
    courier.deliver()
    messages = [json.loads(line) for line in file.read_text().splitlines()]
    assert [m["id"] for m in messages] == [f"{entry('a')['key']}.1"] * ids
    assert [e["kind"] for e in entries(tmp_path)] == ["fired", "delivered"]


def test_a_torn_message_is_ended(tmp_path: Path) -> None:
    file = tmp_path / "out.jsonl"
    file.write_text('{"half')
    FileReceiver(file).send({"id": "1"})
    assert file.read_text().splitlines() == ['{"half', '{"id": "1"}']
