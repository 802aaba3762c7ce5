"""What tests of `init` share: a small log, and rows through the SELECT that was written."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa

SMALL_LOG = """id,source,time,identity,activity,channel
1,crm,2025-03-01 10:00:00,c1,question,phone
2,crm,2025-03-01 10:05:00,c1,answer,phone
3,crm,2025-03-04 09:00:00,c2,question,email
"""


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def mapped_rows(folder: Path, name: str, table: pa.Table) -> list[dict[str, object]]:
    """Rows that the written SELECT makes of a raw table."""
    with duckdb.connect() as con:
        con.execute("set timezone = 'UTC'")
        con.register("source", table)
        return con.sql((folder / f"{name}.sql").read_text()).to_arrow_table().to_pylist()
