"""The audit of what is staged: Great Expectations, in a process of its own.

The process keeps its imports (seconds, hundreds of megabytes) away from the run. Requests go to it
and reports come from it as lines of JSON; a run keeps its report below `<store>/audits/`. A run
alone has a process for its one request, and no longer than for that; whoever audits again and again
keeps an `Auditor`.
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

from rejse.pipelines.store.staging import StagedFile
from rejse.transforms.errors import DataError, MisuseError

FOLDER = "audits"
SAMPLE_ROWS = 1_000_000
#: Bytes a process may have held before another takes its place.
LARGEST = 800_000_000
#: Seconds that an audit may take (ten million events take less than a minute), and its end.
LONGEST, LEAVING = 3600.0, 20.0
PROGRAM = "rejse.expectations.server"
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


#: What audits the staged files of each table: `audit`, or that of an `Auditor`.
Audit = Callable[[Path, Mapping[str, Sequence[StagedFile]], str], Report]


def audit(store: Path, staged: Mapping[str, Sequence[StagedFile]], run_id: str) -> Report:
    """Audit the staged files of each table by a process for them alone.

    Raises AuditUnavailableError where Great Expectations is missing or its process ends badly;
    never for what it finds: that is in the report.
    """
    with Auditor() as auditor:
        return auditor.audit(store, staged, run_id)


@dataclass
class Auditor:
    """A process that audits one request after the other: its start is paid once, beside other work.

    As a context: it starts on entering and has ended after leaving. Where it died while it had
    nothing to do, or held more than `largest` bytes, another takes its place. It ends by itself
    when this process is gone. Raises AuditUnavailableError where Great Expectations is missing.
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
        """Audit the staged files of each table.

        Raises AuditUnavailableError where the process ends badly, says what is no answer or takes
        longer than `longest` seconds; the next request finds another process. Never for what is
        found: that is in the report.
        """
        if self._process.poll() is not None:
            self._replace()
        said = self._audited(_asked(store, staged))
        report = store / FOLDER / f"{run_id}.json"
        report.parent.mkdir(parents=True, exist_ok=True)
        report.write_text(json.dumps(said["report"], indent=1), encoding="utf-8")
        if said["peak"] > self.largest:
            self._end()  # the next request, if there is one, finds another
        return read(report)

    @property
    def pid(self) -> int:
        """The process of the next request."""
        return self._process.pid

    def _start(self) -> None:
        self._held = contextlib.ExitStack()
        # A file, not a pipe: nobody reads it while the process works.
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
        """Close its input, which ends it, and wait until nothing of it is left."""
        with _killed_after(LEAVING, self._process):
            self._held.close()

    def _replace(self) -> None:
        self._end()
        self._start()

    def _audited(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """What the process answers: the report, and bytes that it held at most."""
        self._stderr.seek(0)  # where the process goes on writing: the file is one to both
        self._stderr.truncate()
        try:
            with _killed_after(self.longest, self._process):
                line = self._said(json.dumps(request) + "\n")
        except BaseException:  # such as an interrupt: it would go on for nobody
            self._process.kill()
            self._process.wait()  # so that the next request finds it gone, and no answer of it
            raise
        with contextlib.suppress(ValueError):
            said = json.loads(line)
            if isinstance(said, dict) and said.keys() == {"report", "peak"}:
                return said
        raise self._failure(line)

    def _said(self, request: str) -> bytes:
        """The line by which the process answers; empty where it ends instead."""
        assert self._process.stdin is not None
        left = request.encode()
        with contextlib.suppress(BrokenPipeError):
            while left:  # a pipe may take less than all of it
                left = left[self._process.stdin.write(left) :]
        return self._answers.readline()

    def _failure(self, said: bytes) -> AuditUnavailableError:
        """What the process did instead of its work; it is gone after that."""
        if said:
            self._process.kill()
        with _killed_after(LEAVING, self._process):
            code = self._process.wait()
        self._stderr.seek(0)
        return AuditUnavailableError(
            f"expected the audit to end with a report within {self.longest:,.0f} s, it "
            + (f"said {said[:200]!r}" if said else f"ended with {code}")
            + f":\n{_told(self._stderr.read().decode(errors='replace'))}"
        )


@contextlib.contextmanager
def _killed_after(seconds: float, process: subprocess.Popen[bytes]) -> Iterator[None]:
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _asked(store: Path, staged: Mapping[str, Sequence[StagedFile]]) -> dict[str, Any]:
    return {
        "store": str(store.resolve()),
        "files": {table: [file.path for file in files] for table, files in staged.items()},
        "rows": {table: sum(file.rows for file in files) for table, files in staged.items()},
        "sample_rows": SAMPLE_ROWS,
    }


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
