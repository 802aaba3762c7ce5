"""How a command that writes tells a scheduler how it ended: one line of JSON, failed or not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from rejse.pipelines.damage import IO_ERROR
from rejse.pipelines.exits import BUSY, DATA_FAILED, FAULT, MISUSE, code_of, said

STATUS = {
    DATA_FAILED: "data_failed",
    MISUSE: "misuse",
    BUSY: "another_writer",
    IO_ERROR: "store_failed",
    FAULT: "fault",
}


@contextmanager
def told(json: bool) -> Iterator[None]:
    """Print a failure as a line of JSON where that is asked for, and let it pass on."""
    try:
        yield
    except (typer.Exit, typer.Abort):
        raise
    except Exception as fault:
        if json:
            from rejse.pipelines.terminal import show_line

            code = code_of(fault)
            message = said(fault, code).removeprefix("rejse: ")
            show_line({"status": STATUS.get(code, "fault"), "exit_code": code, "message": message})
        raise
