import gzip
import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rejse.pipelines.config import raw_schema, settings
from rejse.pipelines.onboarding.check import check
from rejse.pipelines.onboarding.sample import SampleError, sample, samples
from rejse.pipelines.onboarding.scaffold import InitError, init
from rejse.transforms.schema.parameters import DAY
from tests.support.onboarding import SMALL_LOG, mapped_rows, write


def test_least_log_gets_a_configuration_that_loads(tmp_path: Path) -> None:
    log = write(tmp_path / "crm.csv", SMALL_LOG)
    lines = init([log], tmp_path / "out")
    project = settings.load(tmp_path / "out")
    assert project.sources["crm"].files == (str(tmp_path / "out" / ".." / "crm.csv"),)
    assert "MISSING" not in "\n".join(lines)
    assert len(project.key()) == 32
    row = mapped_rows(tmp_path / "out", "crm", sample(log).table)[0]
    assert {k: row[k] for k in ("id", "identity", "activity", "channel", "identitytype")} == {
        "id": "1", "identity": "c1", "activity": "question", "channel": "phone",
        "identitytype": "customer",
    }  # fmt: skip
    assert row["source"] == "crm"
    text = (tmp_path / "out" / "crm.sql").read_text()
    assert "each of its values is a source of its own" in text


def test_numbers_and_german_names_are_known(tmp_path: Path) -> None:
    log = write(tmp_path / "log.csv", "event_nr,KundenNr,what,when\n7,k1,call,2025-01-01\n")
    assert "MISSING" not in "\n".join(init([log], tmp_path / "out"))
    row = mapped_rows(tmp_path / "out", "log", sample(log).table)[0]
    assert (row["id"], row["identity"], row["activity"]) == ("7", "k1", "call")


def test_danish_names_and_channels_are_known(tmp_path: Path) -> None:
    text = "Kunde nr.;Tid – dato;Hændelse;Kanal;Årsag\n0;2025-03-03 10:00:00;ring;Telefon;y\n"
    log = write(tmp_path / "log.csv", text)
    assert "MISSING" not in "\n".join(init([log], tmp_path / "out"))
    row = mapped_rows(tmp_path / "out", "log", sample(log).table)[0]
    values = [row[name] for name in ("identity", "activity", "channel", "intent")]
    assert values == ["0", "ring", "phone", "y"]


XES = """case:concept:name,concept:name,time:timestamp,org:resource,lifecycle:transition
Application_1,W_Call,2016-01-01 09:51:15.304000+00:00,User_1,start
Application_1,W_Call,2016-01-01 09:55:00.000000+00:00,User_1,ate_abort
Application_2,O_Sent,2016-01-02 10:00:00.000000+02:00,User_2,COMPLETE
"""
OCEL = """ocel:eid,ocel:activity,ocel:timestamp,ocel:type:order,ocel:type:item
e1,place order,2023-05-01T08:15:00Z,"['o1']","['i1', 'i2']"
e2,pick item,2023-05-01T09:15:00Z,"['o1']","['i1']"
e3,place order,2023-05-02T08:15:00Z,"['o2']","['i3']"
"""


def test_a_log_with_the_columns_of_xes_needs_no_correction(tmp_path: Path) -> None:
    log = write(tmp_path / "log.csv", XES)
    assert "MISSING" not in "\n".join(init([log], tmp_path / "out"))
    rows = mapped_rows(tmp_path / "out", "log", sample(log).table)
    columns = ("case_id", "identity", "identitytype", "activity", "actor_id", "lifecycle")
    assert [tuple(row[name] for name in columns) for row in rows] == [
        ("Application_1", "Application_1", "case", "W_Call", "User_1", "start"),
        ("Application_1", "Application_1", "case", "W_Call", "User_1", "withdraw"),
        ("Application_2", "Application_2", "case", "O_Sent", "User_2", "complete"),
    ]
    assert rows[2]["time"] == datetime(2016, 1, 2, 8, tzinfo=UTC)
    source = check(settings.load(tmp_path / "out")).sources[0]
    assert (source.accepted, source.notes, source.unused) == (3, {}, [])


