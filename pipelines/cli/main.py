"""The command line: all commands, and how they end."""

from __future__ import annotations

import os
import sys

import typer
from typer.models import CommandInfo

from rejse.pipelines.cli import (
    alerts,
    card,
    identity,
    maintain,
    read,
    reference,
    run,
    setup,
    stream,
)
from rejse.pipelines.cli.exit_codes import (
    FAULT,
    INTERRUPTED,
    TRACEBACK_VARIABLE,
    ended,
    meanings,
    tell,
)
from rejse.pipelines.cli.terminal import say
from rejse.pipelines.runtime import logs, process_limits, signals

app = typer.Typer(
    name="rejse",
    help="Turns the interaction logs of every channel and department into scored journeys.",
    epilog="Exit codes: " + "; ".join(f"{code} {text}" for code, text in meanings().items()) + ".",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    callback=lambda: None,  # a group also where `_keep_called` leaves one command
)
app.command()(setup.init)
app.command()(setup.check)
app.command(context_settings={"allow_extra_args": True})(run.run)
app.command()(run.repair)
app.command()(run.reconcile)
app.command(context_settings={"allow_extra_args": True})(run.live)
app.command(context_settings={"allow_extra_args": True})(stream.stream)
app.command()(read.status)
app.command()(alerts.alerts)
app.command()(read.sql)
app.command()(read.explain)
app.command()(identity.identity)
app.command()(card.card)
app.command()(read.report)
app.command()(read.export)
app.command()(read.calibrate)
app.command()(maintain.compact)
app.command()(maintain.vacuum)
app.command()(maintain.verify)
app.command()(maintain.audit)
app.command()(maintain.diff)
app.command()(maintain.forget)
app.command()(reference.metrics)
app.command()(reference.sentiment)
app.command("demo-data")(setup.demo_data)


def _keep_called(args: list[str]) -> None:
    """Leave of all commands the one that is called: typer takes .1 s to build all of them."""
    called = [info for info in app.registered_commands if args and _name(info) == args[0]]
    app.registered_commands = called or app.registered_commands


def _name(info: CommandInfo) -> str | None:
    return info.name or getattr(info.callback, "__name__", None)


def main(args: list[str] | None = None) -> None:
    """Run the command line and leave with its exit code."""
    given = sys.argv[1:] if args is None else args

    def close(code: int, message: str) -> None:
        tell(given, code, message)
        say(message)

    if args is None:  # a process of our own, not a call from a test or a notebook
        signals.heed(close)
        process_limits.tune_allocator()
        process_limits.limit_threads()
        _keep_called(given)
    try:
        logs.configure()
        code = app(args, standalone_mode=False)
        if code == INTERRUPTED:  # how typer ends a KeyboardInterrupt
            close(code, signals.message())
    except (Exception, signals.Interrupted) as fault:
        if args is None:
            signals.end()
        code, message = ended(fault)
        if code == FAULT and os.environ.get(TRACEBACK_VARIABLE) == "1":
            tell(given, code, message)
            raise
        close(code, message)
    code = code if isinstance(code, int) else 0
    if signals.received() is not None:
        signals.leave(code)
    sys.exit(code)


if __name__ == "__main__":
    main()
