"""Audit what is staged, and what is published, by the declared rules.

One pass of DuckDB over all rows decides about staged files, inside the run
(`expectations.one_pass`). Great Expectations validates the same rules in a process of its own
(`expectations.checkpoint`): those that refused a publication, to show which rows broke them, and
all of them for `rejse audit`. A run keeps its report below `<store>/audits/`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import duckdb

from rejse.expectations import one_pass
from rejse.expectations.rules import Law, by_table, view
from rejse.pipelines.places import place
from rejse.pipelines.publication import catalogue_build
from rejse.pipelines.runtime import signals
from rejse.pipelines.store.carry_forward import CarriedFiles
from rejse.pipelines.store.staged_file import StagedFile
from rejse.sql import SESSION, statements
from rejse.transforms import published_tables
from rejse.transforms.errors import DataError, MisuseError

FOLDER = "audits"
DUCKDB, GREAT_EXPECTATIONS = "DuckDB", "Great Expectations"
#: Memory of the one pass; what exceeds it is spilled.
MEMORY = "256MB"
#: Rows of all tables, and customers with stored rows, of one range of the laws between tables.
ROWS_AT_ONCE, CUSTOMERS_AT_ONCE = 8_000_000, 50_000
_SHOWN = 5


@dataclass(frozen=True)
class Finding:
    """A broken rule: how many rows broke it, of how many, and the keys of some."""

    table: str
    rule: str
    severity: str
    rows: int
    of: int
    examples: tuple[str, ...]
    description: str

    def __str__(self) -> str:
        some = f", such as {', '.join(self.examples[:_SHOWN])}" if self.examples else ""
        return (
            f"{self.table}: {self.rule} ({self.severity}): {self.rows:,} of {self.of:,} rows"
            f"{some}. Expected: {self.description}"
        )


@dataclass(frozen=True)
class Report:
    """Outcome of an audit: `passed` unless a critical rule was broken.

    `decided_by` is the engine that counted, `explained_by` the one that looked for examples; null
    where there was nothing to explain.
    """

    passed: bool
    findings: tuple[Finding, ...]
    seconds: float
    n_rules: int
    audited: str
    path: Path
    decided_by: str
    explained_by: str | None = None


class AuditError(DataError):
    """Staged rows broke a critical rule; nothing was published."""

    def __init__(self, report: Report) -> None:
        self.report = report
        critical = [str(f) for f in report.findings if f.severity == "critical"]
        super().__init__(
            "the audit refused the staged tables, nothing was published:\n  "
            + "\n  ".join(critical)
            + f"\nThe whole report is in {report.path}"
        )


class AuditUnavailableError(MisuseError):
    """Great Expectations cannot run here."""


#: Function that audits the staged files of each table and the rows that stay; makes the report.
Audit = Callable[[Path, Mapping[str, Sequence[StagedFile]], CarriedFiles | None, str], Report]


def audit(
    store: Path, staged: Mapping[str, Sequence[StagedFile]], carried: CarriedFiles | None,
    run_id: str,
) -> Report:  # fmt: skip
    """Audit the staged files of each table; findings are in the report.

    Keys and laws between tables also see the `carried` rows of the customers with staged ones.
    """
    started = time.monotonic()
    with _folder() as folder:
        findings, n_rules = _decided(store, staged, carried, folder)
        explained_by = None
        if any(finding.severity == "critical" for finding in findings):
            findings, explained_by = _explained(store, staged, carried, findings, folder)
    report = Report(
        passed=all(finding.severity != "critical" for finding in findings),
        findings=tuple(findings),
        seconds=round(time.monotonic() - started, 3),
        n_rules=n_rules,
        audited="all rows",
        path=store / FOLDER / f"{run_id}.json",
        decided_by=DUCKDB,
        explained_by=explained_by,
    )
    report.path.parent.mkdir(parents=True, exist_ok=True)
    content = {name: value for name, value in asdict(report).items() if name != "path"}
    report.path.write_text(json.dumps(content, indent=1), encoding="utf-8")
    place.of(store).share(f"{FOLDER}/{report.path.name}")
    return report


def published(
    store: Path, files: Mapping[str, Sequence[str]], docs: Path | None = None
) -> tuple[list[Finding], int]:
    """Validate the files of a publication by Great Expectations; return findings, n of rules.

    `docs` is a folder for Data Docs. Raises AuditUnavailableError.
    """
    rules = {}
    for name, own in by_table().items():
        has_rows = any(files.get(stored) for stored in published_tables.TABLES[name].stored)
        names = [rule.name for rule in own if has_rows or isinstance(rule, Law)]
        if names:
            rules[name] = names
    with _folder() as folder:
        findings = _validated(store, files, rules, docs, folder)
    return findings, sum(map(len, rules.values()))


@contextmanager
def _folder() -> Iterator[Path]:
    """Make a folder that is removed afterwards, also where a signal ends the process at once."""
    with tempfile.TemporaryDirectory(prefix="rejse-audit-") as name:
        signals.keep(Path(name))
        yield Path(name)


def _decided(
    store: Path, staged: Mapping[str, Sequence[StagedFile]], carried: CarriedFiles | None,
    folder: Path,
) -> tuple[list[Finding], int]:  # fmt: skip
    """Return what the one pass finds, and how many rules it looked at."""
    n_rows = {table: sum(file.rows for file in files) for table, files in staged.items()}
    paths = {table: [store / file.path for file in files] for table, files in staged.items()}
    n_customers = 0 if carried is None else len(carried.customers)
    n_ranges = 1 + sum(n_rows.values()) // ROWS_AT_ONCE + n_customers // CUSTOMERS_AT_ONCE
    stored = one_pass.no_stored_rows if carried is None else carried.rows
    settings = {"memory_limit": MEMORY, "temp_directory": str(folder / "spilled")}
    with duckdb.connect(config=settings) as con:
        counts = one_pass.counted(con, paths, stored, n_ranges)
        findings = [
            Finding(
                rule.table, rule.name, rule.severity, n,
                sum(n_rows.get(name, 0) for name in published_tables.TABLES[rule.table].stored),
                one_pass.examples(con, paths, rule), rule.description,
            )
            for rule, n in counts.items() if n
        ]  # fmt: skip
    return findings, len(counts)


def _explained(
    store: Path, staged: Mapping[str, Sequence[StagedFile]], carried: CarriedFiles | None,
    findings: Sequence[Finding], folder: Path,
) -> tuple[list[Finding], str | None]:  # fmt: skip
    """Return the findings with rows that break critical rules, and who looked for these.

    Great Expectations sees the tables as they would be published. A refusal needs no explanation,
    so it stands where there is none.
    """
    files = {table: [file.path for file in files] for table, files in staged.items()}
    for table, kept in ({} if carried is None else carried.files).items():
        files[table] = [*files.get(table, ()), *(file.path for file in kept)]
    critical = [finding for finding in findings if finding.severity == "critical"]
    rules: dict[str, list[str]] = {}
    for finding in critical:
        rules.setdefault(finding.table, []).append(finding.rule)
    try:
        validated = _validated(store, files, rules, None, folder)
    except AuditUnavailableError as fault:
        unexplained = (str(fault),)
        return [
            replace(finding, examples=unexplained) if finding in critical else finding
            for finding in findings
        ], None
    examples = {(broken.table, broken.rule): broken.examples for broken in validated}
    return [
        replace(finding, examples=examples.get((finding.table, finding.rule), finding.examples))
        for finding in findings
    ], GREAT_EXPECTATIONS


def _validated(
    store: Path, files: Mapping[str, Sequence[str]], rules: Mapping[str, Sequence[str]],
    docs: Path | None, folder: Path,
) -> list[Finding]:  # fmt: skip
    """Validate rules, named by table, in a process for Great Expectations alone."""
    named = [file for of_table in files.values() for file in of_table]
    with place.of(store).whole(named) as here:
        return _validated_here(here, files, rules, docs, folder)


def _validated_here(
    store: Path, files: Mapping[str, Sequence[str]], rules: Mapping[str, Sequence[str]],
    docs: Path | None, folder: Path,
) -> list[Finding]:  # fmt: skip
    """Validate rules of files that are whole below `store`."""
    database, request, answer = (folder / name for name in ("rows.duckdb", "request", "answer"))
    with duckdb.connect(str(database)) as con:
        _define(con, store, files)
    asked = {"database": str(database), "rules": rules, "docs": None if docs is None else str(docs)}
    request.write_text(json.dumps(asked), encoding="utf-8")
    program = [sys.executable, "-m", "rejse.expectations.checkpoint", str(request), str(answer)]
    process = subprocess.run(program, capture_output=True, check=False)
    if process.returncode:
        errors = process.stderr.decode(errors="replace")
        # DuckDB's binding makes noise at its end.
        error = errors.split("nanobind:")[0].strip()[-2000:]
        raise AuditUnavailableError(
            f"expected Great Expectations to end with findings, it ended with "
            f"{process.returncode}:\n{error}"
        )
    return list(map(_finding, json.loads(answer.read_text(encoding="utf-8"))))


def _define(
    con: duckdb.DuckDBPyConnection, store: Path, files: Mapping[str, Sequence[str]]
) -> None:
    """Make views of the tables as a publication would show them, and of what laws read."""
    con.execute(SESSION)
    con.begin()  # one commit, or each of the many views would sync the disk
    catalogue_build.define_tables(con, store, files)
    for table in published_tables.TABLES.values():
        if table.is_private and len(table.stored) > 1:
            both = " union all by name ".join(f"select * from {name}" for name in table.stored)
            con.execute(f"create view {view(table)} as {both}")
    for script in statements("aggregates"):
        con.execute(f"create view {script.name} as {script.text}")
    con.commit()


def read(path: Path) -> Report:
    """Read a report that an audit wrote."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    content.setdefault("decided_by", GREAT_EXPECTATIONS)  # of an earlier version
    return Report(**{**content, "findings": tuple(map(_finding, content["findings"]))}, path=path)


def _finding(content: Mapping[str, Any]) -> Finding:
    return Finding(**{**content, "examples": tuple(content["examples"])})
