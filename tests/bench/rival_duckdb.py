"""The same work as `rejse run`, as DuckDB SQL: `python -m tests.bench.rival_duckdb FOLDER OUT`."""

from __future__ import annotations

import argparse
import json
import resource
import tomllib
from pathlib import Path

import duckdb

STATEMENTS = Path(__file__).parent / "duckdb"
#: Published tables, each a view `out_<name>` of the last statement file.
TABLES = (
    "events", "journeys", "steps", "sessions", "friction_evidence", "handoffs", "info_requests",
    "promises",
)  # fmt: skip
BLOCK = 64


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
    return con


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
