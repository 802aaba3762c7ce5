"""The same work as `rejse run`, as the oracle's SQL: `… -m tests.bench.rival_duckdb FOLDER OUT`."""

from __future__ import annotations

import argparse
import json
import resource
from pathlib import Path

import duckdb

from rejse.pipelines.config import dimension_files, settings
from tests.support import oracle

STATEMENTS = Path(__file__).parent / "sql"
#: Published tables, each a view `out_<name>` of `sql/tables.sql`.
TABLES = (
    "events", "journeys", "steps", "sessions", "friction_evidence", "handoffs", "info_requests",
    "promises", "sla_results", "experience", "journey_experience",
)  # fmt: skip
BLOCK = 64
#: Sources of the log: their files.
FILES = {
    "events": "data/*.parquet",
    "cases": "data/cases/*.parquet",
    "surveys": "data/surveys/*.parquet",
}


def connect(folder: Path, threads: int) -> duckdb.DuckDBPyConnection:
    """Database in memory with the log, as its mappings read it, and what the rules ask for."""
    con = duckdb.connect(config={"threads": threads})
    con.execute("set timezone = 'UTC'")
    config = settings.load(folder / "rejse.toml")
    for name, pad in {"ipad": 0x36, "opad": 0x5C}.items():
        block = bytes(byte ^ pad for byte in config.key().ljust(BLOCK, b"\0"))
        con.execute(f"set variable {name} = ?", [block])
    for name, files in FILES.items():
        mapping = (folder / "mappings" / f"{name}.sql").read_text(encoding="utf-8")
        path = str(folder / files).replace("'", "''")
        con.execute(
            f"create view mapped_{name} as with source as (from read_parquet('{path}')) {mapping}"
        )
    oracle.give(con)
    con.execute((STATEMENTS / "log.sql").read_text(encoding="utf-8"))
    con.execute(f"create view whole as {_whole(con)}")
    con.execute("drop table events")
    con.execute("alter view whole rename to events")
    dimensions = dimension_files.read(dict(config.operational), config.key)
    rows = {name: tuple(dimensions.table(name).to_pylist()) for name in dimensions.tables}
    oracle.declare(con, rows, config.rules(), _frontier(con, "events"), _frontier(con, "surveys"))
    return con


def _whole(con: duckdb.DuckDBPyConnection) -> str:
    """Query for the accepted events with every column of the contract."""
    known = {name for name, *_ in con.execute("describe accepted").fetchall()}
    kinds = dict(con.execute("select column_name, column_type from (describe events)").fetchall())
    columns = ", ".join(n if n in known else f"null::{kind} as {n}" for n, kind in kinds.items())
    return f"select {columns} from accepted"


def _frontier(con: duckdb.DuckDBPyConnection, source: str) -> dict[str, int]:
    """Until when the source is complete: its latest time; nothing of a source without rows."""
    [(t,)] = con.execute(f"select max(epoch_us(time)) from mapped_{source}").fetchall()
    return {} if t is None else {source: t}


def work(con: duckdb.DuckDBPyConnection, out: Path) -> dict[str, float]:
    """Run all statements and write the tables; CPU seconds of each part."""
    spent, before = {}, _cpu()
    for file in (*oracle.STATEMENTS, STATEMENTS / "tables.sql"):
        con.execute(file.read_text(encoding="utf-8"))
        spent[file.stem], before = _cpu() - before, _cpu()
    con.execute("set preserve_insertion_order = false")
    for table in TABLES:
        target = str(out / f"{table}.parquet").replace("'", "''")
        con.execute(f"copy out_{table} to '{target}' (format parquet, compression zstd)")
        spent[f"write {table}"], before = _cpu() - before, _cpu()
    return spent


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Compute and write; prints the CPU seconds of each part as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    spent = work(connect(args.folder, args.threads), args.out)
    print(json.dumps({name: round(seconds, 3) for name, seconds in spent.items()}))


if __name__ == "__main__":
    main()
