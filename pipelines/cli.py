"""The command line: all commands, and how they end.

Exit codes: 0 published or nothing new, 1 the data failed (an audit, the balance), 2 misuse (wrong
arguments, settings, SQL), 75 another writer holds the store, 74 the store or its disk failed (no
room, nothing may be written, a file gone or damaged, a log in pieces), 130 and 143 SIGINT and
SIGTERM, 70 a fault of this program.
"""

from __future__ import annotations

import logging
import os
import sys

import typer

from rejse.pipelines import interruption, memory
from rejse.pipelines.commands import care, identifying, reading, running, starting, telling
from rejse.pipelines.exits import FAULT, INTERRUPTED, TRACEBACK_VARIABLE, ended, tell
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
    given = sys.argv[1:] if args is None else args

    def close(code: int, message: str) -> None:
        tell(given, code, message)
        say(message)

    if args is None:  # a process of our own, not a call from a test or a notebook
        interruption.heed(close)
        memory.economise()
    # Libraries chat through the root logger; what matters comes as an error or in the result.
    logging.basicConfig(level=logging.ERROR, format="rejse: %(message)s")
    try:
        code = app(args, standalone_mode=False)
        if code == INTERRUPTED:  # how typer ends a KeyboardInterrupt
            close(code, interruption.message())
    except (Exception, interruption.Interrupted) as fault:
        if args is None:
            interruption.end()
        code, message = ended(fault)
        if code == FAULT and os.environ.get(TRACEBACK_VARIABLE) == "1":
            tell(given, code, message)
            raise
        close(code, message)
    code = code if isinstance(code, int) else 0
    if interruption.received() is not None:
        interruption.leave(code)
    sys.exit(code)


if __name__ == "__main__":
    main()
