"""The kept process of the audit: it answers as one of its own would, is replaced, and leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rejse.pipelines.publication.audit_client import Auditor, AuditUnavailableError
from rejse.pipelines.store import staging
from tests.support import store_builder
from tests.support.audits import audit_of, broken_world
from tests.support.processes import has_ended
from tests.support.quick_audit import GATE

HOLDER = """
import pathlib, sys
from rejse.pipelines.publication.audit_client import Auditor
with Auditor("tests.support.quick_audit") as auditor:
    print(auditor.pid, flush=True)
    if sys.argv[1:]:
        auditor.audit(pathlib.Path(sys.argv[1]), {}, "run-1")
    sys.stdin.read()
"""


@pytest.fixture
def quick() -> Iterator[Auditor]:
    """An auditor whose process audits nothing: what is asked here is how it lives and dies."""
    with Auditor("tests.support.quick_audit") as auditor:
        yield auditor


def test_many_requests_are_answered_as_one_alone(tmp_path: Path) -> None:
    worlds, unlike = (store_builder.world(), broken_world()[0]), {"seconds": 0.0, "path": tmp_path}
    alone = [audit_of(tmp_path / f"alone-{number}", rows) for number, rows in enumerate(worlds)]
    with Auditor() as auditor:
        asked = auditor.pid
        for number in (1, 0, 1):
            report = audit_of(tmp_path / "kept", worlds[number], auditor.audit)
            assert replace(report, **unlike) == replace(alone[number], **unlike)
        assert auditor.pid == asked
    assert [report.passed for report in alone] == [True, False]


def test_a_process_that_fails_is_told_and_the_next_request_goes_on(
    quick: Auditor, tmp_path: Path
) -> None:
    missing = staging.StagedFile("journeys", "journeys/part-gone.parquet", 1, 1)
    with pytest.raises(AuditUnavailableError, match=r"ended with 1:\n(.|\n)*part-gone"):
        quick.audit(tmp_path, {"journeys": [missing]}, "run-1")
    assert quick.audit(tmp_path, {}, "run-2").passed


def test_a_process_that_was_killed_is_replaced(quick: Auditor, tmp_path: Path) -> None:
    killed = quick.pid
    os.kill(killed, signal.SIGKILL)
    assert has_ended(killed)
    assert quick.audit(tmp_path, {}, "run-1").passed
    assert quick.pid != killed


def test_a_signal_to_all_processes_of_a_service_ends_no_audit(
    quick: Auditor, tmp_path: Path
) -> None:
    quick.audit(tmp_path, {}, "run-1")
    process = quick.pid
    os.kill(process, signal.SIGTERM)
    os.kill(process, signal.SIGINT)
    assert quick.audit(tmp_path, {}, "run-2").passed
    assert quick.pid == process


def test_a_process_that_held_much_is_replaced(quick: Auditor, tmp_path: Path) -> None:
    quick.largest = 1
    first = quick.pid
    assert quick.audit(tmp_path, {}, "run-1").passed
    assert has_ended(first)
    assert quick.audit(tmp_path, {}, "run-2").passed
    assert quick.pid != first


def test_what_is_no_answer_is_told(tmp_path: Path) -> None:
    with Auditor("this") as auditor, pytest.raises(AuditUnavailableError, match="said b'The Zen"):
        auditor.audit(tmp_path, {}, "run-1")


def test_an_audit_without_end_is_told(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / GATE)  # nobody opens it
    with (
        Auditor(longest=0.0) as auditor,
        pytest.raises(AuditUnavailableError, match=r"within 0 s.*with -9"),
    ):
        auditor.audit(tmp_path, {}, "run-1")


@pytest.mark.parametrize("how", [signal.SIGKILL, None])
def test_nothing_is_left_behind(how: signal.Signals | None) -> None:
    """Neither after a kill of the process that asks, nor after its end."""
    asking = subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with asking:
        assert asking.stdout is not None
        process = int(asking.stdout.readline())
        if how is not None:
            asking.send_signal(how)
    assert has_ended(process)
    assert asking.returncode == (0 if how is None else -how)


def test_the_audit_of_a_run_that_was_killed_leaves_no_report(tmp_path: Path) -> None:
    """An erasure that comes after the run would not find it."""
    os.mkfifo(tmp_path / GATE)
    asking = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with asking:
        assert asking.stdout is not None
        process = int(asking.stdout.readline())
        with (tmp_path / GATE).open("wb"):  # opens when it is being audited
            asking.kill()
            asking.wait()
    assert has_ended(process)
    assert [path.name for path in tmp_path.rglob("*")] == [GATE]
