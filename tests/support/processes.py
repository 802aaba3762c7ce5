"""Waiting for processes that need not be children of the test."""

from __future__ import annotations

import os
import select

#: Seconds after which a process that should have ended is taken to live on.
PATIENCE = 120


def has_ended(process: int) -> bool:
    """Whether a process, which need not be a child of ours, ends."""
    try:
        opened = os.pidfd_open(process)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([opened], [], [], PATIENCE)[0])
    finally:
        os.close(opened)
