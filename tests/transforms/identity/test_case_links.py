"""Cases that events bear as their identity: whose they are, erased with their customer."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from rejse.pipelines.config import raw_schema, settings
from rejse.pipelines.jobs import gather_links
from rejse.pipelines.maintenance.erase import LinkedError, forget
from rejse.transforms.identity.resolve import CASE
from tests.support.installation import (
    SELECT,
    balanced,
    customer_by_event,
    installation,
    lines,
    map_identity_type,
    once,
    typed_row,
)

RECORDS = ("time", "valid_to", "identity", "case_id")
SOURCE = """
[sources.held]
kind = "cases"
files = ["held.jsonl"]
mapping = "held.sql"
schema = "held.json"
"""
EVENTS = (
    typed_row(2, "ann", "customer"),
    typed_row(3, "c1", "case"),
    typed_row(4, "c2", "case"),
    typed_row(5, "ben", "customer"),
)
HELD = [
    dict(zip(RECORDS, row, strict=True))
    for row in (
        ("2026-01-01T00:00:00Z", None, "ann", "c1"),
        ("2026-01-01T00:00:00Z", "2026-01-04T00:00:00Z", "ann", "c2"),
    )
]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> settings.Settings:
    monkeypatch.delenv(settings.KEY_VARIABLE, raising=False)
    made = installation(tmp_path, {"a.jsonl": lines(EVENTS)})
    text = (tmp_path / "rejse.toml").read_text().replace("*.jsonl", "a.jsonl")
    (tmp_path / "rejse.toml").write_text(text + SOURCE)
    (tmp_path / "held.jsonl").write_text(lines(HELD))
    (tmp_path / "held.sql").write_text(f"select {', '.join(RECORDS)} from source")
    raw_schema.write(tmp_path / "held.json", pa.schema([(name, pa.string()) for name in RECORDS]))
    map_identity_type(tmp_path)
    made = settings.load(made.root)
    assert balanced(once(made))
    return made


def test_a_case_goes_with_its_customer_and_not_alone(project: settings.Settings) -> None:
    before = customer_by_event(project)
    assert before["c1-3"] == before["ann-2"]
    assert len({before["c2-4"], before["ann-2"], before["ben-5"]}) == 3
    with pytest.raises(LinkedError, match="erase that person"):
        forget(project, CASE, "c1")
    assert forget(project, "customer", "ann").rows["events"] == 2
    assert set(customer_by_event(project)) == {"c2-4", "ben-5"}
    again = once(project, mode="rebuild")
    assert balanced(again)
    assert customer_by_event(project)["c1-3"] not in {*before.values()}


@pytest.mark.parametrize(
    ("kind", "telling"), [("kind", 1), ("'case'", 1), ("'account'", 0), (None, 0)]
)
def test_cases_are_asked_only_where_an_event_may_bear_one(
    project: settings.Settings, kind: str | None, telling: int
) -> None:
    more = "" if kind is None else f", {kind} as identitytype"
    (project.root / "map.sql").write_text(SELECT.replace(" from", f"{more} from"))
    assert len(gather_links.sources_with_links(settings.load(project.root))) == telling
