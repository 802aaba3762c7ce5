"""The errors of rejse: one tree, whose branches state how a command ends that meets one of them.

A branch has the exit code and the word for it that schedulers read; its docstring begins with what
the code means, and the table of codes is made from that. A message states what was expected, what
came, and what to do.
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


class StoreError(RejseError):
    """The store or its disk failed (no room, not writable, a file or a log gone or damaged)."""

    exit_code = 74
    status = "store_failed"


class BusyError(RejseError):
    """Another writer holds the store."""

    exit_code = 75
    status = "another_writer"


#: Every exit code of an error has one branch.
BRANCHES: tuple[type[RejseError], ...] = (DataError, MisuseError, RejseError, StoreError, BusyError)
