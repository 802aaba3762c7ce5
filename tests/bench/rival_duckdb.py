"""The same work as `rejse run`, as DuckDB SQL: `python -m tests.bench.rival_duckdb FOLDER OUT`."""

from __future__ import annotations

import argparse
import json
import resource
import tomllib
from collections.abc import Mapping
from pathlib import Path
from statistics import NormalDist

import duckdb

STATEMENTS = Path(__file__).parent / "duckdb"
#: Published tables, each a view `out_<name>` of the last statement file.
TABLES = (
    "events", "journeys", "steps", "sessions", "friction_evidence", "handoffs", "info_requests",
    "promises", "sla_results", "experience", "journey_experience",
)  # fmt: skip
BLOCK = 64
#: What only some logs have, and the columns of each; of a log without it the table is empty.
TIME = "timestamptz"
GIVEN: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "slas": ("tables/slas.csv", {
        "sla": "varchar", "journey_type": "varchar", "kind": "varchar", "due": "varchar",
        "to_owner": "varchar", "is_working_time": "boolean", "valid_from": TIME, "valid_to": TIME,
    }),
    "cost_rates": ("tables/cost_rates.csv", {
        "kind": "varchar", "minutes_customer": "double", "minutes_company": "double",
        "rate_customer": "double", "rate_company": "double", "currency": "varchar",
        "valid_from": TIME, "valid_to": TIME,
    }),
    "raw_cases": ("data/cases/*.parquet", {
        "case_no": "varchar", "customer_no": "varchar", "opened_at": TIME,
        "journey_type": "varchar",
    }),
    "raw_answers": ("data/surveys/*.parquet", {
        "answer_no": "varchar", "time": TIME, "customer_no": "varchar", "who": "varchar",
        "instrument": "varchar", "level": "varchar", "place": "varchar", "case_no": "varchar",
        "target": "varchar", "visit": "varchar", "flow": "varchar", "points": "double",
        "lowest": "double", "highest": "double", "is_up": "boolean", "was_asked": "boolean",
        "invited_at": TIME, "responded_at": TIME, "acted_at": TIME,
    }),
}  # fmt: skip
#: Columns of events that only some logs have.
MORE = ("visit", "case_no")


def connect(folder: Path, threads: int) -> duckdb.DuckDBPyConnection:
    """Database in memory that knows where the log, the tables and the key are."""
    con = duckdb.connect(config={"threads": threads})
    con.execute("set timezone = 'UTC'")
    toml = tomllib.loads((folder / "rejse.toml").read_text(encoding="utf-8"))
    key = bytes.fromhex((folder / toml["key_file"]).read_text(encoding="ascii").strip())
    pads = {"ipad": 0x36, "opad": 0x5C}
    for name, pad in pads.items():
        con.execute(f"set variable {name} = ?", [bytes(b ^ pad for b in key.ljust(BLOCK, b"\0"))])
    con.execute("set variable data = ?", [str(folder / "data" / "*.parquet")])
    con.execute("set variable tables = ?", [str(folder / "tables")])
    _give(con, folder)
    return con


def _give(con: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Create `raw`, the tables of GIVEN and `blom`, the expected extreme of n normal scores."""
    events = con.read_parquet(str(folder / "data" / "*.parquet"))
    absent = [f"null::varchar as {name}" for name in MORE if name not in events.columns]
    query = ", ".join(["*", *absent])
    files = f"read_parquet('{_quoted(folder)}/data/*.parquet')"
    con.execute(f"create temp view raw as select {query} from {files}")
    for table, (files, columns) in GIVEN.items():
        declared = ", ".join(f"{name} {kind}" for name, kind in columns.items())
        if not list(folder.glob(files)):
            con.execute(f"create temp table {table} ({declared})")
        elif files.endswith(".csv"):
            types = ", ".join(f"'{name}': '{kind}'" for name, kind in columns.items())
            con.execute(
                f"create temp table {table} as select {', '.join(columns)} from"
                f" read_csv('{_quoted(folder)}/{files}', header = true, types = {{{types}}})"
            )
        else:
            con.execute(
                f"create temp view {table} as from read_parquet('{_quoted(folder)}/{files}')"
            )
    normal = NormalDist()
    expected = [(n, normal.inv_cdf((n - 0.375) / (n + 0.25))) for n in range(1, 101)]
    con.execute("create temp table blom (n bigint, b double)")
    con.executemany("insert into blom values (?, ?)", expected)


def _quoted(folder: Path) -> str:
    return str(folder).replace("'", "''")


def work(con: duckdb.DuckDBPyConnection, out: Path) -> dict[str, float]:
    """Run all statements and write the tables; CPU seconds of each part."""
    spent, before = {}, _cpu()
    for file in sorted(STATEMENTS.glob("*.sql")):
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
    said = parser.parse_args()
    said.out.mkdir(parents=True, exist_ok=True)
    spent = work(connect(said.folder, said.threads), said.out)
    print(json.dumps({name: round(seconds, 3) for name, seconds in spent.items()}))


if __name__ == "__main__":
    main()
