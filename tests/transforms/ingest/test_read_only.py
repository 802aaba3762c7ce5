"""No statement writes: what is not known to read is refused in every nesting, no byte changes."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from rejse.pipelines.config.field_types import SettingsError
from rejse.pipelines.publication import catalogue, promise_checks
from rejse.transforms.ingest import read_only, select_check, sql_ast
from rejse.transforms.ingest.read_only import ReadOnlyError
from tests.support import store_builder
from tests.support.strict import absent

#: A statement of every type that DuckDB's parser knows; `{file}` lies in the store.
STATEMENTS = {
    "ALTER": "alter view journeys rename to mine",
    "ANALYZE": "analyze",
    "ATTACH": "attach '{file}' as mine",
    "CALL": "call duckdb_settings()",
    "COPY": "copy (select 1 as a) to '{file}' (use_tmp_file false)",
    "COPY_DATABASE": "copy from database memory to temp (schema)",
    "CREATE": "create or replace temp view mine as select 1",
    "CREATE_FUNC": "create macro mine() as 1",
    "DELETE": "delete from journeys",
    "DETACH": "detach temp",
    "DROP": "drop view journeys",
    "EXECUTE": "execute mine",
    "EXPORT": "export database '{file}'",
    "EXTENSION": "install httpfs",
    "INSERT": "insert into journeys select * from journeys",
    "LOAD": "load httpfs",
    "MERGE_INTO": "merge into journeys using (select 1) s on true when matched then delete",
    "MULTI": "pivot journeys on state using count(*)",
    "PRAGMA": "pragma enable_profiling",
    "PREPARE": "prepare mine as select 1",
    "SET": "set threads = 1",
    "TRANSACTION": "begin transaction",
    "UPDATE": "update journeys set state = 'x'",
    "VACUUM": "vacuum",
    "VARIABLE_SET": "set variable rejse_store = '/'",
}
#: Types of statements that read, those that no text makes, and those that the parser takes for
#: another type.
READING = {"SELECT", "EXPLAIN"}
INTERNAL = {"INVALID", "LOGICAL_PLAN", "RELATION"}
MERGED = {"ANALYZE", "CREATE_FUNC", "EXTENSION", "VARIABLE_SET"}
#: Further forms of these types, and one that DuckDB's own list of types lacks.
FURTHER = (
    "delete from journeys returning *", "insert into journeys values (1) returning *",
    "update journeys set state = 'x' returning *", "update extensions", "checkpoint",
    "comment on view journeys is 'x'", "create secret mine (type s3)", "create sequence mine",
    "import database '{file}'", "use temp", "reset threads", "truncate journeys",
    "copy journeys from '{file}'", "copy journeys to '{file}' (format csv)",
)  # fmt: skip
#: Where a statement is put; `returning` makes a change a query.
NESTINGS = {
    "top": "{}",
    "comments": "\t\n  /* a /* nested */ b */ -- c\n {} ;; ",
    "second": "select 1; {}",
    "first": "{}; select 1",
    "cte": "with x as ({}) select * from x",
    "unread cte": "with x as ({}) select 1",
    "materialised": "with x as materialized ({}) select * from x",
    "not materialised": "with x as not materialized ({}) select * from x",
    "second cte": "with a as (select 1), x as ({}) select * from a, x",
    "recursive": "with recursive x as ({}) select * from x",
    "cte of a cte": "with y as (with x as ({}) select * from x) select * from y",
    "from": "select * from ({})",
    "from a cte": "select * from (with x as ({}) select * from x)",
    "expression": "select (with x as ({}) select count(*) from x)",
    "where": "select 1 where exists (with x as ({}) select * from x)",
    "lateral": "from journeys, lateral (with x as ({}) select * from x)",
    "union": "select 1 union all (with x as ({}) select 1 from x)",
    "order": "select 1 order by (with x as ({}) select 1 from x)",
    "limit": "select 1 limit (with x as ({}) select 1 from x)",
    "values": "values ((with x as ({}) select 1 from x))",
    "pivot": "from (with x as ({}) select * from x) pivot (count(*) for a in (1, 2))",
    "lambda": "select list_transform([1], lambda i: (with x as ({}) select 1 from x))",
    "query": "select * from query('with x as ({}) select * from x')",
    "explain": "explain {}",
    "explain analyze": "explain analyze {}",
    "explain options": "EXPLAIN /* */ (ANALYZE, FORMAT json) {}",
    "explain analyze a cte": "explain analyze with x as ({}) select * from x",
    "explain in brackets": "explain analyze (with x as ({}) select * from x)",
    "describe": "describe with x as ({}) select * from x",
    "summarize": "summarize with x as ({}) select * from x",
    "show": "from (describe with x as ({}) select * from x)",
    "view": "create view mine as with x as ({}) select * from x",
    "table": "create temp table mine as with x as ({}) select * from x",
    "macro": "create macro mine() as table with x as ({}) select * from x",
    "copy": "copy (with x as ({}) select * from x) to '{{file}}'",
    "prepare": "prepare mine as with x as ({}) select * from x",
}


def hashes(folder: Path) -> dict[str, str]:
    """Every file below a folder, with a hash of its bytes."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("sealed") / "store"
    store_builder.published(place)
    return place


