"""The audit's own process: all suites, one Checkpoint, over a DuckDB view of staged files.

`python -m rejse.expectations.audit REQUEST REPORT`, both JSON. Tables above `sample_rows` are
audited on a sample of whole customers, so that laws between tables still hold on it.
"""

from __future__ import annotations

import json
import math
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import duckdb
import great_expectations as gx

from rejse.expectations import dialect, evidence, interactions, journeys, steps
from rejse.pipelines import catalogue
from rejse.sql import statements

SUITES: tuple[ModuleType, ...] = (interactions, journeys, steps, evidence)
MEMORY = "1GB"
_SHOWN = 20


def main(request: Path, report: Path) -> None:
    """Audit what `request` names and write the report."""
    asked = json.loads(request.read_text(encoding="utf-8"))
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="rejse-audit-") as folder:
        database = Path(folder) / "staged.duckdb"
        part = sample(asked["rows"], asked["sample_rows"])
        define(database, Path(asked["store"]), asked["files"], part)
        # A copy for the examples: DuckDB refuses a second connection with other settings.
        twin = shutil.copyfile(database, Path(folder) / "examples.duckdb")
        results = run(database)
        with duckdb.connect(str(twin), read_only=True) as con:
            findings = [found for table, one in results for found in broken(con, table, one)]
    critical = any(found["severity"] == "critical" for found in findings)
    answer = {
        "passed": not critical,
        "findings": findings,
        "seconds": round(time.monotonic() - started, 3),
        "n_rules": sum(len(one.results) for _, one in results),
        "audited": f"one customer in {part}" if part > 1 else "all rows",
    }
    report.write_text(json.dumps(answer, indent=1, default=str), encoding="utf-8")


def sample(rows: Mapping[str, int], most: int) -> int:
    """k such that one customer in k keeps every table at about `most` rows or fewer."""
    return max(1, math.ceil(max(rows.values(), default=0) / most))


def define(database: Path, store: Path, files: Mapping[str, Sequence[str]], part: int = 1) -> None:
    """Make a database whose views show the staged files as a publication would."""
    with duckdb.connect(str(database)) as con:
        con.execute("set timezone = 'UTC'")
        catalogue.define_tables(con, store, files, one_customer_in=part)
        for script in statements("macros"):
            con.execute(script.text)


def run(database: Path) -> list[tuple[str, Any]]:
    """Run every suite; (table, validation result) of each."""
    dialect.register()
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    reading = {"read_only": True, "config": {"memory_limit": MEMORY}}
    source = context.data_sources.add_sql(
        "staged",
        connection_string=f"{dialect.NAME}:///{database}",
        kwargs={"connect_args": reading},
    )
    return [(module.TABLE, _validated(context, source, module)) for module in SUITES]


def _validated(context: Any, source: Any, module: ModuleType) -> Any:
    """Result of one table's suite, run as a Checkpoint."""
    name = module.TABLE
    asset = source.add_table_asset(name, table_name=view(name))
    batch = asset.add_batch_definition_whole_table(name)
    suite = context.suites.add(gx.ExpectationSuite(name=name, expectations=module.suite()))
    definition = gx.ValidationDefinition(name=name, data=batch, suite=suite)
    checkpoint = gx.Checkpoint(
        name=name,
        validation_definitions=[context.validation_definitions.add(definition)],
        result_format={
            "result_format": "SUMMARY",
            "unexpected_index_column_names": list(module.KEY),
            "partial_unexpected_count": _SHOWN,
        },
    )
    return next(iter(context.checkpoints.add(checkpoint).run().run_results.values()))


def view(table: str) -> str:
    """View that shows a table's final and live rows."""
    return table if table == interactions.TABLE else f"v_{table}"


def broken(con: duckdb.DuckDBPyConnection, table: str, validation: Any) -> list[dict[str, Any]]:
    """The broken rules of one table as findings."""
    return [
        _finding(con, table, result.to_json_dict())
        for result in validation.results
        if not result.success
    ]


def _finding(
    con: duckdb.DuckDBPyConnection, table: str, result: Mapping[str, Any]
) -> dict[str, Any]:
    told, counted = result["expectation_config"], result["result"]
    law = told["kwargs"].get("unexpected_rows_query")
    shown = _examples(con, law) if law else counted.get("partial_unexpected_index_list")
    rows = counted.get("unexpected_count", counted.get("observed_value", 0))
    total = con.execute(f"select count(*) from {view(table)}").fetchone()
    return {
        "table": table,
        "rule": told["meta"]["rule"],
        "severity": told["severity"],
        "rows": rows if isinstance(rows, int) else 0,
        "of": total[0] if total else 0,
        "examples": _faults(result) or [_words(one) for one in (shown or [])],
        "description": told["description"],
    }


def _faults(result: Mapping[str, Any]) -> list[str]:
    """Why a rule could not be tried at all; it counts as broken."""
    told = result.get("exception_info") or {}
    each = [told, *told.values()]
    return [
        one["exception_message"]
        for one in each
        if isinstance(one, dict) and one.get("exception_message")
    ]


def _examples(con: duckdb.DuckDBPyConnection, query: str) -> list[dict[str, Any]]:
    """Some rows that break a law."""
    found = con.execute(query.replace("{{", "{").replace("}}", "}"))
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchmany(_SHOWN)]


def _words(example: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in example.items())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
