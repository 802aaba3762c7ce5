"""The audit of what is staged: Great Expectations, in a process of its own.

The process keeps its imports (seconds, hundreds of megabytes) away from the run. It reads a
request and writes a report, both JSON files below `<store>/audits/`.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rejse.pipelines.stage import StagedFile

FOLDER = "audits"
SAMPLE_ROWS = 1_000_000
_SHOWN = 5


@dataclass(frozen=True)
class Finding:
    """A rule that rows broke: how many of how many, and the keys of some."""

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
    """Outcome of an audit: `passed` unless a critical rule was broken."""

    passed: bool
    findings: tuple[Finding, ...]
    seconds: float
    n_rules: int
    audited: str
    path: Path


class AuditError(RuntimeError):
    """Staged rows broke a critical rule; nothing was published."""

    exit_code = 1

    def __init__(self, report: Report) -> None:
        self.report = report
        critical = [str(f) for f in report.findings if f.severity == "critical"]
        super().__init__(
            "the audit refused the staged tables, nothing was published:\n  "
            + "\n  ".join(critical)
            + f"\nThe whole report is in {report.path}"
        )


class AuditUnavailableError(RuntimeError):
    """The audit cannot run here."""

    exit_code = 2


def audit(store: Path, staged: Mapping[str, Sequence[StagedFile]], run_id: str) -> Report:
    """Audit the staged files of each table.

    Raises AuditUnavailableError where Great Expectations is missing or its process ends badly;
    never for what it finds: that is in the report.
    """
    if importlib.util.find_spec("great_expectations") is None:
        raise AuditUnavailableError(
            "expected Great Expectations for the audit, it is not installed; "
            "install rejse[audit], or leave the audit out with --no-audit"
        )
    folder = store / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    request, answer = folder / f"{run_id}.request.json", folder / f"{run_id}.json"
    asked = {
        "store": str(store.resolve()),
        "files": {table: [file.path for file in files] for table, files in staged.items()},
        "rows": {table: sum(file.rows for file in files) for table, files in staged.items()},
        "sample_rows": SAMPLE_ROWS,
    }
    request.write_text(json.dumps(asked), encoding="utf-8")
    command = [sys.executable, "-m", "rejse.expectations.audit", str(request), str(answer)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0 or not answer.exists():
        raise AuditUnavailableError(
            f"expected the audit to end with a report, it ended with {done.returncode}:\n"
            + _told(done.stderr)
        )
    request.unlink()
    return read(answer)


def read(path: Path) -> Report:
    """Read a report that an audit wrote."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    findings = tuple(
        Finding(**{**one, "examples": tuple(one["examples"])}) for one in found["findings"]
    )
    return Report(
        found["passed"], findings, found["seconds"], found["n_rules"], found["audited"], path
    )


def _told(stderr: str) -> str:
    """The last error of the process, without the noise that DuckDB's binding adds at its end."""
    return stderr.split("nanobind:")[0].strip()[-2000:]
