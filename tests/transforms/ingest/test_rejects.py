"""Rejects: what of their details is published."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from rejse.pipelines.jobs.stage_steps import published_rejects
from rejse.transforms.dimensions import customer_records
from rejse.transforms.feedback import validate as answer_rules
from rejse.transforms.ingest import validate
from rejse.transforms.ingest.rejects import CAPPED, REASONS, refuse, unquoted
from tests.support import edge
from tests.support.import_graph import tree_of
from tests.support.paths import ROOT

#: A value that no type but text holds, and a number that is too large for most.
SECRET, NUMBER = "Zoë, came: couldn't", 4_917_612_345_678_901_234_567_890
KINDS = (
    pa.int32(), pa.int64(), pa.float64(), pa.bool_(), pa.timestamp("us", tz="UTC"),
    pa.timestamp("us"), pa.date32(), pa.decimal128(10, 2),
)  # fmt: skip
NESTED = (pa.list_(pa.int64()), pa.struct([("x", pa.int64())]))


@pytest.mark.parametrize(
    ("form", "kind"),
    [*(("csv", kind) for kind in KINDS), *(("jsonl", kind) for kind in KINDS + NESTED)],
    ids=str,
)
def test_what_readers_quote_is_not_published(tmp_path: Path, form: str, kind: pa.DataType) -> None:
    for value in (SECRET, NUMBER, -NUMBER, [SECRET], {"x": SECRET}, {"x": NUMBER}):
        cell = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        quoted = '"' + cell.replace('"', '""') + '"'
        line = json.dumps({"a": value}) if form == "jsonl" else f"a\n{quoted}"
        path = tmp_path / f"log.{form}"
        path.write_text(line + "\n", encoding="utf-8")
        _, refused = edge.read(path, pa.schema([("a", kind)]))
        for reject in refused:
            detail = unquoted(reject["reason"], reject["detail"])
            assert detail
            assert not any(part in detail for part in ("Zo", "4917", "4.917")), detail


def test_other_details_are_published_whole() -> None:
    assert unquoted("missing_time", "time is needed: map it, came null") == (
        "time is needed: map it, came null"
    )


def test_an_id_that_is_the_position_is_published_as_its_hash() -> None:
    capped = refuse("crm", ["event e1"], "event_cap", "too many", [None], ["e1"])
    other = refuse("crm", ["event e1:7"], "missing_time", "no time", [None], ["e1"])
    (first,), (two,) = (published_rejects(part, b"k" * 16).to_pylist() for part in (capped, other))
    assert first["position"] == f"event {first['id']}"
    assert first["id"] == two["id"] != "e1"
    assert two["position"] == "event e1:7", "a file may be named so"


def literals(files: str) -> Iterator[str]:
    """Literal texts of modules that are spelled as reasons are."""
    for path in ROOT.glob(files):
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Constant) and re.fullmatch(
                r"[a-z0-9]+(_[a-z0-9]+)+", str(node.value)
            ):
                yield str(node.value)


def test_reasons_of_the_readers_are_declared() -> None:
    given = set(literals("pipelines/sources/*.py"))
    assert given <= set(REASONS), "declare them in REASONS"
    later = set(REASONS) - given
    modules = ("ingest/normalise.py", "ingest/future_rows.py", "identity/pseudonyms.py")
    named = {name for module in modules for name in literals(f"transforms/{module}")}
    assert later <= named | {CAPPED}, "no module gives this reason"


def test_reasons_of_row_rules_are_declared_by_the_rules_only() -> None:
    records = [rule for kind in customer_records.CONTRACTS for rule in customer_records.rules(kind)]
    by_rules = {rule.reason for rule in (*validate.RULES, *answer_rules.RULES, *records)}
    assert not by_rules & set(REASONS)
