"""X-records at the edge: mapping, row rules, one scale, pseudonyms, duplicates."""

from __future__ import annotations

from typing import Any

import duckdb
import pyarrow as pa
import pytest

from rejse.pipelines.sources.files import RawBatch
from rejse.transforms.columnar.event_table import Events
from rejse.transforms.feedback.scale import scaled, solicited
from rejse.transforms.feedback.schema import EXPERIENCE
from rejse.transforms.feedback.text_scoring import TextScoring, score_texts
from rejse.transforms.feedback.vader import Vader
from rejse.transforms.feedback.validate import RULES, accept
from rejse.transforms.identity.pseudonyms import pseudonymise
from rejse.transforms.incremental.deduplicate import without_duplicates
from rejse.transforms.ingest import rejects
from rejse.transforms.ingest.mapping import SourceMapping
from rejse.transforms.ingest.normalise import normalise
from rejse.transforms.ingest.select_check import MappingError

KEY = b"a key that is no secret: tests only"
TEXTS = ("id", "asked", "who", "kind", "level", "words", "agent")
RAW = pa.schema([*((name, pa.string()) for name in TEXTS), ("points", pa.int64())])
SELECT = """
select id, cast(asked as timestamptz) as time, who as identity, kind as instrument, level,
    points as raw_score, words as text, agent as actor_id
from source
"""


def row(number: int, **given: Any) -> dict[str, Any]:
    """A survey answer that is accepted, but for what is given."""
    base = {
        "id": f"x{number}", "asked": "2026-01-05T09:00:00Z", "who": "c1", "kind": "nps",
        "level": "touchpoint", "points": 8, "words": "fine", "agent": "a1",
    }  # fmt: skip
    return {**base, **given}


def canonical(*rows: dict[str, Any], select: str = SELECT) -> pa.RecordBatch:
    batch = pa.RecordBatch.from_pylist(list(rows), schema=RAW)
    mapping = SourceMapping(select, RAW, "survey", EXPERIENCE)
    accepted, refused = normalise(
        mapping, RawBatch("survey", "log", 1, batch, None, rejects.empty())
    )
    assert refused.num_rows == 0
    return accepted


