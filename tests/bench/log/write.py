"""Write the log of the benchmark: `python -m tests.bench.log.write FOLDER --events N --seed S`.

The events are those of `rejse.pipelines.demo.write`; every part of them is dressed by the SQL
beside this file: the visit and the case of each event, what each case is, who was asked what and
answered. A function of the seed alone, whatever the number of threads.
"""

from __future__ import annotations

import argparse
import json
import shutil
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from rejse.pipelines.demo import write as demo

if TYPE_CHECKING:
    import duckdb

HERE = Path(__file__).parent
#: Written last: a folder without it was left unfinished.
DONE = "log.json"
PARTS = ("cases", "surveys")
COPIED = (
    "rejse.toml",
    *(
        f"{of}/{name}.{suffix}"
        for of, suffix in (("mappings", "sql"), ("schemas", "json"))
        for name in ("events", *PARTS)
    ),
    "tables/slas.csv",
    "tables/cost_rates.csv",
)


def write(out: Path, events: int, seed: int = 7, *, key: str | None = None) -> dict[str, int]:
    """Write a folder that `rejse run` can run at once; rows of each source.

    Raises DemoError where the folder holds other files.
    """
    demo.write_events(out, events, seed, key=key)
    data = out / "data"
    for name in PARTS:
        (data / name).mkdir()
    with closing(_connect(seed)) as con:
        rows = dict.fromkeys(("events", *PARTS), 0)
        for part in sorted(data.glob("*.parquet")):
            for name, count in _dress(con, part).items():
                rows[name] += count
    for name in COPIED:
        (out / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(HERE / name, out / name)
    (out / DONE).write_text(json.dumps(rows) + "\n", encoding="utf-8")
    return rows


def _connect(seed: int) -> duckdb.DuckDBPyConnection:
    import duckdb

    con = duckdb.connect()
    con.execute("set timezone = 'UTC'")
    con.execute("set variable seed = ?", [seed])
    return con


def _dress(con: duckdb.DuckDBPyConnection, part: Path) -> dict[str, int]:
    """Rewrite a part of the events, and write the parts that belong to it."""
    con.read_parquet(str(part)).create_view("events", replace=True)
    con.execute(f"create or replace temp table dressed as {_statement('events')}")
    con.execute(_statement("surveys"))
    rows = {"events": _copy(con, "from dressed", part)}
    rows["cases"] = _copy(con, _statement("cases"), part.parent / "cases" / part.name)
    rows["surveys"] = _copy(con, "from answers", part.parent / "surveys" / part.name)
    return rows


def _statement(name: str) -> str:
    return (HERE / f"{name}.sql").read_text(encoding="utf-8")


def _copy(con: duckdb.DuckDBPyConnection, query: str, file: Path) -> int:
    path = str(file).replace("'", "''")
    done = con.execute(f"copy ({query}) to '{path}' (format parquet, compression zstd)").fetchone()
    return int(done[0]) if done else 0


def main() -> None:
    """Write it; prints the rows of each source as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    print(json.dumps(write(arguments.out, arguments.events, arguments.seed)))


if __name__ == "__main__":
    main()
