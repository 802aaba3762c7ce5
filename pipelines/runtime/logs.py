"""Logs: lines of text or JSON on standard error, of a level that the environment sets.

What a command did is its result, on standard output. A log is for services: what it goes on after,
and, from level `info`, what it does.
"""

from __future__ import annotations

import json
import logging
import os
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime

from rejse.transforms.errors import MisuseError

LEVEL, FORMAT = "REJSE_LOG_LEVEL", "REJSE_LOG_FORMAT"
LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("text", "json")
#: Attributes of every record; all others are fields of the message.
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def configure(environment: Mapping[str, str] = os.environ) -> None:
    """Log as the environment says: warnings and errors, as text, where it says nothing.

    Raises MisuseError for a level or a format that there is not.
    """
    level = _stated(environment, LEVEL, LEVELS, "warning")
    form = _stated(environment, FORMAT, FORMATS, "text")
    handler = logging.StreamHandler()
    handler.setFormatter(Json() if form == "json" else logging.Formatter("rejse: %(message)s"))
    # Libraries chat through the root logger; what matters comes as an error or in the result.
    logging.basicConfig(level=logging.ERROR, handlers=[handler])
    logging.getLogger("rejse").setLevel(level.upper())


def described(fault: BaseException) -> str:
    """Return class and place of an error: its words, and a traceback's, may hold a row."""
    place = traceback.extract_tb(fault.__traceback__)[-1]
    return f"{type(fault).__name__} in {place.name}, line {place.lineno}"


def _stated(environment: Mapping[str, str], name: str, known: tuple[str, ...], default: str) -> str:
    value = environment.get(name, default)
    if value not in known:
        raise MisuseError(f"{name}: expected one of {', '.join(known)}, came {value!r}")
    return value


class Json(logging.Formatter):
    """A record as one line of JSON: time, level, logger, message, and its own fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        fields = {name: value for name, value in vars(record).items() if name not in _OWN}
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(), "logger": record.name,
            "message": record.getMessage(), **fields,
        }  # fmt: skip
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)
