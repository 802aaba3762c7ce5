"""Processes beside that of the test, and waiting for such as need not be its children."""

from __future__ import annotations

import multiprocessing
import os
import select
from multiprocessing.context import ForkServerContext

#: Seconds after which a process that should have ended is taken to live on.
PATIENCE = 120


def forking(*modules: str) -> ForkServerContext:
    """Start processes as forks of one that has imported these modules, and has no threads."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(modules))
    return context


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
