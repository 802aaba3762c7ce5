"""O-data as of a moment: which row of a table with validities holds."""

from __future__ import annotations

import hmac
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rejse.pipelines.cli import exit_codes
from rejse.pipelines.config import dimension_files as files
from rejse.pipelines.config.dimension_files import OperationalError
from rejse.pipelines.config.settings import Operational as Configured
from rejse.transforms.columnar.event_table import Categorical
from rejse.transforms.dimensions.tables import TABLES, Operational, conform
from rejse.transforms.dimensions.validity import AsOf
from tests.support import builders
from tests.support.law import examples

TOUCHPOINTS = TABLES["touchpoints"].schema
LAWS = settings(max_examples=examples(200))
START = datetime(2026, 1, 1, tzinfo=UTC)
MOMENT = st.one_of(st.none(), st.integers(0, 6))


def at(day: int | None) -> datetime | None:
    return None if day is None else START + timedelta(days=day)


def micros(day: int) -> int:
    return int((START + timedelta(days=day)).timestamp()) * 1_000_000


@st.composite
def validities(draw: st.DrawFn, largest: int = 8) -> list[dict[str, Any]]:
    """Rows of three touchpoints whose validities overlap, touch, leave holes, or are empty."""
    return [
        {
            "touchpoint": draw(st.sampled_from("xyz")),
            "owner": draw(st.sampled_from((None, "sales", "claims"))),
            "expected_wait_s": draw(st.sampled_from((None, 0.0, 60.0))),
            "valid_from": at(draw(MOMENT)),
            "valid_to": at(draw(MOMENT)),
        }
        for _ in range(draw(st.integers(0, largest)))
    ]


def naive(rows: list[dict[str, Any]], key: str | None, when: datetime) -> dict[str, Any] | None:
    valid = [
        row
        for row in rows
        if row["touchpoint"] == key
        and (row["valid_from"] is None or row["valid_from"] <= when)
        and (row["valid_to"] is None or when < row["valid_to"])
    ]
    latest = datetime(1, 1, 1, tzinfo=UTC)
    if not valid:
        return None
    newest = max(row["valid_from"] or latest for row in valid)
    return min(
        (row for row in valid if (row["valid_from"] or latest) == newest),
        key=lambda row: json.dumps(row, sort_keys=True, default=str),
    )


def table(rows: list[dict[str, Any]]) -> pa.Table:
    names = ("touchpoint", "owner", "expected_wait_s", "valid_from", "valid_to")
    schema = pa.schema([TOUCHPOINTS.field(name) for name in names])
    return conform(pa.Table.from_pylist(rows, schema=schema), TOUCHPOINTS)


@LAWS
@given(validities(), st.lists(st.tuples(st.sampled_from((None, *"xyzw")), st.integers(-1, 7))))
def test_the_row_as_of_a_time_is_that_of_a_scan(
    rows: list[dict[str, Any]], asked: list[tuple[str | None, int]]
) -> None:
    index = AsOf.of(table(rows), "touchpoint")
    texts = Categorical.of(pa.array([key for key, _ in asked], pa.string()))
    positions = index.rows(texts, np.array([micros(day) for _, day in asked], np.int64))
    whole = table(rows).to_pylist()
    wanted = [naive(whole, key, START + timedelta(days=day)) for key, day in asked]
    held = index.table.to_pylist()
    assert [held[row] if row >= 0 else None for row in positions] == wanted
    owners = index.text("owner", positions).arrow().to_pylist()
    assert owners == [row and row["owner"] for row in wanted]
    value, known = index.number("expected_wait_s", positions)
    waits = [v if k else None for v, k in zip(value.tolist(), known, strict=True)]
    assert waits == [row and row["expected_wait_s"] for row in wanted]


@LAWS
@given(validities(), st.randoms(use_true_random=False))
def test_the_order_of_a_table_decides_nothing(rows: list[dict[str, Any]], chance: Any) -> None:
    shuffled = list(rows)
    chance.shuffle(shuffled)
    texts = Categorical.of(pa.array(list("xyz") * 3, pa.string()))
    time = np.array([micros(day) for day in (0, 2, 5) for _ in range(3)], np.int64)
    first, two = (AsOf.of(table(t), "touchpoint") for t in (rows, shuffled))
    a, b = (i.text("owner", i.rows(texts, time)).arrow().to_pylist() for i in (first, two))
    assert a == b