@pytest.fixture(scope="module")
def session(root: Path) -> Iterator[catalogue.Session]:
    with catalogue.connect(root) as opened:
        yield opened


def targets(root: Path) -> list[Path]:
    """Files that an attack would write: a log entry to come, a data file, the catalogue."""
    (data, *_) = sorted((root / "journeys").glob("part-*.parquet"))
    return [
        root / "events" / "_delta_log" / "00000000000000000009.json", data,
        catalogue.path(root, 1), root / "catalog-1.duckdb.wal", root / "current", root / "new.csv",
    ]  # fmt: skip


def test_every_type_of_statement_is_tried() -> None:
    """A type that a later DuckDB brings is missing here, and so found."""
    known = {name for name in dir(duckdb.StatementType) if name.isupper()}
    assert known == STATEMENTS.keys() | READING | INTERNAL
    plain = read_only.parser()
    for kind, text in STATEMENTS.items():
        (parsed,) = plain.extract_statements(text.format(file="x"))
        assert (parsed.type.name == kind) != (kind in MERGED)


@pytest.mark.parametrize("nesting", NESTINGS)
def test_no_statement_writes_in_any_nesting(
    root: Path, session: catalogue.Session, nesting: str
) -> None:
    before, above = hashes(root), sorted(root.parent.iterdir())
    for statement in [*STATEMENTS.values(), *FURTHER]:
        for target in targets(root) if "{file}" in statement else (root,):
            filled = statement.format(file=target)
            filled = filled.replace("'", "''") if nesting == "query" else filled
            text = NESTINGS[nesting].format(filled).replace("{file}", str(target))
            for run in (session.execute, session.sql):
                # The last: `from (detach temp)` reads a table that is not there.
                with pytest.raises(
                    (ReadOnlyError, duckdb.ParserException, duckdb.CatalogException)
                ):
                    run(text).fetchall()
    assert hashes(root) == before
    assert sorted(root.parent.iterdir()) == above


def test_the_connection_itself_reaches_no_file_that_is_not_published(root: Path) -> None:
    """The second lock: what would pass the first one meets files that it may not open."""
    others = [path for path in targets(root) if path.suffix != ".parquet"]
    before = hashes(root)
    with catalogue.connect(root) as opened:
        for path in [*others, root / "journeys" / "part-0.parquet"]:
            for more in ("", " (use_tmp_file false)"):
                with pytest.raises(duckdb.PermissionException):
                    opened._con.execute(f"copy (select 1 as a) to '{path}'{more}").fetchall()
        for path in (root / "current", *root.glob("*/_delta_log/*.json")):
            with pytest.raises(duckdb.PermissionException):
                opened._con.execute(f"from read_text('{path}')").fetchall()
    assert hashes(root) == before