def test_whose_case_it_is_goes_before_the_case(tmp_path: Path) -> None:
    head, *rows = XES.splitlines()
    text = "\n".join([f"{head},case:customer", *(f"{row},c1" for row in rows)])
    init([write(tmp_path / "log.csv", text)], tmp_path / "out")
    row = mapped_rows(tmp_path / "out", "log", sample(tmp_path / "log.csv").table)[0]
    assert (row["identity"], row["identitytype"], row["case_id"]) == (
        "c1",
        "customer",
        "Application_1",
    )


def test_a_log_with_the_columns_of_ocel_needs_no_correction(tmp_path: Path) -> None:
    log = write(tmp_path / "log.csv", OCEL)
    assert "MISSING" not in "\n".join(init([log], tmp_path / "out"))
    rows = mapped_rows(tmp_path / "out", "log", sample(log).table)
    assert [(row["id"], row["identity"], row["case_id"], row["activity"]) for row in rows] == [
        ("e1", "o1", "o1", "place order"),
        ("e2", "o1", "o1", "pick item"),
        ("e3", "o2", "o2", "place order"),
    ]
    # Which of several items an event is about no guess can say: they stay what they are.
    assert rows[0]["attrs"] == [("ocel:type:item", "['i1', 'i2']")]
    assert check(settings.load(tmp_path / "out")).sources[0].accepted == 3


def test_a_name_with_colons_is_used_only_where_it_stands_alone(tmp_path: Path) -> None:
    init([write(tmp_path / "log.csv", XES)], tmp_path / "out")
    path = tmp_path / "out" / "log.sql"
    path.write_text(path.read_text().replace('    "concept:name" as', "    'done' as"))
    source = check(settings.load(tmp_path / "out")).sources[0]
    assert (source.accepted, source.unused) == (3, ["concept:name"])


def test_the_candidates_of_names_with_colons_work_as_written(tmp_path: Path) -> None:
    log = write(tmp_path / "log.csv", XES.replace("concept:name,time", "hvad:skete,time"))
    assert "activity         MISSING" in "\n".join(init([log], tmp_path / "out"))
    path = tmp_path / "out" / "log.sql"
    candidate = '-- "hvad:skete" as activity,  -- candidate'
    assert candidate in path.read_text()
    path.write_text(path.read_text().replace(candidate, candidate.removeprefix("-- ")))
    row = mapped_rows(tmp_path / "out", "log", sample(log).table)[0]
    assert row["activity"] == "W_Call"


@pytest.mark.parametrize("name", ["kundentyp", "casino", "kundenname"])
def test_names_that_only_look_alike_are_no_identity(tmp_path: Path, name: str) -> None:
    log = write(tmp_path / "log.csv", f"{name},event,when\na,call,2025-01-01\n")
    assert "identity         MISSING" in "\n".join(init([log], tmp_path / "out"))


def test_a_source_of_many_values_is_no_source(tmp_path: Path) -> None:
    rows = "".join(f"c1,call,2025-01-01,s{i}\n" for i in range(21))
    log = write(tmp_path / "log.csv", "customer,event,time,source\n" + rows)
    init([log], tmp_path / "out")
    row = mapped_rows(tmp_path / "out", "log", sample(log).table)[0]
    assert "source" not in row
    assert row["attrs"] == [("source", "s0")]


def test_candidates_of_missing_columns_work_once_uncommented(tmp_path: Path) -> None:
    rows = [
        f"p{i % 4},{('called', 'wrote', 'paid')[i % 3]},2025-01-{i + 1:02}\n" for i in range(20)
    ]
    log = write(tmp_path / "log.csv", "whom,doing,day\n" + "".join(rows))
    init([log], tmp_path / "out")
    path = tmp_path / "out" / "log.sql"
    lines = path.read_text().splitlines()
    tries = [line.split("--")[1].strip() for line in lines if "-- candidate:" in line]
    assert next(line for line in tries if "identity" in line) == "whom as identity,"
    assert next(line for line in tries if "activity" in line) == "doing as activity,"
    for line in ("whom as identity,", "doing as activity,"):
        path.write_text(path.read_text().replace(f"-- {line}", line))
    row = mapped_rows(tmp_path / "out", "log", sample(log).table)[0]
    assert (row["identity"], row["activity"]) == ("p0", "called")


