"""The errors of rejse: one tree. A branch sets how a command ends on such an error.

A branch has the exit code and the status word that schedulers read. Its docstring begins with the
meaning of the code; the table of exit codes is generated from it. A message states what was
expected, what was received, and what to do.
"""

from __future__ import annotations

from typing import ClassVar


class RejseError(Exception):
    """A fault of this program."""

    exit_code: ClassVar[int] = 70
    status: ClassVar[str] = "fault"


class DataError(RejseError):
    """The data failed (an audit, the balance); nothing was published."""

    exit_code = 1
    status = "data_failed"


class MisuseError(RejseError):
    """The call or the configuration is wrong (arguments, settings, SQL)."""

    exit_code = 2
    status = "misuse"


class StaleError(RejseError):
    """The store is older than was asked for (`status --max-age`), or it was never published."""

    exit_code = 3
    status = "stale"


class StoreError(RejseError):
    """The store or its disk failed (no room, not writable, a file or a log gone or damaged)."""

    exit_code = 74
    status = "store_failed"


class BusyError(RejseError):
    """Another writer holds the store."""

    exit_code = 75
    status = "another_writer"


#: Every exit code of an error has one branch.
BRANCHES: tuple[type[RejseError], ...] = (
    DataError, MisuseError, StaleError, RejseError, StoreError, BusyError,
)  # fmt: skip
