"""What people did about alerts, from a file: taken up, closed, and whether the alert was right.

A CSV file has a header; any other file has a JSON object on each line. Both have the columns key,
status (acknowledged or closed), at, by, and, where an alert is closed, is_true (yes, no or empty).
`by` is a role or a pseudonym. The same file can be imported again.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rejse.pipelines.config.complete_until import TimeOptionError, parse_time
from rejse.pipelines.runtime.text_safety import clean
from rejse.pipelines.store.alert_ledger import Ledger
from rejse.transforms.alerts.ledger import Alert, Entry, fold
from rejse.transforms.errors import DataError, MisuseError

COLUMNS = frozenset({"key", "status", "is_true", "at", "by"})
STATUS = ("acknowledged", "closed")
TRUTH: Mapping[str, bool | None] = {
    "yes": True, "no": False, "true": True, "false": False, "": None,
}  # fmt: skip
#: A role or pseudonym: no name with a space, no mail address.
_BY = re.compile(r"[\w.:-]{1,64}")


class _RejectedError(DataError):
    """A row cannot be taken; the message says what was expected."""


@dataclass
class Imported:
    """What an import did. `rejects` are (line, reason)."""

    acknowledged: int = 0
    closed: int = 0
    unchanged: int = 0
    rejects: list[tuple[int, str]] = field(default_factory=list)


def import_outcomes(store: Path, file: Path) -> Imported:
    """Write what a file says to the ledger; what cannot be taken is left out and said.

    Raises MisuseError where the file is no UTF-8 text.
    """
    rows, done = list(_rows(file)), Imported()

    def entries(alerts: Mapping[str, Alert]) -> Iterator[Entry]:
        known = dict(alerts)
        for line, row in rows:
            try:
                entry = _entry(row, known)
            except _RejectedError as fault:
                done.rejects.append((line, str(fault)))
                continue
            if entry is None:
                done.unchanged += 1
                continue
            known = fold([entry], known)
            if entry["kind"] == "closed":
                done.closed += 1
            else:
                done.acknowledged += 1
            yield entry

    Ledger(store).append(entries)
    return done


def _rows(file: Path) -> Iterator[tuple[int, Any]]:
    """Yield each row with the number of its line; a ValueError is a row that cannot be read."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise MisuseError(f"{file.name}: expected UTF-8 text") from None
    if file.suffix.lower() == ".csv":
        reader = csv.DictReader(io.StringIO(text, newline=""))
        yield from ((reader.line_num, row) for row in reader)
        return
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError):
                yield number, None


def _entry(row: Any, alerts: Mapping[str, Alert]) -> Entry | None:
    """Return the entry of a row; None where the ledger has it. Raises _RejectedError."""
    if not isinstance(row, dict) or not {"key", "status", "at", "by"} <= row.keys() <= COLUMNS:
        raise _RejectedError(f"expected the columns {', '.join(sorted(COLUMNS))}")
    alert = alerts.get(_text(row["key"]).partition(".")[0])
    if alert is None:
        raise _RejectedError(f"key: expected that of an alert, came {_shown(row['key'])}")
    status, by = _text(row["status"]), _text(row["by"])
    if status not in STATUS:
        raise _RejectedError(f"status: expected {' or '.join(STATUS)}, came {_shown(status)}")
    if not _BY.fullmatch(by):
        raise _RejectedError(f"by: expected a role or pseudonym without spaces, came {_shown(by)}")
    word = _text(row.get("is_true")).lower()
    if word not in TRUTH:
        raise _RejectedError(f"is_true: expected yes, no or nothing, came {_shown(word)}")
    is_true = TRUTH[word]
    if is_true is not None and status != "closed":
        raise _RejectedError("is_true: expected nothing with acknowledged; it is judged at closing")
    at = _time(row["at"])
    if at < alert.fired_at:
        raise _RejectedError("at: expected a time at or after the alert fired")
    if status == "closed":
        if alert.closed_at is not None:
            _refuse_other((alert.closed_at, alert.closed_by, alert.is_true), (at, by, is_true))
            return None
        return {"kind": "closed", "key": alert.key, "at": at, "by": by, "is_true": is_true}
    if alert.acknowledged_at is not None:
        _refuse_other((alert.acknowledged_at, alert.acknowledged_by), (at, by))
        return None
    return {"kind": "acknowledged", "key": alert.key, "at": at, "by": by}


def _refuse_other(present: tuple[Any, ...], given: tuple[Any, ...]) -> None:
    if present != given:
        raise _RejectedError("expected one end for each alert; the ledger has another")


def _time(value: Any) -> int:
    try:
        return parse_time("at", _text(value))
    except TimeOptionError as fault:
        raise _RejectedError(clean(fault, limit=200)) from None


def _text(value: Any) -> str:
    """Return a value of either format as text: JSON has words for yes and no of its own."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value).strip()


def _shown(value: Any) -> str:
    return repr(clean(value, limit=40))