@pytest.mark.parametrize(
    ("second", "message"),
    [("1,x", "No column is unique"), ("2,y", "No column named like an id is")],
)
def test_whether_no_column_is_unique_or_none_named_so(
    tmp_path: Path, second: str, message: str
) -> None:
    rows = f"1,x,c1,call,2025-01-01\n{second},c1,call,2025-01-01\n"
    log = write(tmp_path / "log.csv", "a,b,customer,event,time\n" + rows)
    init([log], tmp_path / "out")
    assert message in (tmp_path / "out" / "log.sql").read_text()


def test_key_is_private_ignored_and_new_each_time(tmp_path: Path) -> None:
    log = write(tmp_path / "crm.csv", SMALL_LOG)
    keys = []
    for name in ("a", "b"):
        init([log], tmp_path / name)
        key = tmp_path / name / "rejse.key"
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
        assert "rejse.key" in (tmp_path / name / ".gitignore").read_text().splitlines()
        keys.append(key.read_text())
    assert keys[0] != keys[1]


@pytest.mark.parametrize("there", ["rejse.toml", "touchpoints.csv", "rejse.key", "crm.sql"])
def test_nothing_is_overwritten(tmp_path: Path, there: str) -> None:
    log = write(tmp_path / "crm.csv", SMALL_LOG)
    (tmp_path / "out").mkdir()
    write(tmp_path / "out" / there, "mine")
    with pytest.raises(InitError, match=f"{there} in out exists"):
        init([log], tmp_path / "out")
    assert [p.name for p in (tmp_path / "out").iterdir()] == [there]
    assert (tmp_path / "out" / there).read_text() == "mine"


def test_touchpoints_wait_for_their_owners(tmp_path: Path) -> None:
    init([write(tmp_path / "crm.csv", SMALL_LOG)], tmp_path / "out")
    lines = (tmp_path / "out" / "touchpoints.csv").read_text().splitlines()
    assert lines[0].startswith("touchpoint,owner,team,silo,channel,stage,expected_wait_s")
    # `question` comes by phone and by e-mail, so it has no channel of its own.
    assert [line.split(",")[:5] for line in lines[1:]] == [
        ["answer", "", "", "", "phone"],
        ["question", "", "", "", ""],
    ]


def test_json_lines_keep_their_types(tmp_path: Path) -> None:
    rows = [
        {"eventId": f"e{i}", "userId": "00123", "eventName": "click", "ts": 1_700_000_000_000 + i,
         "score": 1 if i else 0.5, "device": {"os": "ios"}, "tags": ["a"]}
        for i in range(3)
    ]  # fmt: skip
    path = tmp_path / "web.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8") as out:
        out.write("\n".join(map(json.dumps, rows)) + "\nno json\n[1]\n")
    init([path], tmp_path / "out")
    schema = raw_schema.read(tmp_path / "out" / "web.json")
    assert dict(zip(schema.names, map(str, schema.types), strict=True)) == {
        "eventId": "string", "userId": "string", "eventName": "string", "ts": "int64",
        "score": "double", "device": "struct<os: string>", "tags": "list<item: string>",
    }  # fmt: skip
    mapped = mapped_rows(tmp_path / "out", "web", sample(path).table)
    assert (mapped[0]["id"], mapped[0]["identity"]) == ("e0", "00123")
    assert isinstance(mapped[0]["time"], datetime)
    assert mapped[0]["time"].timestamp() == 1_700_000_000
    assert dict(mapped[0]["attrs"])["device"] == '{"os":"ios"}'  # type: ignore[call-overload]