def records(*rows: dict[str, Any]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(list(rows), schema=EXPERIENCE.canonical())


def record(**given: Any) -> dict[str, Any]:
    base = {
        "id": "x1", "source": "survey", "time": 0, "identity": "c1", "identitytype": "customer",
        "respondent_type": "customer", "instrument": "nps", "level": "touchpoint",
    }  # fmt: skip
    return {**base, **given}


def score(**given: Any) -> float | None:
    table = pa.Table.from_batches([records(record(**given))])
    (u,) = scaled(Events.of(table)).u
    return None if u != u else float(u)


def test_a_survey_becomes_records_without_identity_and_without_its_text() -> None:
    accepted, refused, notes = accept(canonical(row(1), row(2, points=None)))
    assert (refused.num_rows, notes) == (0, {})
    pseudonymous, refused = pseudonymise(accepted, KEY, (), EXPERIENCE)
    assert refused.num_rows == 0
    first, second = pseudonymous.to_pylist()
    assert (first["raw_score"], second["raw_score"]) == (8.0, None)
    assert (first["source"], first["respondent_type"]) == ("survey", "customer")
    assert "identity" not in first and "text" not in first
    assert len(first["customer_key"]) == 32
    assert first["actor_id"] not in (None, "a1")
    assert "fine" not in str(pseudonymous.to_pylist())


def test_the_mapping_is_held_to_the_contract_of_its_kind() -> None:
    with pytest.raises(MappingError, match="activity is no column of the contract"):
        canonical(row(1), select=SELECT.replace("level,", "level, 'x' as activity,"))
    with pytest.raises(MappingError, match="level not mapped; every experience source needs"):
        canonical(row(1), select=SELECT.replace("level,", ""))


BAD = [
    (record(id=None), "missing_id"),
    (record(level="planet"), "unknown_level"),
    (record(respondent_type="robot"), "unknown_respondent_type"),
    (record(identitytype="ghost"), "unknown_identitytype"),
    (record(time=-1), "time_out_of_range"),
    (record(responded_time=9_000_000_000_000_000), "time_out_of_range"),
    (record(scale_min=5.0, scale_max=1.0), "scale_upside_down"),
    (record(scale_min=0.0, scale_max=float("inf")), "scale_upside_down"),
    (record(confidence=1.5), "confidence_out_of_range"),
    (record(confidence=float("nan")), "confidence_out_of_range"),
    (record(previousidentity="c2"), "missing_previousidentitytype"),
]


@pytest.mark.parametrize(("bad", "reason"), BAD, ids=lambda v: v if isinstance(v, str) else "")
def test_a_row_that_breaks_a_rule_is_refused_for_it(bad: dict[str, Any], reason: str) -> None:
    good = {**record(), "id": "x2"}
    batch = pa.RecordBatch.from_pylist(
        [bad, good], schema=pa.schema([f.with_nullable(True) for f in EXPERIENCE.canonical()])
    )
    accepted, refused, _ = accept(batch)
    assert accepted.column("id").to_pylist() == ["x2"]
    assert refused.column("reason").to_pylist() == [reason]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_mask_and_sql_of_a_rule_refuse_the_same_rows(rule: Any) -> None:
    schema = pa.schema([f.with_nullable(True) for f in EXPERIENCE.canonical()])
    rows = [record(), *(bad for bad, _ in BAD), record(confidence=0.0), record(scale_min=3.0)]
    batch = pa.RecordBatch.from_pylist(rows, schema=schema)
    con = duckdb.connect()
    con.execute("set timezone = 'UTC'")
    con.register("records", batch)
    kept = [ok for (ok,) in con.execute(f"select {rule.sql} from records").fetchall()]
    assert None not in kept
    assert [not is_kept for is_kept in kept] == rule.refuses(batch).tolist()


def test_an_unknown_instrument_is_other_and_counted() -> None:
    accepted, _, notes = accept(records(record(instrument="mood ring", raw_score=3.0)))
    assert accepted.column("instrument").to_pylist() == ["other"]
    assert notes == {"unknown_instrument": 1, "score_without_scale": 1}


def test_a_score_outside_its_scale_is_kept_raw_and_counted() -> None:
    accepted, refused, notes = accept(records(record(raw_score=11.0)))
    assert (accepted.column("raw_score").to_pylist(), refused.num_rows) == ([11.0], 0)
    assert notes == {"score_outside_scale": 1}
    assert score(raw_score=11.0) is None
    assert score(raw_score=float("nan")) is None


def test_a_text_that_nothing_scored_is_counted() -> None:
    texts = [("good", "en"), ("godt", "da"), ("good", None), (None, "da"), ("on Tuesday", "en")]
    given = records(*(record(text=text, language=tag) for text, tag in texts))
    _, _, notes = accept(score_texts(given, TextScoring({"en": Vader()})))
    assert notes["text_without_sentiment"] == 3
    assert "text_without_sentiment" not in accept(given.drop_columns(["text"]))[2]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"raw_score": 8.0}, 0.8),
        ({"raw_score": None}, None),
        ({"instrument": "csat", "raw_score": 4.0}, 0.75),
        ({"instrument": "ces", "raw_score": 7.0}, 1.0),
        ({"instrument": "star", "raw_score": 1.0}, 0.0),
        ({"instrument": "effort", "raw_score": 2.0}, 0.75),
        ({"instrument": "sentiment", "raw_score": -1.0}, 0.0),
        ({"instrument": "csat", "raw_score": 8.0, "scale_min": 1.0, "scale_max": 10.0}, 7 / 9),
        ({"instrument": "ces", "raw_score": 2.0, "higher_is_better": False}, 5 / 6),
        ({"instrument": "effort", "raw_score": 2.0, "higher_is_better": True}, 0.25),
        ({"instrument": "complaint", "raw_score": 2.0}, None),
        ({"instrument": "csat", "raw_score": 6.0, "scale_max": 11.0}, 0.5),
        ({"instrument": "csat", "raw_score": 2.0, "scale_min": 7.0}, None),
    ],
)
def test_one_scale(given: dict[str, Any], expected: float | None) -> None:
    assert score(**given) == (expected if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("given", "is_top"),
    [
        ({"raw_score": 9.0}, True),
        ({"raw_score": 8.0}, False),
        ({"raw_score": 9.0, "scale_min": 1.0}, True),  # u = 8/9
        ({"raw_score": 8.0, "scale_min": 1.0}, False),
        ({"raw_score": 9.0, "scale_min": 1.0, "higher_is_better": False}, False),
        ({"raw_score": 9.0, "scale_max": 11.0}, False),
        ({"instrument": "star", "raw_score": 5.0}, True),
        ({"instrument": "star", "raw_score": 4.75}, False),
        ({"instrument": "ces", "raw_score": 6.4}, True),
        ({"instrument": "ces", "raw_score": 6.3}, False),
        ({"instrument": "effort", "raw_score": 1.0}, True),
        ({"raw_score": None}, False),
    ],
)
def test_top_box_by_instrument(given: dict[str, Any], is_top: bool) -> None:
    table = pa.Table.from_batches([records(record(**given))])
    assert scaled(Events.of(table)).is_top_box.tolist() == [is_top]


def test_surveys_are_solicited_and_reviews_are_not_unless_said() -> None:
    rows = [record(instrument=i) for i in ("nps", "review", "sentiment", "complaint")]
    rows += [record(solicited=False), record(instrument="review", invited_time=1)]
    solicitation = solicited(Events.of(pa.Table.from_batches([records(*rows)])))
    assert solicitation.tolist() == [True, False, False, False, False, True]


def test_of_equal_source_and_id_the_first_recorded_stays() -> None:
    rows = [record(raw_score=2.0, recordedtime=5), record(raw_score=9.0, recordedtime=4)]
    accepted, _, _ = accept(records(*rows))
    events, _ = pseudonymise(accepted, KEY, (), EXPERIENCE)
    once, doubles = without_duplicates(pa.Table.from_batches([events]))
    assert (once.column("raw_score").to_pylist(), doubles) == ([9.0], 1)
