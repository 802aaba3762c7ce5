import json

import pyarrow as pa
import pytest

from rejse.pipelines.onboarding.suggest_fix import suggestion

RAW = pa.RecordBatch.from_pydict(
    {"when": ["31/12/2024 10:00", "1/2/2025 11:00", "?"], "n": ["1", "2", "many"]}
)


def payload(**row: object) -> str:
    return json.dumps(row)


def test_a_time_of_another_format_is_read_as_its_neighbours_are() -> None:
    value, sql = suggestion(
        "mapping_failed",
        'invalid timestamp field format: "31/12/2024 10:00"',
        payload(when="31/12/2024 10:00", n="1"),
        RAW,
    )
    assert value == "when = 31/12/2024 10:00"
    assert sql == """strptime(nullif("when", '?'), '%d/%m/%Y %H:%M') as time"""


def test_a_number_that_is_none_becomes_null() -> None:
    value, sql = suggestion(
        "mapping_failed",
        "Could not convert string 'many' to INT32",
        payload(when="1/2/2025 11:00", n="many"),
        RAW,
    )
    assert (value, sql.split(" ")[0]) == ("n = many", 'try_cast("n"')


@pytest.mark.parametrize(
    ("reason", "row", "value", "sql"),
    [
        ("missing_identity", {"identity": None}, "identity = None", "as reject"),
        ("unknown_direction", {"direction": "o'in"}, 'direction = "o\'in"', "when 'o''in' then"),
        ("negative_wait_s", {"wait_s": -3}, "wait_s = -3", "greatest(wait_s, 0) as wait_s"),
        ("time_out_of_range", {"time": "x"}, '{"time": "x"}', "1e3"),
        ("type_mismatch", {"n": "x"}, '{"n": "x"}', "try_cast"),
    ],
)
def test_each_reason_has_its_own_advice(
    reason: str, row: dict[str, object], value: str, sql: str
) -> None:
    quoted, advice = suggestion(reason, None, payload(**row), RAW)
    assert quoted == value
    assert sql in advice


@pytest.mark.parametrize("reason", ["not_json", "damaged_file", "invalid_utf8", "too_deep"])
def test_a_damaged_row_is_shown_shortened_and_no_sql_is_promised(reason: str) -> None:
    quoted, advice = suggestion(reason, "", "{" * 500, RAW)
    assert (len(quoted), advice) == (120, "(the row itself is damaged; no SQL helps)")


def test_a_missing_identity_is_filled_from_columns_that_the_row_has() -> None:
    raw = pa.RecordBatch.from_pydict({"customer_no": [""], "user_id": [7], "n": ["1"]})
    row = payload(customer_no="", user_id=7, n="1")
    _, sql = suggestion("missing_identity", None, row, raw)
    expected = """coalesce(nullif("customer_no", ''), nullif(cast("user_id" as varchar), ''))"""
    assert sql.startswith(f"{expected} as identity")
    for column in ("identity", "time"):
        assert "..." not in suggestion(f"missing_{column}", None, payload(), raw)[1]