def test_parquet_with_codes(tmp_path: Path) -> None:
    table = pa.table(
        {
            "customer_id": pa.array(["a", "a", "b"]).dictionary_encode(),
            "event_time": pa.array([datetime(2025, 1, day) for day in (1, 2, 3)], "timestamp[us]"),
            "status": ["open", "closed", "open"],
            "channel": ["Telephone", "E-Mail", "Telephone"],
        }
    )
    pq.write_table(table, tmp_path / "cases.parquet")
    init([tmp_path / "cases.parquet"], tmp_path / "out")
    rows = mapped_rows(tmp_path / "out", "cases", sample(tmp_path / "cases.parquet").table)
    assert [row["channel"] for row in rows] == ["phone", "email", "phone"]
    assert [row["activity"] for row in rows] == ["open", "closed", "open"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (("31/12/2024 23:59", "1/2/2025 00:00"), (2025, 2, 1)),
        (("12/31/2024", "2/1/2025"), (2025, 2, 1)),
        (("31.12.2024 23:59:58", "01.02.2025 00:00:00"), (2025, 2, 1)),
        (("1735689600", "1738368000"), (2025, 2, 1)),
        (("1735689600000", "1738368000000"), (2025, 2, 1)),
        (("2025-01-01T00:00:00+02:00", "2025-02-01T03:00:00+02:00"), (2025, 2, 1)),
        (("12/31/2024 11:59 PM", "2/1/2025 3:00 AM"), (2025, 2, 1)),
    ],
)
def test_times_of_all_sorts(
    tmp_path: Path, values: tuple[str, ...], expected: tuple[int, ...]
) -> None:
    rows = "".join(f"c1,call,{value}\n" for value in values)
    log = write(tmp_path / "log.csv", "customer,event,when\n" + rows)
    init([log], tmp_path / "out")
    last = mapped_rows(tmp_path / "out", "log", sample(log).table)[1]["time"]
    assert isinstance(last, datetime)
    assert (last.year, last.month, last.day) == expected


def test_day_or_month_first_is_asked_where_no_value_tells(tmp_path: Path) -> None:
    log = write(tmp_path / "log.csv", "customer,event,when\nc1,call,1/2/2025\n")
    lines = init([log], tmp_path / "out")
    assert "DAY OR MONTH FIRST?" in "\n".join(lines)


def test_missing_columns_are_said_not_invented(tmp_path: Path) -> None:
    log = write(tmp_path / "log.csv", "colour,size\nred,1\n")
    output = "\n".join(init([log], tmp_path / "out"))
    text = (tmp_path / "out" / "log.sql").read_text()
    for column in ("time", "identity", "activity"):
        assert f"-- MISSING {column}:" in text
        assert f"  {column:<16} MISSING: add it to log.sql" in output


def test_personal_data_does_not_go_to_attrs(tmp_path: Path) -> None:
    log = write(
        tmp_path / "log.csv",
        "customer,event,time,reply_to\nc1,call,2025-01-01,ann@example.org\n",
    )
    init([log], tmp_path / "out")
    text = (tmp_path / "out" / "log.sql").read_text()
    assert "-- 'reply_to': reply_to,  -- left out, a mail address by its name" in text
    assert mapped_rows(tmp_path / "out", "log", sample(log).table)[0]["attrs"] == []


def test_hostile_names_stay_names(tmp_path: Path) -> None:
    header = """customer,event,time,"a'b","c""d","e\nfrom secrets",select,event"""
    log = write(tmp_path / "log.csv", header + "\nc1,call,2025-01-01,1,2,3,4,5\n")
    init([log], tmp_path / "out")
    row = mapped_rows(tmp_path / "out", "log", sample(log).table)[0]
    assert row["activity"] == "call"
    assert row["attrs"] == [
        ("a'b", "1"), ('c"d', "2"), ("e\nfrom secrets", "3"), ("select", "4"), ("event_1", "5"),
    ]  # fmt: skip


