"""Serving: sealed sessions, typed empty views, comments, a store that can be moved."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from rejse.pipelines.publication import catalogue, catalogue_build, promise_checks, publish
from rejse.pipelines.publication.catalogue import NotPublishedError, ReadOnlyError, Session
from rejse.pipelines.publication.catalogue_build import derived_comment
from rejse.pipelines.store import delta_store
from rejse.sql import Script, scripts, statements
from rejse.transforms import published_tables
from tests.support import store_builder

WILSON, UPPER = "Lower end of its 95 % Wilson interval.", "Upper end of its 95 % interval."


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("served") / "store"
    store_builder.copied(place)
    (place / "quarantine").mkdir()
    (place / "quarantine" / "raw.csv").write_text("name\nsecret\n")
    (place.parent / "outside.csv").write_text("name\noutside\n")
    return place


@pytest.fixture
def session(root: Path) -> Iterator[Session]:
    with catalogue.connect(root) as opened:
        yield opened


def test_every_table_has_its_declared_columns_though_it_is_empty(session: Session) -> None:
    for name in published_tables.versioned():
        columns = [row[0] for row in session.execute(f"describe {name}").fetchall()]
        assert columns == published_tables.schema(name).names
    assert session.execute("select * from promises").fetchall() == []
    kinds = dict(row[:2] for row in session.execute("describe promises").fetchall())
    assert kinds["made_at"] == "TIMESTAMP WITH TIME ZONE"
    assert kinds["n_moves"] == "INTEGER"


def test_every_view_and_column_is_commented(session: Session) -> None:
    bare = session.execute(
        "select view_name from duckdb_views() where not internal and coalesce(comment, '') = ''"
    ).fetchall()
    assert bare == []
    columns = session.execute(
        """
        select c.table_name || '.' || c.column_name
        from duckdb_columns() as c
        where not c.internal and coalesce(c.comment, '') = ''
        """
    ).fetchall()
    assert columns == []


def test_no_comment_is_written_by_hand_that_follows_from_a_source(session: Session) -> None:
    comments: dict[str, dict[str, str]] = {}
    query = "select table_name, column_name, comment from duckdb_columns() where not internal"
    for view, column, comment in session.execute(query).fetchall():
        comments.setdefault(view, {})[column] = comment
    written = re.compile(r"comment on column \w+\.(\w+) is\s*'((?:[^']|'')*)'")
    needless = [
        f"{script.name}.{column}"
        for script in scripts("views").values()
        for column, comment in written.findall(script.text)
        if words(comment) == words(derived_comment(script, column, comments) or "")
    ]
    assert needless == []
    assert not any("comment on view" in script.text for script in scripts("views").values())


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


@pytest.mark.parametrize(
    ("column", "comment"),
    [("owner", "Owner."), ("age_s", "Age [s]."), ("kept_share_lo", WILSON), ("kept_hi", UPPER),
     ("low_lo", None), ("lo", None), ("kept", None)],
)  # fmt: skip
def test_a_comment_follows_from_the_first_source_or_the_interval(
    column: str, comment: str | None
) -> None:
    script = Script("v_mine", "", {"sources": "steps, journeys"})
    comments = {
        "steps": {"owner": "Owner.", "age_s": None},
        "journeys": {"owner": "Another owner.", "age_s": "Age [s]."},
        "v_mine": {"kept": None, "kept_share": None, "kept_share_lo": None, "kept_hi": None},
    }
    assert derived_comment(script, column, comments) == comment


def test_a_view_is_described_by_its_header(session: Session) -> None:
    comment = "select comment from duckdb_views() where view_name = 'v_closed_loop'"
    assert session.execute(comment).fetchall() == [
        (
            "How fast, and whether, somebody acts on complaints and low answers. One row per"
            " instrument and owner. Of customers only; an answer is low up to .4.",
        )
    ]


def test_files_that_lack_columns_are_read_with_nulls(tmp_path: Path) -> None:
    rows = store_builder.table("events", store_builder.world()["events"])
    halves = [rows.slice(0, 2).drop_columns(["channel", "case_id"]), rows.slice(2)]
    with store_writing(tmp_path, halves) as opened:
        seen = opened.execute("select id, channel, case_id from events order by id").fetchall()
    assert [row[1] for row in seen].count(None) == 2
    assert {row[2] for row in seen} == {None}


def test_a_continued_catalogue_is_the_one_that_would_be_made_anew(tmp_path: Path) -> None:
    rows = store_builder.table("events", store_builder.world()["events"])
    for halves in ([], [rows.slice(0, 2), rows.slice(2)], []):
        store_writing(tmp_path, list(halves)).close()
        base = delta_store.latest(tmp_path)
        assert base is not None
        continued = catalogue.path(tmp_path, base.number)
        files = publish.files_of(tmp_path, base)
        anew = tmp_path / "anew.duckdb"
        catalogue_build.build_anew(anew, tmp_path, files, {}, "")
        with duckdb.connect(str(continued)) as first, duckdb.connect(str(anew)) as other:
            assert content(first) == content(other)
        anew.unlink()
    with catalogue.connect(tmp_path) as session:
        for name in [row[0] for row in session.execute(CONTENT[0]).fetchall()]:
            session.execute(f'describe "{name}"').fetchall()  # none is bound to what has gone


#: All that a catalogue is made of, but the order within an `exclude (...)`, DuckDB's own each time.
CONTENT = (
    "select view_name, comment, if(sql like '%EXCLUDE%', null, sql)"
    " from duckdb_views() where not internal order by 1",
    "select table_name, column_name, data_type, comment from duckdb_columns()"
    " where not internal order by 1, column_index",
    "select function_name, macro_definition from duckdb_functions() where not internal"
    " and function_name <> 'catalogue_definitions' order by all",
    "select table_name from duckdb_tables()",
)


def content(con: duckdb.DuckDBPyConnection) -> list[list[tuple[object, ...]]]:
    return [con.execute(query).fetchall() for query in CONTENT]


def test_an_earlier_publication_has_its_views_though_not_its_catalogue(tmp_path: Path) -> None:
    check = {"mine": "select customer_key, promise_id, 'kept' as status from promises"}
    seen = {}
    for number, checks in enumerate(({}, {}, check, check), 1):
        store_builder.published(tmp_path, number=number, promise_checks=checks)
        with catalogue.connect(tmp_path) as opened:
            seen[number] = [opened.execute(query).fetchall() for query in CONTENT]
    here = sorted(path.name for path in tmp_path.glob("catalog-*"))
    assert here == ["catalog-2.duckdb", "catalog-4.duckdb"], "the last of each kind"
    for number, content_then in seen.items():
        with catalogue.connect(tmp_path, number) as opened:
            assert [opened.execute(query).fetchall() for query in CONTENT] == content_then
            numbers = opened.execute("select max(publication) from publications").fetchall()
            assert numbers == [(number,)]
    assert sorted(path.name for path in tmp_path.glob("catalog-*")) == here


def test_views_bound_over_stand_ins_are_those_bound_over_views(tmp_path: Path) -> None:
    files = (tmp_path / "plain.duckdb", tmp_path / "built.duckdb")
    config = {"storage_compatibility_version": catalogue_build.STORAGE}
    with duckdb.connect(str(files[0]), config=config) as con:
        con.execute("set timezone = 'UTC'")
        shapes = catalogue_build.define_tables(con, tmp_path, {})
        con.execute(f"create macro catalogue_shapes() as '{json.dumps(shapes)}'")
        promise_checks.define(con, {})
        for script in catalogue_build.served():
            con.execute(script.text)
        catalogue_build.describe_tables(con)
        catalogue_build.describe_views(con, statements("views"))
    catalogue_build.build_anew(files[1], tmp_path, {}, {}, "")
    plain, built = (duckdb.connect(str(file), read_only=True) for file in files)
    with plain, built:
        assert content(built) == content(plain)


def test_the_blank_catalogue_is_built_once_for_all_stores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    catalogue_build.blank.cache_clear()
    store_builder.published(tmp_path / "first")
    catalogue_build.blank.cache_clear()  # as in another process
    monkeypatch.delattr(catalogue_build, "build_anew")
    store_builder.published(tmp_path / "second")
    sessions = [catalogue.connect(tmp_path / name) for name in ("first", "second")]
    queries = ("select view_name, comment from duckdb_views() order by all", "from v_journeys")
    for query in queries:
        first, second = (session.execute(query).fetchall() for session in sessions)
        assert first == second
    blank, shaped = sorted((tmp_path / "rejse").iterdir())
    assert blank.name == f"blank-{catalogue_build.hash_definitions()}.duckdb"
    assert shaped.name.startswith("shaped-")
    content = shaped.read_bytes()  # nothing of the store that was the first of this shape
    assert b"part-" not in content
    assert str(tmp_path).encode() not in content


def test_a_catalogue_is_made_anew_where_a_file_has_columns_of_its_own(tmp_path: Path) -> None:
    rows = store_builder.table("events", store_builder.world()["events"])
    store_writing(tmp_path, [rows]).close()
    more = rows.append_column("shoe_size", pa.array([41] * rows.num_rows))
    with store_writing(tmp_path, [more]) as opened:
        sizes = opened.execute("select distinct shoe_size from events").fetchall()
        assert sizes == [(41,)]
        assert opened.execute("select count(*) from v_rates").fetchone() is not None


def store_writing(place: Path, halves: list[object]) -> Session:
    from rejse.pipelines.store import staging

    with publish.writing(place) as writer:
        files = [staging.write(place, "events", half) for half in halves]
        staged = [file for file in files if file is not None]
        publish.publish(writer, staged, store_builder.run_of(), audit=None)
    opened: Session = catalogue.connect(place)
    return opened


REFUSED = (
    "select * from read_csv('/etc/passwd')",
    "select * from read_text('/etc/hosts')",
    "select * from '{root}/quarantine/raw.csv'",
    "select * from read_text('{root}/quarantine/raw.csv')",
    "select * from read_text('{root}/current')",
    "select * from read_csv('{root}/journeys/../quarantine/raw.csv')",
    "select * from read_csv('{root}/../outside.csv')",
    "select * from glob('{root}/../*')",
    "copy journeys to '{root}/journeys/mine.csv'",
    "copy (select 1) to '/tmp/rejse-mine.csv'",
    "explain analyze copy (select 1) to '{root}/journeys/mine.csv'",
    "EXPLAIN (ANALYZE, FORMAT json) copy (select 1) to '{root}/journeys/mine.csv'",
    "/* */ explain analyze copy (select 1) to '{root}/journeys/mine.csv'",
    "select 1; copy (select 1) to '{root}/journeys/mine.csv'",
    "export database '{root}/journeys/all'",
    "attach '{root}/journeys/mine.db'",
    "attach '/tmp/rejse-mine.db'",
    "install httpfs",
    "load httpfs",
    "set enable_external_access = true",
    "set allowed_directories = ['/']",
    "set threads = 1",
    "reset lock_configuration",
    "pragma enable_profiling",
    "create table mine as select 1",
    "create temp view mine as select 1",
    "insert into journeys select * from journeys",
    "drop view journeys",
    "call duckdb_settings()",
    "select * from read_parquet('https://example.invalid/x.parquet')",
    "create secret mine (type s3)",
    "select * from python_value",
)


@pytest.mark.parametrize("statement", REFUSED)
def test_a_session_cannot_leave_the_store(root: Path, session: Session, statement: str) -> None:
    python_value = duckdb.sql("select 1 as leaked")
    before = sorted(root.rglob("*"))
    with pytest.raises((ReadOnlyError, duckdb.Error)):
        session.execute(statement.format(root=root)).fetchall()
    assert sorted(root.rglob("*")) == before
    assert python_value.fetchall() == [(1,)]
    assert session.execute("select count(*) from journeys").fetchall() == [(3,)]


@pytest.mark.parametrize(
    "statement",
    ["select 1", "with a as (select 1) select * from a", "from journeys", "describe journeys",
     "show tables", "summarize journeys", "explain select 1", "explain analyze from steps",
     "values (1)"],
)  # fmt: skip
def test_reading_statements_run(session: Session, statement: str) -> None:
    assert session.execute(statement).fetchall()


def test_queries_do_not_wait_for_ever(session: Session) -> None:
    """DuckDB 2.0 hangs on a CTE read twice below a limit with its optimizer for CTEs."""
    disabled = session.execute("select current_setting('disabled_optimizers')").fetchall()
    assert disabled == [(catalogue.DISABLED_OPTIMIZERS,)]
    query = (
        "with s as (from steps) select s.step_id from s left join s as t using (step_id) limit 2"
    )
    assert len(session.execute(query).fetchall()) == 2


def test_a_moved_store_is_served_from_its_new_place(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    store_builder.copied(old).rename(new)
    with catalogue.connect(new) as opened:
        assert opened.execute("select count(*) from v_journeys").fetchall() == [(3,)]
    assert store_builder.published(new, number=2).number == 2


def test_the_copy_for_bi_tools_opens_as_it_is(root: Path) -> None:
    with duckdb.connect(str(root / catalogue.BI_COPY), read_only=True) as con:
        assert con.execute("select count(*) from v_journeys").fetchall() == [(3,)]


def test_catalogues_are_in_the_old_storage_format(root: Path) -> None:
    """DuckDB 1.x reads version 64, which 2.x writes only when told to."""
    header = catalogue.path(root, 1).read_bytes()[:20]
    assert header[8:12] == b"DUCK"
    assert int.from_bytes(header[12:20], "little") == 64


def test_times_are_shown_in_utc_wherever_the_reader_is(root: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from rejse.pipelines.publication import catalogue\n"
        "con = catalogue.connect(Path(sys.argv[1]))\n"
        "q = 'select min(started_at)::varchar from journeys'\n"
        "print(con.execute(q).fetchall()[0][0])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(root)],
        capture_output=True,
        text=True,
        check=True,
        env={"TZ": "Asia/Tokyo"},
    )
    assert done.stdout.strip() == "2026-03-03 09:00:00+00"


def test_without_a_publication_the_message_says_what_to_do(root: Path, tmp_path: Path) -> None:
    with pytest.raises(NotPublishedError, match="`rejse run` makes the first one"):
        catalogue.connect(tmp_path)
    for number in (0, 2, 99):
        with pytest.raises(NotPublishedError, match="from 1 to 1"):
            catalogue.connect(root, number)


def test_a_broken_view_publishes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Script("v_broken", "create view v_broken as select nothing from journeys", {})
    monkeypatch.setattr(catalogue_build, "served", lambda: [broken])
    with pytest.raises(duckdb.BinderException, match="nothing"):
        store_builder.published(tmp_path)
    assert delta_store.latest(tmp_path) is None
