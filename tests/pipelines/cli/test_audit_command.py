"""`rejse audit`: what is published is validated by Great Expectations, and nothing is changed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rejse.pipelines.publication import audit
from rejse.pipelines.publication.audit import Finding
from tests.support import store_builder
from tests.support.audits import broken_world
from tests.support.cli import Command


@pytest.mark.parametrize(
    ("rows", "status", "code"),
    [(store_builder.world(), "passed", 0), (broken_world()[0], "failed", 1)],
    ids=("lawful", "broken"),
)
def test_what_is_published_is_validated(
    rejse: Command, config: Path, rows: store_builder.Rows, status: str, code: int
) -> None:
    store_builder.published(config.parent / "store", rows)
    docs = config.parent / "docs"
    ended, out, _ = rejse("audit", "-c", str(config), "--docs", str(docs), "--json")
    line = json.loads(out)
    assert (ended, line["exit_code"], line["status"]) == (code, code, status)
    assert line["n_rules"] > 200
    assert any(finding["rule"] == "shares_add_up" for finding in line["findings"]) == bool(code)
    page = (docs / "journeys.html").read_text(encoding="utf-8")
    assert "friction_score" in page and (">half<" in page) == bool(code)  # a state of no list


def test_broken_rules_are_named_with_their_rows(
    rejse: Command, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_builder.copied(config.parent / "store")
    finding = Finding(
        "friction_evidence", "severity.range", "critical", 1, 2, ("evidence_id=e",), ""
    )
    monkeypatch.setattr(audit, "published", lambda *_: ([finding], 9))
    code, out, _ = rejse("audit", "-c", str(config))
    assert code == 1
    assert "friction_evidence: severity.range (critical): 1 of 2 rows, such as evidence_id=" in out
    assert "publication 1: " in out and "rules hold" in out


def test_without_a_publication_there_is_nothing_to_audit(rejse: Command, config: Path) -> None:
    code, _, err = rejse("audit", "-c", str(config))
    assert code == 2
    assert "rejse run" in err
