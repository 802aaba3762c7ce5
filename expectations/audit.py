"""The audit itself: all suites, one Checkpoint each, over DuckDB views of staged files.

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
from types import ModuleType
from typing import Any

import duckdb
import great_expectations as gx

from rejse.expectations import (
    dialect,
    evidence,
    experience,
    interactions,
    journey_experience,
    journeys,
    steps,
    thrift,
    unstored,
)
from rejse.pipelines.publication import catalogue, catalogue_build
from rejse.pipelines.store import staging
from rejse.sql import statements

SUITES: tuple[ModuleType, ...] = (interactions, journeys, steps, evidence)
#: Suites of tables that only some installations fill; empty ones cost no audit.
OPTIONAL: tuple[ModuleType, ...] = (experience, journey_experience)
MEMORY = "1GB"
_SHOWN = 20


@dataclass(frozen=True)
class Result:
    """What an audit says of one table: how many rules it tried, and what of each broken one."""

    table: str
    n_rules: int
    broken: Sequence[Any]


def audited(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The report of what a request names: `store`, `files` and `rows` by table, `sample_rows`."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="rejse-audit-") as folder:
        database = Path(folder) / "staged.duckdb"
        part = sample(asked["rows"], asked["sample_rows"])
        define(database, Path(asked["store"]), asked["files"], part)
        # A copy for the examples: DuckDB refuses a second connection with other settings.
        twin = shutil.copyfile(database, Path(folder) / "examples.duckdb")
        with thrift.spared():
            results = run(database, chosen(asked["rows"]))
        with duckdb.connect(str(twin), read_only=True) as con:
            found = [finding for result in results for finding in findings(con, result)]
    critical = any(finding["severity"] == "critical" for finding in found)
    return {
        "passed": not critical,
        "findings": found,
        "seconds": round(time.monotonic() - started, 3),
        "n_rules": sum(result.n_rules for result in results),
        "audited": f"one customer in {part}" if part > 1 else "all rows",
    }


def chosen(rows: Mapping[str, int]) -> tuple[ModuleType, ...]:
    """Suites of a publication with so many rows in its tables."""
    filled = [m for m in OPTIONAL if rows.get(m.TABLE, 0) or rows.get(m.TABLE + staging.LIVE, 0)]
    return (*SUITES, *filled)


def sample(rows: Mapping[str, int], most: int) -> int:
    """k such that one customer in k keeps every table at about `most` rows or fewer."""
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
            for name in sampled():
                _keep_one_in(con, name, part)


def sampled() -> list[str]:
    """Tables that the suites and their laws read, final and live."""
    every = (*SUITES, *OPTIONAL)
    twins = [module.TABLE + staging.LIVE for module in every if module is not interactions]
    return [*(module.TABLE for module in every), *twins]


def _keep_one_in(con: duckdb.DuckDBPyConnection, name: str, part: int) -> None:
    """Put the rows of one customer in `part` in the view's place.

    Keys are keyed hashes, so those below a bound are a fair sample, the same in all tables; and
    a bound lets Parquet skip what a hash would have to read.
    """
    bound = f"{16**8 // part:08x}"
    con.execute(f"alter view {name} rename to {name}_whole")
    con.execute(f"create table {name} as from {name}_whole where customer_key < '{bound}'")


def run(database: Path, suites: Sequence[ModuleType] = SUITES) -> list[Result]:
    """Run every suite; a rule that is broken is run again to tell its rows."""
    dialect.register()
    logging.getLogger("great_expectations").setLevel(logging.ERROR)  # warns of each law's query
    context = unstored.context()
    settings = {"memory_limit": MEMORY, "disabled_optimizers": catalogue.HANGS}
    reading = {"read_only": True, "config": settings}
    source = context.data_sources.add_sql(
        "staged",
        connection_string=f"{dialect.NAME}:///{database}",
        kwargs={"connect_args": reading},
    )
    results = []
    for module in suites:
        every = module.suite()
        quick = _validated(context, source, module, every, {"result_format": "BOOLEAN_ONLY"})
        failed = {result.expectation_config.meta["rule"] for result in quick if not result.success}
        broken = [one for one in module.suite() if one.meta["rule"] in failed]
        told = _validated(context, source, module, broken, _told(module.KEY)) if broken else []
        results.append(Result(module.TABLE, len(every), told))
    return results


def _told(key: Sequence[str]) -> dict[str, Any]:
    """Ask for rows and keys: two more queries a rule, so only of the rules that are broken."""
    return {
        "result_format": "SUMMARY",
        "unexpected_index_column_names": list(key),
        "partial_unexpected_count": _SHOWN,
    }


def _validated(
    context: Any, source: Any, module: ModuleType, rules: Sequence[Any], asked: dict[str, Any]
) -> list[Any]:
    """Results of these rules on one table, run as a Checkpoint."""
    name = f"{module.TABLE}-{asked['result_format']}"
    asset = source.add_table_asset(name, table_name=view(module.TABLE))
    batch = asset.add_batch_definition_whole_table(name)
    suite = gx.ExpectationSuite(name=name, expectations=list(rules))
    definition = unstored.ValidationDefinition(name=name, data=batch, suite=suite)
    checkpoint = unstored.Checkpoint(
        name=name, validation_definitions=[definition], result_format=asked
    )
    ran = checkpoint.run()
    return list(next(iter(ran.run_results.values())).results)


def view(table: str) -> str:
    """View that shows a table's final and live rows."""
    return table if table == interactions.TABLE else f"v_{table}"


def findings(con: duckdb.DuckDBPyConnection, result: Result) -> list[dict[str, Any]]:
    """The broken rules of one table."""
    return [_finding(con, result.table, one.to_json_dict()) for one in result.broken]


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