def test_no_table_at_all_says_nothing_of_anything() -> None:
    data = Operational()
    row = data.touchpoints.rows(
        Categorical.of(pa.array(["x", None], pa.string())), np.array([0, 0])
    )
    assert row.tolist() == [-1, -1]
    assert data.touchpoints.text("owner", row).arrow().to_pylist() == [None, None]
    for name in ("expected_wait_s", "is_moment_of_truth"):
        assert not data.touchpoints.number(name, row)[1].any()
    assert data.fields.num_rows == 0


def no_key() -> bytes:
    raise AssertionError("no table read here needs the key")


def configured(path: Path | None) -> dict[str, Path | None]:
    return {"touchpoints": path, "touchpoint_fields": None}


def test_csv_and_parquet_say_the_same(tmp_path: Path) -> None:
    text = (
        "touchpoint,owner,expected_wait_s,is_moment_of_truth,valid_from,valid_to,remark\n"
        "desk,sales,60,true,2026-01-01,2026-02-01T00:00:00+01:00,not ours\n"
        "desk,null,,,2026-02-01T00:00:00Z,,\n"
    )
    (tmp_path / "t.csv").write_text(text)
    touchpoints = files.read(configured(tmp_path / "t.csv"), no_key).table("touchpoints")
    assert touchpoints.schema.equals(TOUCHPOINTS)
    first, second = touchpoints.to_pylist()
    assert (first["owner"], first["expected_wait_s"], first["silo"]) == ("sales", 60.0, None)
    assert first["valid_to"] == datetime(2026, 1, 31, 23, tzinfo=UTC)
    assert first["valid_from"] == datetime(2026, 1, 1, tzinfo=UTC)  # no zone named: UTC
    assert (second["owner"], second["is_moment_of_truth"], second["valid_to"]) == (None,) * 3
    pq.write_table(touchpoints, tmp_path / "t.parquet")
    assert (
        files.read(configured(tmp_path / "t.parquet"), no_key).table("touchpoints") == touchpoints
    )
    assert not files.read(configured(None), no_key).has("touchpoints")


def test_a_date_is_a_day_of_the_row_s_own_zone(tmp_path: Path) -> None:
    rows = [
        ("Europe/Copenhagen", "2026-02-01", START.replace(month=1, day=31, hour=23)),
        ("Asia/Kolkata", "2026-02-01", START.replace(month=1, day=31, hour=18, minute=30)),
        ("America/Sao_Paulo", "2018-11-04", datetime(2018, 11, 4, 3, tzinfo=UTC)),  # no midnight
        ("Europe/Copenhagen", "2026-07-01T08:00:00", START.replace(month=7, hour=6)),
        ("Europe/Copenhagen", "2026-07-01T08:00:00Z", START.replace(month=7, hour=8)),
        ("UTC", "2026-02-01", START.replace(month=2)),
    ]
    lines = [f"1,08:00,16:00,{zone},{since}" for zone, since, _ in rows]
    (tmp_path / "c.csv").write_text("\n".join(["weekday,opens,closes,tz,valid_from", *lines]))
    calendar = files.read({"calendar": tmp_path / "c.csv"}, no_key).table("calendar")
    assert calendar.column("valid_from").to_pylist() == [moment for _, _, moment in rows]

    days = pa.table({"weekday": [1, 1], "opens": ["08:00"] * 2, "closes": ["16:00"] * 2,
                     "tz": ["Asia/Kolkata", "UTC"],
                     "valid_from": pa.array([date(2026, 2, 1)] * 2, pa.date32()),
                     "valid_to": pa.array([datetime(2026, 3, 1)] * 2, pa.timestamp("ns")),
                     })  # fmt: skip
    pq.write_table(days, tmp_path / "c.parquet")
    calendar = files.read({"calendar": tmp_path / "c.parquet"}, no_key).table("calendar")
    assert calendar.column("valid_from").to_pylist() == [rows[1][2], rows[5][2]]
    ends = START.replace(month=2, day=28, hour=18, minute=30), START.replace(month=3)
    assert tuple(calendar.column("valid_to").to_pylist()) == ends


def test_the_first_day_that_there_is_stands_for_always(tmp_path: Path) -> None:
    text = "weekday,opens,closes,tz,valid_from\n1,08:00,16:00,Asia/Kolkata,0001-01-01\n"
    (tmp_path / "c.csv").write_text(text)
    calendar = files.read({"calendar": tmp_path / "c.csv"}, no_key).table("calendar")
    assert calendar.column("valid_from").to_pylist() == [datetime(1, 1, 1, tzinfo=UTC)]


