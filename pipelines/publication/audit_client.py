"""Client of the audit of staged files: Great Expectations, in a process of its own.

The process keeps its imports (seconds, hundreds of megabytes) out of the run. Requests and reports
are lines of JSON; a run keeps its report below `<store>/audits/`. A single run starts a process for
its one request; a caller with many requests keeps an `Auditor`.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from rejse.pipelines.store.staged_file import StagedFile
from rejse.transforms.errors import DataError, MisuseError

FOLDER = "audits"
SAMPLE_ROWS = 1_000_000
#: Bytes that a process may have held before it is replaced.
LARGEST = 800_000_000
#: Seconds that an audit may take (ten million events take less than a minute), and its exit.
LONGEST, LEAVING = 3600.0, 20.0
PROGRAM = "rejse.expectations.server"
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
    """Outcome of an audit: `passed` unless a critical rule was broken."""

    passed: bool
    findings: tuple[Finding, ...]
    seconds: float
    n_rules: int
    audited: str
    path: Path


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
    """The audit cannot run here."""


#: Function that audits the staged files of each table: `audit`, or that of an `Auditor`.
Audit = Callable[[Path, Mapping[str, Sequence[StagedFile]], str], Report]


def audit(store: Path, staged: Mapping[str, Sequence[StagedFile]], run_id: str) -> Report:
    """Audit the staged files of each table in a process for them alone.

    Raises AuditUnavailableError where Great Expectations is missing or its process fails; findings
    are in the report.
    """
    with Auditor() as auditor:
        return auditor.audit(store, staged, run_id)


@dataclass
class Auditor:
    """A process that audits one request after the other, so that its start is paid once.

    As a context: the process runs until the context ends. A process that died between requests, or
    held more than `largest` bytes, is replaced. It ends by itself with this process. Raises
    AuditUnavailableError where Great Expectations is missing.
    """

    program: str = PROGRAM
    longest: float = LONGEST
    largest: int = LARGEST

    def __enter__(self) -> Auditor:
        if importlib.util.find_spec("great_expectations") is None:
            raise AuditUnavailableError(
                "expected Great Expectations for the audit, it is not installed; "
                "install rejse again with all that it depends on: pip install ."
            )
        self._start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def audit(self, store: Path, staged: Mapping[str, Sequence[StagedFile]], run_id: str) -> Report:
        """Audit the staged files of each table; findings are in the report.

        Raises AuditUnavailableError where the process fails, gives no valid answer or takes longer
        than `longest` seconds; the next request gets another process.
        """
        if self._process.poll() is not None:
            self._replace()
        answer = self._audited(_request(store, staged))
        report = store / FOLDER / f"{run_id}.json"
        report.parent.mkdir(parents=True, exist_ok=True)
        report.write_text(json.dumps(answer["report"], indent=1), encoding="utf-8")
        if answer["peak"] > self.largest:
            self._end()  # the next request starts another
        return read(report)

    @property
    def pid(self) -> int:
        """Return the id of the process that takes the next request."""
        return self._process.pid

    def _start(self) -> None:
        self._held = contextlib.ExitStack()
        # A file, not a pipe: it is not read while the process works.
        self._stderr = self._held.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
        self._process = self._held.enter_context(
            subprocess.Popen(
                [sys.executable, "-m", self.program],
                bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._stderr,
            )
        )  # fmt: skip
        assert self._process.stdout is not None
        self._answers = io.BufferedReader(self._process.stdout)  # type: ignore[type-var]

    def _end(self) -> None:
        """Close the input of the process, which ends it, and wait for its end."""
        with _killed_after(LEAVING, self._process):
            self._held.close()

    def _replace(self) -> None:
        self._end()
        self._start()

    def _audited(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer of the process: the report, and its peak of memory in bytes."""
        self._stderr.seek(0)  # both processes share the file's position
        self._stderr.truncate()
        try:
            with _killed_after(self.longest, self._process):
                line = self._answer_to(json.dumps(request) + "\n")
        except BaseException:  # such as an interrupt: its answer has no reader any more
            self._process.kill()
            self._process.wait()  # so that the next request replaces it and gets no late answer
            raise
        with contextlib.suppress(ValueError):
            answer = json.loads(line)
            if isinstance(answer, dict) and answer.keys() == {"report", "peak"}:
                return answer
        raise self._failure(line)

    def _answer_to(self, request: str) -> bytes:
        """Return the line by which the process answers; empty where it ends instead."""
        assert self._process.stdin is not None
        left = request.encode()
        with contextlib.suppress(BrokenPipeError):
            while left:  # a pipe may take less than all of it
                left = left[self._process.stdin.write(left) :]
        return self._answers.readline()

    def _failure(self, line: bytes) -> AuditUnavailableError:
        """Return the error of a process that did not answer; it has ended afterwards."""
        if line:
            self._process.kill()
        with _killed_after(LEAVING, self._process):
            code = self._process.wait()
        self._stderr.seek(0)
        return AuditUnavailableError(
            f"expected the audit to end with a report within {self.longest:,.0f} s, it "
            + (f"said {line[:200]!r}" if line else f"ended with {code}")
            + f":\n{_last_error(self._stderr.read().decode(errors='replace'))}"
        )


@contextlib.contextmanager
def _killed_after(seconds: float, process: subprocess.Popen[bytes]) -> Iterator[None]:
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _request(store: Path, staged: Mapping[str, Sequence[StagedFile]]) -> dict[str, Any]:
    return {
        "store": str(store.resolve()),
        "files": {table: [file.path for file in files] for table, files in staged.items()},
        "rows": {table: sum(file.rows for file in files) for table, files in staged.items()},
        "sample_rows": SAMPLE_ROWS,
    }


def read(path: Path) -> Report:
    """Read a report that an audit wrote."""
    report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    findings = tuple(
        Finding(**{**finding, "examples": tuple(finding["examples"])})
        for finding in report["findings"]
    )
    return Report(
        report["passed"], findings, report["seconds"], report["n_rules"], report["audited"], path
    )


def _last_error(stderr: str) -> str:
    """Return the last error of the process, without the noise of DuckDB's binding at its end."""
    return stderr.split("nanobind:")[0].strip()[-2000:]
