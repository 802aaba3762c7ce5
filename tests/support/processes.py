"""Processes beside that of the test, and waiting for such as need not be its children."""

from __future__ import annotations

import multiprocessing
import os
import select
from collections.abc import Sequence
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from typing import Any

#: Seconds after which a process that should have ended is taken to live on.
PATIENCE = 120


def forking(*modules: str) -> ForkServerContext:
    """Start processes as forks of one that has imported these modules, and has no threads."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(modules))
    return context


def reports(workers: Sequence[BaseProcess], results: Any, n: int) -> list[Any]:
    """Run workers to their end; what they put into the queue `results`, `n` of it in all."""
    for worker in workers:
        worker.start()
    answers = [results.get(timeout=600) for _ in range(n)]
    for worker in workers:
        worker.join()
    return answers


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
