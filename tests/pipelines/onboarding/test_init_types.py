"""What `init` makes of column types, names and times that are rare, but real."""

import re
from datetime import UTC, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rejse.pipelines.config import settings
from rejse.pipelines.onboarding.check import check
from rejse.pipelines.onboarding.sample import sample
from rejse.pipelines.onboarding.scaffold import init
from tests.support.onboarding import SMALL_LOG, mapped_rows, write

BILLIONTHS = 1_713_000_000_123_456_789


@pytest.mark.parametrize(
    "values",
    [
        pa.array([BILLIONTHS, BILLIONTHS + 1], pa.timestamp("ns")),
        pa.array([BILLIONTHS, BILLIONTHS + 1], pa.timestamp("ns", "Europe/Copenhagen")),
        pa.array([86_399_999_999_999, 1], pa.time64("ns")),
        pa.array([1, 1_001], pa.duration("ns")),
        pa.array([4_000_000, -4_000_000], pa.date32()),
        pa.array([400_000_000_000, -400_000_000_000], pa.timestamp("s")),
        pa.nulls(2),
        pa.array([Decimal("1.50"), None], pa.decimal128(38, 2)),
        pa.array([2**63 + 5, 1], pa.uint64()),
        pa.array([[("k", 1)], []], pa.map_(pa.string(), pa.int64())),
        pa.array([[{"at": BILLIONTHS}], []], pa.list_(pa.struct([("at", pa.timestamp("ns"))]))),
    ],
    ids=lambda values: str(values.type),
)
def test_values_that_python_does_not_have_stop_no_first_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: pa.Array
) -> None:
    """Billionths of a second, years outside 1 to 9999, and a column of nulls."""
    monkeypatch.delenv(settings.KEY_VARIABLE, raising=False)
    log = {
        "event_id": ["1", "2"], "customer_id": ["a", "b"], "activity": ["call", None],
        "time": ["2025-03-03 10:00:00", "2025-03-03 11:00:00"], "note": values,
    }  # fmt: skip
    pq.write_table(pa.table(log), tmp_path / "log.parquet")
    init([tmp_path / "log.parquet"], tmp_path)
    [source] = check(settings.load(tmp_path)).sources
    assert (source.accepted, source.reasons) == (1, {"missing_activity": 1})


@pytest.mark.parametrize("name", ["at", "left", "by", "full", "order", "user", "values"])
def test_words_of_sql_are_quoted_as_names(tmp_path: Path, name: str) -> None:
    text = f"id,time,customer_id,{name},channel\n1,2025-03-01 10:00:00,c1,one,phone\n"
    init([write(tmp_path / "log.csv", text.replace("channel", "activity"))], tmp_path)
    raw = sample(tmp_path / "log.csv").table
    [row] = mapped_rows(tmp_path, "log", raw)
    assert ("one" in str(row["attrs"])) and row["activity"] == "phone"


@pytest.mark.parametrize("name", ["export[1].csv", "what?.csv", "all*.csv"])
def test_a_name_with_signs_of_a_glob_names_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv(settings.KEY_VARIABLE, raising=False)
    init([write(tmp_path / name, SMALL_LOG)], tmp_path)
    write(tmp_path / name.translate(str.maketrans("[*?", "xxx")), SMALL_LOG.replace("c1", "c9"))
    [source] = check(settings.load(tmp_path)).sources
    assert (source.files, source.accepted) == (1, 3)


@pytest.mark.parametrize("day", ["2025-07-03 10:00:00", "03/07/2025 10:00", "13.07.2025 10:00"])
def test_times_without_a_zone_are_said_to_be_utc_with_what_makes_them_local(
    tmp_path: Path, day: str
) -> None:
    log = write(tmp_path / "crm.csv", f"at,customer,event\n{day},c1,a\n{day},c1,b\n")
    init([log], tmp_path)
    text, raw = (tmp_path / "crm.sql").read_text(), sample(log).table
    advice = re.search(r"-- (timezone\(.+\) as time,) with", text)
    assert advice and "taken as UTC" in text
    [utc, _] = mapped_rows(tmp_path, "crm", raw)
    local = re.sub(r"^    .* as time,", f"    {advice[1]}", text, flags=re.MULTILINE)
    (tmp_path / "crm.sql").write_text(local)
    [copenhagen, _] = mapped_rows(tmp_path, "crm", raw)
    assert utc["time"].replace(tzinfo=UTC) - copenhagen["time"] == timedelta(hours=2)


@pytest.mark.parametrize("day", ["2025-07-03T10:00:00Z", "2025-07-03 10:00:00+02", "1751536800"])
def test_nothing_is_said_of_zones_where_times_have_one(tmp_path: Path, day: str) -> None:
    init([write(tmp_path / "crm.csv", f"at,customer,event\n{day},c1,a\n{day},c1,b\n")], tmp_path)
    assert "taken as UTC" not in (tmp_path / "crm.sql").read_text()


def test_times_in_billionths_of_a_second_are_the_time_of_a_log(tmp_path: Path) -> None:
    times = pa.array([BILLIONTHS, BILLIONTHS - 1_000], pa.timestamp("ns"))
    log = pa.table({"id": ["1", "2"], "customer": ["a", "a"], "event": ["x", "y"], "at": times})
    pq.write_table(log, tmp_path / "log.parquet")
    init([tmp_path / "log.parquet"], tmp_path)
    rows = mapped_rows(tmp_path, "log", log)
    assert [str(row["time"])[:26] for row in rows] == [
        "2024-04-13 09:20:00.123456",
        "2024-04-13 09:20:00.123455",
    ]
