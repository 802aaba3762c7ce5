"""Audit staged files: validate all suites, one Checkpoint each, over DuckDB views.

A process of its own (`server`) reads a request and writes a report, both JSON. Tables above
`sample_rows` are audited on a sample of whole customers, so that laws between tables still hold
on it.
"""

from __future__ import annotations

import logging
import math
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import great_expectations as gx

from rejse.expectations import dialect, gx_stateless
from rejse.expectations.suites import SUITES, Suite, chosen
from rejse.pipelines.publication import catalogue, catalogue_build
from rejse.sql import statements

MEMORY = "1GB"
_SHOWN = 20


@dataclass(frozen=True)
class Result:
    """Outcome of a suite: how many rules were validated, and the results of the broken ones."""

    suite: Suite
    n_rules: int
    broken: Sequence[Any]


def audited(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Audit a request: `store`, `files` and `rows` by table, `sample_rows`. Return the report."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="rejse-audit-") as folder:
        database = Path(folder) / "staged.duckdb"
        part = sample(asked["rows"], asked["sample_rows"])
        define(database, Path(asked["store"]), asked["files"], part)
        # A copy for the examples: DuckDB refuses a second connection with other settings.
        twin = shutil.copyfile(database, Path(folder) / "examples.duckdb")
        results = run(database, chosen(asked["rows"]))
        with duckdb.connect(str(twin), read_only=True) as con:
            broken = [finding for result in results for finding in findings(con, result)]
    critical = any(finding["severity"] == "critical" for finding in broken)
    return {
        "passed": not critical,
        "findings": broken,
        "seconds": round(time.monotonic() - started, 3),
        "n_rules": sum(result.n_rules for result in results),
        "audited": f"one customer in {part}" if part > 1 else "all rows",
    }


def sample(rows: Mapping[str, int], most: int) -> int:
    """Return k such that one customer in k keeps every table at about `most` rows or fewer."""
    return max(1, math.ceil(max(rows.values(), default=0) / most))


def define(database: Path, store: Path, files: Mapping[str, Sequence[str]], part: int = 1) -> None:
    """Make a database whose views show the staged files as a publication would."""
    with duckdb.connect(str(database)) as con:
        con.execute("set timezone = 'UTC'")
        con.begin()  # one commit, or each of the many views would sync the disk
        catalogue_build.define_tables(con, store, files)
        for script in statements("macros"):
            con.execute(script.text)
        con.commit()
        if part > 1:
            for name in (name for suite in SUITES for name in suite.published):
                _sample_customers(con, name, part)


def _sample_customers(con: duckdb.DuckDBPyConnection, name: str, part: int) -> None:
    """Replace the view by a table with the rows of one customer in `part`.

    Keys are keyed hashes, so those below a bound are a fair sample, the same in all tables. Parquet
    skips row groups by a bound; a modulus would read all of them.
    """
    bound = f"{16**8 // part:08x}"
    con.execute(f"alter view {name} rename to {name}_whole")
    con.execute(f"create table {name} as from {name}_whole where customer_key < '{bound}'")


def run(database: Path, suites: Sequence[Suite]) -> list[Result]:
    """Run every suite; run broken rules again for the rows that break them."""
    dialect.register()
    logging.getLogger("great_expectations").setLevel(logging.ERROR)  # warns of each law's query
    context = gx_stateless.context()
    settings = {"memory_limit": MEMORY, "disabled_optimizers": catalogue.DISABLED_OPTIMIZERS}
    source = context.data_sources.add_sql(
        "staged",
        connection_string=f"{dialect.NAME}:///{database}",
        kwargs={"connect_args": {"read_only": True, "config": settings}},
    )
    results = []
    for suite in suites:
        rules = suite.expectations()
        quick = _validated(source, suite, rules, {"result_format": "BOOLEAN_ONLY"})
        failed = {result.expectation_config.meta["rule"] for result in quick if not result.success}
        again = [rule for rule in suite.expectations() if rule.meta["rule"] in failed]
        broken = _validated(source, suite, again, _with_rows(suite.row)) if again else []
        results.append(Result(suite, len(rules), broken))
    return results


def _with_rows(names: Sequence[str]) -> dict[str, Any]:
    """Make the result format that lists rows by columns: two more queries for each rule."""
    return {
        "result_format": "SUMMARY",
        "unexpected_index_column_names": list(names),
        "partial_unexpected_count": _SHOWN,
    }


def _validated(
    source: Any, suite: Suite, rules: Sequence[Any], result_format: dict[str, Any]
) -> list[Any]:
    """Validate rules on one table as a Checkpoint; return their results."""
    name = f"{suite.table}-{result_format['result_format']}"
    asset = source.add_table_asset(name, table_name=suite.view)
    batch = asset.add_batch_definition_whole_table(name)
    expectations = gx.ExpectationSuite(name=name, expectations=list(rules))
    definition = gx_stateless.ValidationDefinition(name=name, data=batch, suite=expectations)
    checkpoint = gx_stateless.Checkpoint(
        name=name, validation_definitions=[definition], result_format=result_format
    )
    (outcome,) = checkpoint.run().run_results.values()
    return list(outcome.results)


def findings(con: duckdb.DuckDBPyConnection, result: Result) -> list[dict[str, Any]]:
    """Describe the broken rules of one table."""
    return [_finding(con, result.suite, broken.to_json_dict()) for broken in result.broken]


def _finding(
    con: duckdb.DuckDBPyConnection, suite: Suite, result: Mapping[str, Any]
) -> dict[str, Any]:
    rule, outcome = result["expectation_config"], result["result"]
    law = rule["kwargs"].get("unexpected_rows_query")
    examples = _examples(con, law) if law else outcome.get("partial_unexpected_index_list")
    rows = outcome.get("unexpected_count", outcome.get("observed_value", 0))
    total = con.execute(f"select count(*) from {suite.view}").fetchone()
    return {
        "table": suite.table,
        "rule": rule["meta"]["rule"],
        "severity": rule["severity"],
        "rows": rows if isinstance(rows, int) else 0,
        "of": total[0] if total else 0,
        "examples": _faults(result) or [_words(example) for example in (examples or [])],
        "description": rule["description"],
    }


def _faults(result: Mapping[str, Any]) -> list[str]:
    """Return why a rule could not be validated at all; it counts as broken."""
    exceptions = result.get("exception_info") or {}
    return [
        exception["exception_message"]
        for exception in (exceptions, *exceptions.values())
        if isinstance(exception, dict) and exception.get("exception_message")
    ]


def _examples(con: duckdb.DuckDBPyConnection, query: str) -> list[dict[str, Any]]:
    """Return some rows that break a law."""
    rows = con.execute(query.replace("{{", "{").replace("}}", "}"))
    names = [column[0] for column in rows.description]
    return [dict(zip(names, row, strict=True)) for row in rows.fetchmany(_SHOWN)]


def _words(example: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in example.items())
