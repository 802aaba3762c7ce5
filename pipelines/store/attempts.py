"""The journal of a store: each attempt of a run that held it, and how that ended.

A publication tells of the run that made it; what failed, was interrupted or killed since the one
before stands only here, until the next publication takes it up into `runs`. An attempt has a line
when it begins and one when it ends. One without its second line was killed: the next to hold the
store says so.
"""

from __future__ import annotations

import contextlib
import json
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rejse.pipelines.places import place
from rejse.pipelines.runtime import file_modes, signals
from rejse.pipelines.store import delta_store, notes
from rejse.pipelines.store.delta_store import Publication, Writer
from rejse.transforms.errors import RejseError
from rejse.transforms.schema.moments import moment

JOURNAL = ".attempts.jsonl"  # hidden: no glob of a source reads it
#: A journal of more bytes is cut to its last attempts, and as many of those that no publication
#: tells of yet, when the next one begins.
MOST_BYTES, KEPT = 1 << 18, 200
#: Characters of an error that are kept.
MOST_CHARACTERS = 500
Outcome = Literal["running", "published", "nothing_new", "audit_failed", "failed", "interrupted",
                  "killed"]  # fmt: skip
#: Outcomes whose attempts the next publication tells of.
FAILED: frozenset[Outcome] = frozenset(("audit_failed", "failed", "interrupted", "killed"))


@dataclass
class Attempt:
    """An attempt of a run; times are microseconds since 1970.

    Attributes:
        attempt: Its id, unlike that of a run that published.
        mode: What kind of run was asked for.
        started_at: When it began.
        ended_at: When it ended; None: it runs, or was killed.
        outcome: How it ended.
        error: The message of the error; of a fault of this program only its class.
        base: The publication that was current at the end.
    """

    attempt: str
    mode: str
    started_at: int
    ended_at: int | None = None
    outcome: Outcome = "running"
    error: str | None = None
    base: int | None = None

    def row(self) -> dict[str, Any]:
        """Return the row of the table `runs`."""
        return {
            "run_id": self.attempt, "mode": self.mode, "started_at": self.started_at,
            "finished_at": self.ended_at, "status": self.outcome, "error": self.error,
        }  # fmt: skip


@contextlib.contextmanager
def recorded(writer: Writer, mode: str, now: int) -> Iterator[Attempt]:
    """Write an attempt into the journal of a held store; its outcome is set inside, or an error's.

    Attempts before it that never ended were killed.
    """
    _close_killed(writer)
    _cut(writer)
    attempt = Attempt(new_run_id(now), mode, now)
    _append(writer.store, vars(attempt))
    try:
        yield attempt
    except BaseException as fault:
        attempt.outcome, attempt.error = _outcome(fault), message(fault)
        raise
    finally:
        attempt.ended_at, attempt.base = delta_store.now(), _number(writer.previous)
        with contextlib.suppress(OSError):  # a full disk: the attempt then counts as killed
            _append(writer.store, vars(attempt))


def new_run_id(now: int) -> str:
    """Return a name that no other run has; it begins with the time."""
    return f"{moment(now):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"


def attempts(store: Path) -> list[Attempt]:
    """Return the attempts of the journal in the order in which they began."""
    last: dict[str, Attempt] = {}
    for line in _lines(store):
        last[line["attempt"]] = Attempt(**line)
    return list(last.values())


def failed_on(store: Path, base: Publication | None) -> list[Attempt]:
    """Return the attempts that failed after a publication and before the next one."""
    return [
        attempt
        for attempt in attempts(store)
        if attempt.outcome in FAILED and attempt.base == _number(base)
    ]


def message(fault: BaseException) -> str:
    """Return what the journal keeps of an error.

    Errors of this program are written for its users; what a library's says may hold a row.
    """
    name = type(fault).__name__
    text = f"{name}: {fault}" if isinstance(fault, RejseError) else name
    return text[:MOST_CHARACTERS]


def _outcome(fault: BaseException) -> Outcome:
    is_stopped = isinstance(fault, (signals.Interrupted, signals.StoppedError, KeyboardInterrupt))
    return "interrupted" if is_stopped else "failed"


def _close_killed(writer: Writer) -> None:
    for attempt in attempts(writer.store):
        if attempt.outcome == "running":
            base = _number(writer.previous)
            _append(writer.store, {**vars(attempt), "outcome": "killed", "base": base})


def _number(publication: Publication | None) -> int | None:
    return None if publication is None else publication.number


def _append(store: Path, line: dict[str, Any]) -> None:
    mode = file_modes.file(file_modes.of(store))
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    handle = os.open(store / JOURNAL, flags, mode)
    try:
        os.write(handle, b"\n" + json.dumps(line).encode())  # a torn line before it ends here
    finally:
        os.close(handle)
    place.of(store).share(JOURNAL)


def _lines(store: Path) -> Iterator[dict[str, Any]]:
    try:
        text = (store / JOURNAL).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return
    for line in text.splitlines():
        with contextlib.suppress(ValueError):  # torn by a kill or a full disk
            if isinstance(read := json.loads(line or "null"), dict):
                yield read


def _cut(writer: Writer) -> None:
    journal = writer.store / JOURNAL
    if journal.exists() and journal.stat().st_size > MOST_BYTES:
        before = attempts(writer.store)
        unpublished = failed_on(writer.store, writer.previous)[-KEPT:]
        kept = {a.attempt for a in (*unpublished, *before[-KEPT:])}
        lines = [json.dumps(vars(attempt)) for attempt in before if attempt.attempt in kept]
        notes.replace(journal, "\n".join(lines))
