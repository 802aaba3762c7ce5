"""Which SELECTs are taken as row-wise, and which are refused."""

from __future__ import annotations

import pyarrow as pa
import pytest

from rejse.transforms.ingest import select_check
from rejse.transforms.ingest.select_check import MappingError

RAW = pa.schema(
    [
        ("id", pa.string()),
        ("t", pa.int64()),
        ("s", pa.string()),
        ("p", pa.struct([("x", pa.string())])),
    ]
)


def parse(sql: str) -> select_check.Select:
    return select_check.parse(select_check.sandboxed_connection(), sql, RAW)


@pytest.mark.parametrize(
    "sql",
    [
        "select id, to_timestamp(t), case s when 'a' then 'it''s' end as c from source -- x\n;",
        "select * from source",
        "from source select id",
        "select id in ('a','b','c','d','e','f','g','h','i','j','k','l','m') as x from source",
        "select list_transform([1, t], lambda x: x + 1) as l from source",
        "select upper(s) as b, b || 'x' as c from source",
        "select b from (select upper(s) as b from source)",
        "with c as (select upper(s) as b from source) select b from c",
        "select case when s is null then error('no s') end as reject from source",
        "select to_json(source) as whole from source",
    ],
)
def test_row_wise(sql: str) -> None:
    assert parse(sql).types


@pytest.mark.parametrize(
    ("sql", "word"),
    [
        ("select count(*) from source", "aggregate"),
        ("select first(id) from source", "aggregate"),
        ("select s, max(t) from source group by s", "group_by"),
        ("select row_number() over () as r from source", "window"),
        ("select lag(id) over (order by t) as r from source", "window"),
        ("select id from source where t > 1", "reject"),
        ("select id from source where false", "reject"),
        ("select id from source order by t", "order_by"),
        ("select id from source limit 3", "limit"),
        ("select distinct id from source", "distinct"),
        ("select id from source using sample 10%", "sample"),
        ("select a.id from source a join source b on a.id = b.id", "join"),
        ("select a.id from source a, source b", "cross_product"),
        ("select id from source union all select id from source", "union"),
        ("select unnest([1, 2]) as x from source", "unnest"),
        ("select (select max(t) from source) as x from source", "subquery"),
        ("select id in (select id from source) as x from source", "subquery"),
        ("select content from read_text('/etc/passwd')", "table function"),
        ("select * from '/etc/passwd'", "does not exist"),
        ("select * from duckdb_settings()", "table function"),
        ("select 1 as x", "dummy_scan"),
        ("values (1)", "row-wise"),
        ("select random() as x from source", "random"),
        ("select uuid() as x from source", "uuid"),
        ("select now() as x from source", "now"),
        ("select current_timestamp as x from source", "current_timestamp"),
        ("select current_date as x from source", "current_date"),
        ("select localtimestamp as x from source", "localtimestamp"),
        ("select today() as x from source", "today"),
        ("select age(to_timestamp(t)) as x from source", "age"),
        ("select user as x from source", "user"),
        ("select current_setting('TimeZone') as x from source", "current_setting"),
        ("select nextval('s') as x from source", "nextval"),
        ("select #1 as x from source", "name the column"),
        ("select 1 as x from source; select 2 as x from source", "2 statements"),
        ("drop table source", "one SELECT"),
        ("copy source to 'x'", "one SELECT"),
        ("select id frm source", "syntax error"),
        ("select nope from source", "nope"),
        ("select id, id from source", "same name"),
    ],
)
def test_not_row_wise(sql: str, word: str) -> None:
    with pytest.raises(MappingError, match=f"(?i){word}"):
        parse(sql)


def test_reads_and_forms() -> None:
    select = parse("select source.id as a, p.x as b, 'v' as c, null as d, s || s as e from source")
    assert select.reads == ("id", "s", "p")
    assert select.items is not None
    assert [item.form for item in select.items] == [
        "column",
        "computed",
        "constant",
        "null",
        "computed",
    ]
    assert select.items[4].reads == {"s"}


def test_the_whole_row_reads_all_columns() -> None:
    assert parse("select to_json(source) as x from source").reads == tuple(RAW.names)


def test_the_connection_reaches_nothing(tmp_path: pytest.TempPathFactory) -> None:
    connection = select_check.sandboxed_connection()
    for sql in (
        "select * from read_csv('/etc/passwd')",
        f"copy (select 1) to '{tmp_path}/x.csv'",
        f"attach '{tmp_path}/x.db'",
        "install httpfs",
        "set enable_external_access = true",
        "set memory_limit = '10GB'",
    ):
        with pytest.raises(Exception, match=r"(?i)disabled|locked|permission"):
            connection.execute(sql)