def test_files_of_unlike_columns_are_sources_of_their_own(tmp_path: Path) -> None:
    calls = write(tmp_path / "calls.csv", "customer,event,time\nc1,call,2025-01-01\n")
    more = write(tmp_path / "calls-2.csv", "customer,event,time\nc2,call,2025-01-02\n")
    web = write(tmp_path / "web.csv", "visitor_id,page,event,ts\nv1,home,view,2025-01-01\n")
    assert [len(group.files) for group in samples([calls, web, more])] == [2, 1]
    init([calls, web, more], tmp_path / "out")
    assert set(settings.load(tmp_path / "out").sources) == {"calls", "web"}
    assert "'cookie' as identitytype" in (tmp_path / "out" / "web.sql").read_text()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "expected a header"),
        ("a.zip", b"PK\x03\x04", "unpack"),
        ("a.parquet", b"PAR1 no PAR1", "Parquet file"),
        ("a.json", b"[\n]\n", "expected objects, one a line"),
        ("a.jsonl", b"  ", "expected objects, one a line"),
    ],
)
def test_what_is_no_log_is_refused(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SampleError, match=message):
        sample(tmp_path / name)
    with pytest.raises(InitError):
        init([tmp_path / name], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_columns_that_differ_in_case_only_are_one(tmp_path: Path) -> None:
    log = write(
        tmp_path / "log.jsonl",
        '{"customer": "c1", "event": "call", "time": "2025-01-01", "False": 1, "FALSE": 2, "": 3}',
    )
    init([log], tmp_path / "out")
    assert raw_schema.read(tmp_path / "out" / "log.json").names == [
        "customer", "event", "time", "False",
    ]  # fmt: skip
    assert mapped_rows(tmp_path / "out", "log", sample(log).table)[0]["attrs"] == [("False", "1")]


def test_naughty_strings_as_names_and_values(real_data: Path, tmp_path: Path) -> None:
    from rejse.pipelines.onboarding.check import check

    listed = real_data / "hostile" / "blns" / "blns.json"
    strings = [text for text in json.loads(listed.read_text(encoding="utf-8")) if text]
    rows = [
        {"time": "2025-01-01", "customer": text, "activity": text, **dict.fromkeys(strings, text)}
        for text in strings
    ]
    lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows[::10])
    init([write(tmp_path / "log.jsonl", lines)], tmp_path / "out")
    checked = check(settings.load(tmp_path / "out"))
    (log,) = checked.sources
    # `undefined` is taken for a missing activity, and the mapping says so.
    assert (log.problem, log.read, log.reasons) == (None, 52, {"missing_activity": 1})
    assert "nullif(activity, 'undefined')" in (tmp_path / "out" / "log.sql").read_text()
    assert not {c for c in checked.text() if ord(c) < 32} - {"\n"}


def test_the_silence_of_a_case_is_proposed_from_those_inside_cases(tmp_path: Path) -> None:
    head = "id,customer_id,case_id,activity,time"
    days = [(case, 3 * step) for case in range(20) for step in range(4)]
    rows = [
        f"e{n},c{case % 3},k{case},work,{datetime(2025, 1, 1, tzinfo=UTC) + timedelta(at)}"
        for n, (case, at) in enumerate(days)
    ]
    init([write(tmp_path / "log.csv", "\n".join([head, *rows]))], tmp_path / "out")
    text = (tmp_path / "out" / "rejse.toml").read_text()
    assert "# Silences between two events of one case (sample of log):" in text
    assert 'case_gap = "4d"  # longer silence closes a case without an end' in text
    assert settings.load(tmp_path / "out").windows.case_gap == 4 * DAY

    init([write(tmp_path / "plain.csv", PLAIN)], tmp_path / "none")
    assert 'case_gap = "90d"' in (tmp_path / "none" / "rejse.toml").read_text()


PLAIN = "id,customer_id,activity,time\n1,c1,call,2025-01-01\n2,c1,call,2025-01-02\n"
