"""The command line: all commands, and how they end.

Exit codes: 0 published or nothing new, 1 the data failed (an audit, the balance), 2 misuse (wrong
arguments, settings, SQL), 75 another writer holds the store, 74 the store or its disk failed (no
room, a file gone or damaged, a log in pieces), 70 a fault of this program.
"""

from __future__ import annotations

import logging
import os
import sys

import typer

from rejse.pipelines import memory
from rejse.pipelines.commands import care, identifying, reading, running, starting, telling
from rejse.pipelines.exits import FAULT, TRACEBACK_VARIABLE, ended, tell
from rejse.pipelines.terminal import say

app = typer.Typer(
    name="rejse",
    help="Turns the interaction logs of every channel and department into scored journeys.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command()(starting.init)
app.command()(starting.check)
app.command(context_settings={"allow_extra_args": True})(running.run)
app.command()(running.repair)
app.command()(running.reconcile)
app.command(context_settings={"allow_extra_args": True})(running.live)
app.command()(reading.status)
app.command()(reading.sql)
app.command()(reading.explain)
app.command()(identifying.identity)
app.command()(reading.report)
app.command()(reading.calibrate)
app.command()(care.compact)
app.command()(care.vacuum)
app.command()(care.verify)
app.command()(care.diff)
app.command()(care.forget)
app.command()(telling.metrics)
app.command()(telling.sentiment)
app.command("demo-data")(starting.demo_data)


def main(args: list[str] | None = None) -> None:
    """Run the command line and leave with its exit code."""
    if args is None:  # a process of our own, not a call from a test or a notebook
        memory.economise()
    # Libraries chat through the root logger; what matters comes as an error or in the result.
    logging.basicConfig(level=logging.ERROR, format="rejse: %(message)s")
    try:
        code = app(args, standalone_mode=False)
    except Exception as fault:
        code, message = ended(fault)
        tell(sys.argv[1:] if args is None else args, code, message)
        if code == FAULT and os.environ.get(TRACEBACK_VARIABLE) == "1":
            raise
        say(message)
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