def test_published_files_cannot_be_written_by_their_owner(root: Path) -> None:
    """The third: the system itself says no, where it is not asked by the superuser."""
    files = [*root.glob("*/part-*.parquet"), *root.glob("catalog-*.duckdb")]
    assert files and not [path for path in files if path.stat().st_mode & 0o222]
    code = (
        "import sys; from pathlib import Path; from rejse.pipelines.publication import catalogue\n"
        "con = catalogue.connect(Path(sys.argv[1]))\n"
        "con._con.execute(f\"copy (select 1) to '{sys.argv[2]}' (use_tmp_file false)\")"
    )
    bound: tuple[str, ...] = ()
    if os.geteuid() == 0:  # who may write everywhere sees no such mode
        if not shutil.which("setpriv"):
            absent("setpriv, to run without the right to write everywhere")
        bound = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
    before, target = hashes(root), next(root.glob("journeys/part-*.parquet"))
    done = subprocess.run(
        [*bound, sys.executable, "-c", code, str(root), str(target)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "denied" in done.stderr, done.stderr
    assert hashes(root) == before


@pytest.mark.parametrize(
    "call",
    ["from query('select 1')", "from query_table('journeys')", "from read_parquet('{}')",
     "from parquet_scan('{}')", "from read_text('{}')", "from read_blob('{}')", "from glob('*')",
     "from checkpoint()", "from force_checkpoint()", "from enable_logging(storage := 'file')",
     "from json_execute_serialized_sql('x')", "from pandas_scan(1)", "from arrow_scan(1, 2, 3)",
     "from sniff_csv('{}')", "from seq_scan('journeys')", "from main.query('select 1')",
     "from journeys, query('select 1')", 'from "QUERY"(\'select 1\')', "select write_log('x')",
     "select setseed(.1)", "select sleep_ms(1)", "select nextval('x')",
     "select main.write_log('x')", "select 'x'.write_log()", "select max(sleep_ms(1)) over ()",
     "from truncate_duckdb_logs()",
     "from journeys order by setseed(.1)"],
)  # fmt: skip
def test_functions_that_do_more_than_compute_are_refused(
    root: Path, session: catalogue.Session, call: str
) -> None:
    with pytest.raises(ReadOnlyError, match=r"expected .*came \w+\("):
        session.execute(call.format(targets(root)[1]))


@pytest.mark.parametrize(
    "query",
    ["select 1", "with a as (select 1) select * from a", "from journeys", "values (1), (2)",
     "with recursive r as (select 1 as a union all select a + 1 from r where a < 3) from r",
     "select * from (values (1, 2)) as t(a, b) limit 100%", "table journeys",
     "select distinct on (state) * exclude (state) from journeys order by all nulls last",
     "from journeys pivot (count(*) for state in ('open', 'closed'))",
     "pivot journeys on state in ('open', 'closed') using count(*)",
     "unpivot (select 1 as a, 2 as b) on a, b", "from journeys using sample 100%",
     "select count(*) filter (where true), row_number() over (order by 1) from journeys",
     "from journeys as a semi join steps as b using (journey_id)",
     "from journeys as a, lateral (select a.journey_id || 'x')", "select unnest([1, 2])",
     "select [x for x in [1, 2] if x > 1], list_transform([1], lambda x: x + 1), {'a': 1}.a",
     "select 1::decimal(5, 2), 'x' collate nocase, interval 3 day, case when true then 1 end",
     "from range(3)", "from generate_series(1, 3)", "from unnest([1])", "from duckdb_views()",
     "from json_each('[1]')", "select random(), uuid(), now(), current_date",
     "from histogram_values(journeys, state)", "select 1 union all select 2 order by 1",
     "select 1 in (select 2), exists (select 1), 1 between 0 and 2, health_band(81.0)",
     "describe journeys", "describe select 1", "show tables", "show all tables", "show databases",
     "summarize journeys", "summarize select 1", "from (describe journeys)", "explain select 1",
     "explain analyze from steps", "explain (analyze, format json) select 1", "explain (select 1)",
     "explain (format json) (select 1)", "/* æ */ explain /* ø */ analyze -- å\n select 'é'",
     "select " + " + ".join(["1"] * 200)],
)  # fmt: skip
def test_what_reads_runs(session: catalogue.Session, query: str) -> None:
    assert session.execute(query).fetchall()


def test_a_refusal_says_what_to_do(session: catalogue.Session) -> None:
    with pytest.raises(ReadOnlyError, match=r"came copy; .*rejse sql --csv"):
        session.execute("with x as (copy (select 1) to 'x.csv') from x")
    with pytest.raises(ReadOnlyError, match=r"name them: on column in \('a', 'b'\)"):
        session.execute("pivot journeys on state using count(*)")
    with pytest.raises(ReadOnlyError, match="nested too deeply to be checked"):
        session.execute("select " + " + ".join(["1"] * 900))
    with pytest.raises(ReadOnlyError, match="expected one query, came 2"):
        session.execute("select 1; select 2")


@pytest.mark.parametrize("change", ("{'class': 'NEW'}", "{'type': 'NEW_NODE'}", "{'type': 7}"))
def test_an_unknown_node_is_refused(change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A later DuckDB may have nodes that nobody has looked at."""
    monkeypatch.setattr(read_only, "_trees", lambda *_: [{"a": [{"b": eval(change)}]}])
    with pytest.raises(ReadOnlyError):
        read_only.refuse_writing(read_only.parser(), "select 1")


def test_trees_are_walked_however_deep() -> None:
    node: object = {"last": True}
    for _ in range(5_000):
        node = {"a": [node]}
    assert sum(1 for _ in sql_ast.walk(node)) == 5_001


@pytest.mark.parametrize("nesting", ["cte", "unread cte", "materialised", "expression", "top"])
def test_mappings_and_checks_have_the_same_seal(tmp_path: Path, nesting: str) -> None:
    copy = NESTINGS[nesting].format(f"copy (select 1 as a) to '{tmp_path}/x.csv'")
    with pytest.raises(select_check.MappingError, match=r"one SELECT over|not row-wise"):
        select_check.parse(
            select_check.sandboxed_connection(), copy, store_builder.table("steps", []).schema
        )
    with (
        duckdb.connect() as con,
        pytest.raises(SettingsError, match="expected one SELECT over the published"),
    ):
        promise_checks.define(con, {"mine": copy})
    assert not list(tmp_path.iterdir())
