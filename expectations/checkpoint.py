"""Validate suites over a database of views as Checkpoints, in a process of their own.

`python -m rejse.expectations.checkpoint REQUEST ANSWER` reads and writes JSON files. The process
keeps the imports of Great Expectations (seconds, hundreds of megabytes) out of all others.
"""

from __future__ import annotations

import json
import logging
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import great_expectations as gx

from rejse.expectations import dialect, gx_stateless, suites
from rejse.expectations.rules import Law, RowRule, Rule, by_table, row_columns, view
from rejse.transforms import published_tables

SETTINGS = {"memory_limit": "1GB"}
_SHOWN = 20


def main(request: Path, answer: Path) -> None:
    """Answer a request: `database`, `rules` (names by table) and `docs` (a folder, or null)."""
    asked, rules = json.loads(request.read_text(encoding="utf-8")), by_table()
    chosen = {
        table: [rule for rule in rules[table] if rule.name in names]
        for table, names in asked["rules"].items()
    }
    docs = None if asked["docs"] is None else Path(asked["docs"])
    broken = findings(Path(asked["database"]), chosen, docs)
    answer.write_text(json.dumps(broken, default=str), encoding="utf-8")


def findings(
    database: Path, rules: Mapping[str, Sequence[Rule]], docs: Path | None = None
) -> list[dict[str, Any]]:
    """Return what breaks these rules, by table, with some rows each.

    `docs` is a folder for Data Docs; None writes none.
    """
    dialect.register()
    logging.getLogger("great_expectations").setLevel(logging.ERROR)  # warns of each law's query
    # DuckDB refuses a second connection with other settings.
    twin = Path(shutil.copyfile(database, database.with_suffix(".examples")))
    source = gx_stateless.context().data_sources.add_sql(
        "staged",
        connection_string=f"{dialect.NAME}:///{database}",
        kwargs={"connect_args": {"read_only": True, "config": SETTINGS}},
    )
    broken: list[dict[str, Any]] = []
    with duckdb.connect(str(twin), read_only=True) as con:
        for table, own in rules.items():
            outcome = _validated(source, table, own, {"result_format": "BOOLEAN_ONLY"})
            failed = {_name(result) for result in outcome.results if not result.success}
            if failed:
                again = {rule.name: rule for rule in own if rule.name in failed}
                with_rows = _validated(source, table, list(again.values()), _with_rows(table))
                by_name = {_name(result): result for result in with_rows.results}
                broken += [_finding(con, again[name], by_name[name]) for name in by_name]
                outcome.results = [by_name.get(_name(r), r) for r in outcome.results]
            if docs is not None:
                _write_page(docs / f"{table}.html", outcome)
    return broken


def _with_rows(table: str) -> dict[str, Any]:
    """Make the result format that lists rows by columns: two more queries for each rule."""
    return {
        "result_format": "SUMMARY",
        "unexpected_index_column_names": list(row_columns(published_tables.TABLES[table])),
        "partial_unexpected_count": _SHOWN,
    }


def _validated(
    source: Any, table: str, rules: Sequence[Rule], result_format: Mapping[str, Any]
) -> Any:
    """Validate rules on one table as a Checkpoint; return the result of its suite."""
    name = f"{table}-{result_format['result_format']}"
    asset = source.add_table_asset(name, table_name=view(published_tables.TABLES[table]))
    batch = asset.add_batch_definition_whole_table(name)
    suite = gx.ExpectationSuite(name=name, expectations=suites.expectations(rules))
    definition = gx_stateless.ValidationDefinition(name=name, data=batch, suite=suite)
    checkpoint = gx_stateless.Checkpoint(
        name=name, validation_definitions=[definition], result_format=dict(result_format)
    )
    (outcome,) = checkpoint.run().run_results.values()
    return outcome


def _name(result: Any) -> str:
    """Return the rule that a result is of."""
    return str(result.expectation_config.meta["rule"])


def _finding(con: duckdb.DuckDBPyConnection, rule: Rule, result: Any) -> dict[str, Any]:
    """Describe a broken rule; a rule that could not be validated at all counts as broken."""
    outcome = result.to_json_dict()
    counts = outcome["result"]
    rows = counts.get("unexpected_count", counts.get("observed_value", 0))
    (total,) = con.execute(
        f"select count(*) from {view(published_tables.TABLES[rule.table])}"
    ).fetchall()[0]
    examples = (
        _examples(con, rule.query)
        if isinstance(rule, RowRule | Law) and rule.query
        else counts.get("partial_unexpected_index_list")
    )
    return {
        "table": rule.table,
        "rule": rule.name,
        "severity": rule.severity,
        "rows": rows if isinstance(rows, int) else 0,
        "of": total,
        "examples": _faults(outcome) or [_words(example) for example in (examples or [])],
        "description": rule.description,
    }


def _faults(outcome: Mapping[str, Any]) -> list[str]:
    """Return why a rule could not be validated at all."""
    exceptions = outcome.get("exception_info") or {}
    return [
        exception["exception_message"]
        for exception in (exceptions, *exceptions.values())
        if isinstance(exception, dict) and exception.get("exception_message")
    ]


def _examples(con: duckdb.DuckDBPyConnection, query: str) -> list[dict[str, Any]]:
    """Return some rows that break a rule."""
    rows = con.execute(query)
    names = [column[0] for column in rows.description]
    return [dict(zip(names, row, strict=True)) for row in rows.fetchmany(_SHOWN)]


def _words(example: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in example.items())


def _write_page(page: Path, outcome: Any) -> None:
    """Write the page of Data Docs of one suite's results."""
    from great_expectations.render.renderer import ValidationResultsPageRenderer
    from great_expectations.render.view import DefaultJinjaPageView

    document = ValidationResultsPageRenderer().render(outcome)
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(DefaultJinjaPageView().render(document), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