def test_a_row_without_a_time_zone_of_its_own_is_told_so(tmp_path: Path) -> None:
    text = "weekday,opens,closes,tz,valid_from\n1,08:00,16:00,Mars/Base,2026-02-01\n"
    (tmp_path / "c.csv").write_text(text)
    with pytest.raises(OperationalError, match=r"c\.csv: row 1: expected a time zone such as"):
        files.read({"calendar": tmp_path / "c.csv"}, no_key)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"foo\nx\n", "expected columns touchpoint, .* touchpoint is missing, came: foo"),
        (b'\xff\xfe\x00broken"', "expected columns touchpoint, .* came: "),
        (b"touchpoint,valid_from\nx,notatime\n", ".* row 1: 'notatime' where a time such as"),
        (b"touchpoint,owner\nx,y\n,z\n", "expected a touchpoint in every row, .* row 2"),
        (b"PAR1 broken PAR1", "expected columns touchpoint, "),
    ],
)
def test_a_bad_table_is_misuse_and_named(tmp_path: Path, data: bytes, message: str) -> None:
    """Whoever keeps the table can mend it: no fault of the program."""
    name = "t.parquet" if data.startswith(b"PAR1") else "t.csv"
    (tmp_path / name).write_bytes(data)
    with pytest.raises(OperationalError, match=rf"(?s)table touchpoints, {name}: {message}") as c:
        files.read(configured(tmp_path / name), no_key)
    assert exit_codes.code_of(c.value) == exit_codes.MISUSE


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("foo,K1,customer,C1,2026-01-01,", "row 2: expected an identity type of .*'foo'"),
        ("cookie,K1,customer,C1,notatime,", "row 2: 'notatime' where a time such as"),
        ("cookie,,customer,C1,2026-01-01,", "expected a previousidentity in every row, .* row 2"),
        ("customer,C1,cookie,K1,,", "row 2: expected identitytype customer"),
        ("cookie,K1,customer,C1,2026-05-01,2026-01-01", "one before it in row 2"),
    ],
)
def test_bad_identity_links_are_misuse_and_named(tmp_path: Path, row: str, message: str) -> None:
    head = "previousidentitytype,previousidentity,identitytype,identity,valid_from,valid_to"
    (tmp_path / "l.csv").write_text(f"{head}\ncookie,K1,customer,C1,,\n{row}\n")
    with pytest.raises(OperationalError, match=rf"table identity_links, l\.csv: .*{message}") as c:
        files.read({files.LINKS: tmp_path / "l.csv"}, lambda: bytes(32))
    assert exit_codes.code_of(c.value) == exit_codes.MISUSE


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("touchpoint,expected_wait_s\ndesk,soon\n", "soon"),
        ("touchpoint,valid_from\ndesk,yesterday\n", "'yesterday' where a time such as"),
        ("touchpoint,owner\ndesk\n", "Expected 2 columns"),
    ],
)
def test_a_table_that_cannot_be_read_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(
        OperationalError, match=r"t\.csv: expected columns touchpoint, owner"
    ) as caught:
        files.read(configured(tmp_path / "t.csv"), no_key)
    assert message in str(caught.value)


