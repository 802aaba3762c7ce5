"""What people did about alerts: imported, listed, published, counted; and forgotten."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rejse.pipelines.alerts.import_outcomes import import_outcomes
from rejse.pipelines.cli.main import main
from rejse.pipelines.config import settings
from rejse.pipelines.config.settings import Settings
from rejse.pipelines.jobs.request import RunRequest
from rejse.pipelines.jobs.run import run
from rejse.pipelines.maintenance import erase
from rejse.pipelines.store import alert_ledger, delta_store
from rejse.pipelines.store.alert_ledger import Ledger
from rejse.transforms.alerts.ledger import Match, fired
from tests.support.alerting import entries
from tests.support.installation import PEOPLE, customer_by_event, fetch, installation, lines, row

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
AT = int(NOON.timestamp()) * 1_000_000
MINUTE = 60_000_000


def match(event: str, rule: str = "relief", customer: str = "c" * 32) -> Match:
    return Match(rule, "info", "j1", customer, event, "Care", "because")


def with_alerts(store: Path, *matches: Match) -> list[str]:
    store.mkdir(exist_ok=True)
    Ledger(store).append(lambda _: [fired(m, AT, 1) for m in matches])
    return [m.key for m in matches]


def outcome(key: str, status: str, minutes: int, **own: object) -> dict[str, object]:
    at = (NOON + timedelta(minutes=minutes)).isoformat()
    return {"key": key, "status": status, "at": at, "by": "desk-7", **own}


def test_an_import_takes_what_it_can_and_says_the_rest(tmp_path: Path) -> None:
    store, file = tmp_path / "store", tmp_path / "done.jsonl"
    key, other = with_alerts(store, match("a"), match("b"))
    given = [
        outcome(key, "acknowledged", 5),
        outcome(f"{key}.1", "closed", 9, is_true=True),
        outcome(other, "acknowledged", -1),
        outcome("0" * 16, "closed", 5),
        outcome(other, "solved", 5),
        outcome(other, "acknowledged", 5, is_true="no"),
        outcome(other, "closed", 5, is_true="perhaps"),
        outcome(other, "closed", 5, by="Jane Doe <jane@example.test>"),
        outcome(key, "closed", 10, is_true=False),
        {"key": other},
        [],
    ]
    text = "".join(json.dumps(item) + "\n" for item in given) + "{broken\n"
    file.write_text(text)
    done = import_outcomes(store, file)
    assert (done.acknowledged, done.closed, done.unchanged) == (1, 1, 0)
    assert [line for line, _ in done.rejects] == list(range(3, 13))
    reasons = " ".join(reason for _, reason in done.rejects)
    for word in ("at or after", "that of an alert", "status", "is_true", "by", "one end"):
        assert word in reasons
    again = import_outcomes(store, file)
    assert (again.acknowledged, again.closed, again.unchanged) == (0, 0, 2)
    alerts = Ledger(store).alerts()
    assert (alerts[key].acknowledged_at, alerts[key].closed_at) == (
        AT + 5 * MINUTE,
        AT + 9 * MINUTE,
    )
    assert (alerts[key].is_true, alerts[other].acknowledged_at) == (True, None)


def test_a_csv_file_says_the_same(tmp_path: Path) -> None:
    store, file = tmp_path / "store", tmp_path / "done.csv"
    key, other = with_alerts(store, match("a"), match("b"))
    file.write_text(
        "key,status,is_true,at,by\n"
        f"{key},closed,no,2026-03-02T12:05:00Z,desk-7\n{other},closed,,2026-03-02T12:05:00Z,x\n"
        f"{key}\n"
    )
    done = import_outcomes(store, file)
    assert (done.closed, [line for line, _ in done.rejects]) == (2, [4])
    assert [alert.is_true for alert in Ledger(store).alerts().values()] == [False, None]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.delenv(settings.KEY_VARIABLE, raising=False)
    project = installation(tmp_path, {"a.jsonl": lines([row(0), row(1)])})
    run(project, RunRequest(audit=None))
    return project


def publish(project: Settings, name: str, number: int) -> None:
    (project.root / name).write_text(lines([row(number)]))
    assert run(project, RunRequest(audit=None)).status == "published"


def test_the_ledger_is_published_and_a_person_leaves_it(project: Settings) -> None:
    publish(project, "b.jsonl", 2)
    store, customers = project.store, customer_by_event(project)
    assert fetch(project, "select count(*) from alerts") == [(0,)]
    assert delta_store.head(store, "alerts") == -1  # a store without alerts keeps no table
    person, other = customers["e0"], customers["e1"]
    keys = with_alerts(
        store, match("a", customer=person), match("b", customer=other), match("c", customer=other),
        match("d", "own", person),
    )  # fmt: skip
    file = project.root / "done.json"
    ends = [
        outcome(keys[0], "closed", 10, is_true=True),
        outcome(keys[1], "closed", 20, is_true=False),
        outcome(keys[2], "acknowledged", 60),
    ]
    file.write_text("".join(json.dumps(end) + "\n" for end in ends))
    import_outcomes(store, file)
    dead = store / alert_ledger.FOLDER / alert_ledger.UNDELIVERED
    dead.write_text(json.dumps({"message": person}) + "\n" + json.dumps({"message": other}) + "\n")
    publish(project, "c.jsonl", 3)
    figures = (
        "rule, n_fired, n_withdrawn, n_acknowledged, n_closed, n_judged, acknowledge_s_median,"
        " close_s_median, true_share"
    )
    query = f"select {figures} from v_alerts order by rule"
    assert fetch(project, query) == [
        ("own", 1, 0, 0, 0, 0, None, None, None),
        ("relief", 3, 0, 3, 2, 2, 1200.0, 900.0, 0.5),
    ]
    erase.forget(project, "customer", PEOPLE[0])
    assert fetch(project, query) == [("relief", 2, 0, 2, 1, 1, 2400.0, 1200.0, 0.0)]
    assert {entry["customer_key"] for entry in entries(store)} == {other}
    assert person not in dead.read_text()
    assert other in dead.read_text()
    publish(project, "d.jsonl", 4)
    assert fetch(project, query)[0][1] == 2
    assert fetch(project, "select n_judged from v_alerts") == [(1,)]


def test_open_alerts_are_listed(
    project: Settings, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    key, other = with_alerts(project.store, match("a"), match("b"))
    config = ["--config", str(project.root)]
    file = tmp_path / "x.csv"
    file.write_text(f"key,status,at,by\n{key},closed,2026-03-02T12:05:00Z,x\nno,closed,,\n")
    with pytest.raises(SystemExit) as ended:
        main(["alerts", "import", str(file), *config])
    assert ended.value.code == 1
    assert "1 closed, 0 as before, 1 rejected" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["alerts", "--json", *config])
    (listed,) = json.loads(capsys.readouterr().out)
    assert (listed["key"], listed["rule"], listed["is_delivered"]) == (other, "relief", False)
    with pytest.raises(SystemExit):
        main(["alerts", *config])
    assert other in capsys.readouterr().out
