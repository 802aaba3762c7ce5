"""DuckDB for Great Expectations: its dialect without transactions.

Great Expectations fetches after it has closed, and the rollback that SQLAlchemy sends there
empties DuckDB's result. An audit only reads, so it needs no transactions.
"""

from __future__ import annotations

from typing import Any

from duckdb_engine import Dialect as DuckDB
from sqlalchemy.dialects import registry

NAME = "duckdb+gx"


class Dialect(DuckDB):  # type: ignore[misc]
    """DuckDB's dialect whose begin, commit and rollback do nothing."""

    def do_begin(self, connection: Any) -> None:
        """Begin nothing."""

    def do_commit(self, connection: Any) -> None:
        """Commit nothing."""

    def do_rollback(self, connection: Any) -> None:
        """Roll nothing back."""


def register() -> None:
    """Make `duckdb+gx://` known to SQLAlchemy in this process."""
    registry.register("duckdb.gx", __name__, "Dialect")