def test_a_row_without_its_key_is_named(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("touchpoint,owner\ndesk,sales\n,claims\n")
    with pytest.raises(OperationalError, match=r"expected a touchpoint in every row, .* row 2"):
        files.read(configured(tmp_path / "t.csv"), no_key)


def test_hours_that_make_no_sense_are_named(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("weekday,opens,closes,tz\n1,08:00,16:00,UTC\n2,8,16,UTC\n")
    with pytest.raises(
        OperationalError, match=r"c\.csv: row 2: expected opens as a time such as 08:30"
    ):
        files.read({"calendar": tmp_path / "c.csv"}, no_key)


def test_agents_bear_the_pseudonyms_of_events(tmp_path: Path) -> None:
    key = bytes(range(32))
    (tmp_path / "a.csv").write_text("actor_id,team\n0042,first\nkim@desk,second\n")
    read = files.read({"agents": tmp_path / "a.csv"}, lambda: key).table("agents")
    assert read.schema.equals(TABLES["agents"].schema)
    actors = read.column("actor_id").to_pylist()
    assert not {"0042", "kim@desk"} & set(actors)
    messages = (b"actor_id\x1f0042", b"actor_id\x1fkim@desk")
    assert actors == [hmac.digest(key, message, "sha256").hex()[:16] for message in messages]
    assert read.column("team").to_pylist() == ["first", "second"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("rework,-1,5,DKK", "row 1: expected minutes_company of 0 or more, came -1"),
        ("rework,1,5,", "row 1: expected a currency beside a rate, came none"),
        (
            "reworks,1,5,DKK",
            r"row 1: expected a kind of friction or default, came 'reworks'; did you mean rework\?",
        ),
    ],
)
def test_rates_that_make_no_sense_are_named(tmp_path: Path, row: str, message: str) -> None:
    (tmp_path / "r.csv").write_text(f"kind,minutes_company,rate_company,currency\n{row}\n")
    with pytest.raises(OperationalError, match=rf"r\.csv: {message}"):
        files.read({"cost_rates": tmp_path / "r.csv"}, no_key)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("answer,claim,reply,4h,", "row 1: expected a kind response, resolution, handoff"),
        ("answer,claim,response,soon,", "row 1: due: expected a duration such as 30d"),
        (
            "answer,claim,response,0s,",
            "row 1: expected a due above 0 and up to 100 years, came '0s'",
        ),
        ("answer,claim,response,999999999d,", "row 1: expected a due above 0 and up to 100 years"),
        ("answer,claim,response,4h,true", "row 1: expected a calendar for is_working_time"),
    ],
)
def test_service_levels_that_make_no_sense_are_named(
    tmp_path: Path, row: str, message: str
) -> None:
    (tmp_path / "s.csv").write_text(f"sla,journey_type,kind,due,is_working_time\n{row}\n")
    with pytest.raises(OperationalError, match=rf"s\.csv: {message}"):
        files.read({"slas": tmp_path / "s.csv"}, no_key)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "touchpoint_fields",
            "touchpoint,field,op\ndesk,plate,asks\ndesk,plate,ask\n",
            r"t\.csv: row 2: expected an op asks, knows, passes, came 'ask'",
        ),
        (
            "touchpoints",
            "touchpoint,expected_wait_s\ndesk,60\nform,-1\n",
            r"t\.csv: row 2: expected expected_wait_s of 0 or more, came -1",
        ),
        (
            "touchpoints",
            "touchpoint,expected_latency_s\ndesk,-0.5\n",
            r"t\.csv: row 1: expected expected_latency_s of 0 or more, came -0.5",
        ),
        (
            "slas",
            "sla,journey_type,kind,due\nanswer,claims,response,4h\n",
            r"t\.csv: row 1: expected a journey_type claim, other, came 'claims'; correct it or",
        ),
    ],
)
def test_a_value_that_is_none_of_those_known_is_named(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(OperationalError, match=message):
        files.read({name: tmp_path / "t.csv"}, no_key, types=("claim",))


def test_a_service_level_may_be_about_a_type_of_a_touchpoint_or_of_the_logs(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("sla,journey_type,kind,due\nanswer,sale,response,4h\n")
    (tmp_path / "t.csv").write_text("touchpoint,journey_type\nshop,sale\n")
    tables = {"slas": tmp_path / "s.csv", "touchpoints": tmp_path / "t.csv"}
    assert files.read(tables, no_key, types=("claim",)).has("slas")
    assert files.read({"slas": tmp_path / "s.csv"}, no_key).has("slas")


def test_every_table_can_be_configured() -> None:
    assert set(TABLES) == set(Configured.model_fields)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("touchpoint;owner\ndesk;sales\n", "touchpoint is missing, came: touchpoint;owner"),
        ("touchpoint,owner,owner\ndesk,a,b\n", "expected columns touchpoint, owner"),
        ('touchpoint,owner\ndesk,sales\n"",claims\n', "expected a touchpoint in every row"),
        (
            "touchpoint,valid_from,valid_to\ndesk,2026-02-01,2026-01-01\n",
            "valid_to that is not before valid_from, came one before it in row 1",
        ),
    ],
)
def test_a_table_that_means_nothing_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(OperationalError, match=message):
        files.read(configured(tmp_path / "t.csv"), no_key)


def test_an_empty_text_is_none() -> None:
    touchpoints = pa.table({"touchpoint": ["desk", "form"], "owner": ["", "web"]})
    assert conform(touchpoints, TOUCHPOINTS).column("owner").to_pylist() == [None, "web"]


def test_other_records_share_the_indexes_of_the_tables() -> None:
    rows = [{"touchpoint": "x", "valid_from": at(0), "valid_to": None}]
    data = Operational({"touchpoints": table(rows)})
    first, two = (
        data.with_records(builders.known({"cases": [{"time": n, "case_id": "c"}]})) for n in (0, 1)
    )
    for name in ("touchpoints", "types", "agents", "teams", "campaigns", "calendar", "weather"):
        assert getattr(first, name) is getattr(two, name), name
    assert first.cases is not two.cases
