"""Commands that publish: run, repair, reconcile, live."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from rejse.pipelines.cli.exit_codes import DATA_FAILED
from rejse.pipelines.cli.options import CONFIG, Config, Json, Workers, duration, settings_in
from rejse.pipelines.runtime import signals
from rejse.transforms.errors import MisuseError

if TYPE_CHECKING:
    from rejse.pipelines.config.settings import Settings
    from rejse.pipelines.jobs.request import RunRequest, TimeSpan
    from rejse.pipelines.jobs.run import RunResult

#: What was made anew, in words, by mode of a run.
ANEW = {"rebuild": "all sources were read again", "rescore": "stored rows were scored anew"}
REPAIR_HINT = "bring them in with: rejse repair --from TIME --until TIME"
#: Limits of the times that a row can have, in microseconds.
MIN_TIME, MAX_TIME = -(2**63), 2**63 - 1


def run(
    context: typer.Context,
    config: Config = CONFIG,
    complete: Annotated[
        bool, typer.Option("--complete", help="The files are all there is: nothing earlier comes.")
    ] = False,
    complete_until: Annotated[
        list[str] | None,
        typer.Option(
            "--complete-until",
            metavar="SOURCE=TIME",
            help="A configured source, or a name that its rows carry, is complete up to here.",
        ),
    ] = None,
    frontier: Annotated[
        list[str] | None,
        # The former name of --complete-until, for one version.
        typer.Option("--frontier", metavar="SOURCE=TIME", hidden=True),
    ] = None,
    rebuild: Annotated[
        bool,
        typer.Option("--rebuild", help="Read all files again, and forget what others held."),
    ] = False,
    rescore: Annotated[
        bool,
        typer.Option("--rescore", help="Score all stored rows anew, and those that are new."),
    ] = False,
    since: Annotated[
        str | None,
        typer.Option("--from", metavar="TIME", help="Take only what happened from then on."),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="TIME", help="Take only what happened before then."),
    ] = None,
    workers: Workers = None,
    json: Json = False,
) -> None:
    """Read what is new, make journeys, audit them and publish.

    Where windows, weights or journey types have changed, stored rows are scored anew
    ([bold]--rescore[/bold] does it in any case); where mappings or other rules of accepting rows
    have changed, all files are read again. What follows -- goes to Beam, whose runner then does the
    work.

    Example: [bold]rejse run --complete --workers 4[/bold], [bold]rejse run --rescore[/bold]
    """
    from rejse.pipelines.config import complete_until as parsing
    from rejse.pipelines.jobs.request import RunRequest

    span = _span(since, until)
    args = context.args
    if args and not args[0].startswith("-"):
        raise MisuseError(
            f"expected no argument, or Beam's options after --, came {args[0]!r};"
            " sources and files are named in rejse.toml"
        )
    if rebuild and rescore:
        raise MisuseError(
            "expected one of --rebuild, which reads all files again, and --rescore, which scores"
            " stored rows anew; came both"
        )
    settings = settings_in(config)
    request = RunRequest(
        mode="rebuild" if rebuild else "rescore" if rescore else "increment",
        complete=complete,
        complete_until=parsing.parse([*(complete_until or ()), *(frontier or ())]),
        span=span,
        beam_args=tuple(args),
        workers=workers,
    )
    _run(settings, request, json)


def _span(since: str | None, until: str | None) -> TimeSpan | None:
    """Return the time from `since` to before `until`; None where neither is given."""
    from rejse.pipelines.config.complete_until import parse_time

    if since is None and until is None:
        return None
    first = MIN_TIME if since is None else parse_time("--from", since)
    end = MAX_TIME if until is None else parse_time("--until", until)
    if first >= end:
        raise MisuseError(
            f"expected --from before --until, came {since} and {until}; the end is not included"
        )
    return first, end


def _run(
    settings: Settings,
    request: RunRequest,
    json: bool,
    beginning: str = "reading the configuration",
) -> None:
    """Run what is requested and print the result; `beginning` is the first progress message."""
    # The core takes its time to import: what can be refused was refused before.
    from rejse.pipelines.cli import terminal
    from rejse.pipelines.jobs.run import run as publish

    with terminal.progress(beginning) as progress:
        result = publish(settings, request, progress)
    _show(result, json)


def repair(
    since: Annotated[str, typer.Option("--from", metavar="TIME", help="Late events from then on.")],
    until: Annotated[str, typer.Option("--until", metavar="TIME", help="And before then.")],
    config: Config = CONFIG,
    workers: Workers = None,
    json: Json = False,
) -> None:
    """Bring in events that came too late; what was final is published again, with the reason.

    Example: [bold]rejse repair --from 2025-05-01 --until 2025-06-01[/bold]
    """
    from rejse.pipelines.jobs.request import RunRequest

    span = _span(since, until)
    _run(settings_in(config), RunRequest("repair", span=span, workers=workers), json)


def reconcile(config: Config = CONFIG, workers: Workers = None, json: Json = False) -> None:
    """Let stored journeys follow identity links that have changed; reads no source.

    [bold]rejse run[/bold] does it too, before it reads what is new.

    Example: [bold]rejse reconcile[/bold]
    """
    from rejse.pipelines.jobs.request import RunRequest

    request = RunRequest("reconcile", workers=workers)
    _run(settings_in(config), request, json, "comparing identity links")


def live(
    context: typer.Context,
    config: Config = CONFIG,
    publish_every: Annotated[
        str,
        typer.Option(
            "--publish-every", "--every", help="How long to wait between two publications."
        ),
    ] = "60s",
    look_every: Annotated[
        str,
        typer.Option(
            "--look-every",
            help="How long to wait between two looks for provisional rows; 0s looks for none.",
        ),
    ] = "250ms",
    keep: Annotated[
        str, typer.Option(help="How long a publication can be read after the next one.")
    ] = "1h",
    http: Annotated[
        str | None,
        typer.Option(
            "--http",
            metavar="[127.0.0.1:]PORT",
            help="Answer requests on this machine, such as for the card of a customer.",
        ),
    ] = None,
    workers: Workers = None,
    json: Json = False,
) -> None:
    """Score what arrives within a second, and publish it again and again, until stopped.

    Provisional rows are read by [bold]rejse sql --live[/bold]. A run at work is left: the next
    start does its work. With --json each publication is one line.

    Example: [bold]rejse live --publish-every 60s[/bold]
    """
    from rejse.pipelines.live.publishing_loop import Pace
    from rejse.pipelines.live.service import Service

    options = {"--publish-every": publish_every, "--keep": keep, "--look-every": look_every}
    *pace, pause = [duration(option, text) for option, text in options.items()]
    service = Service(
        config, settings_in(config), Pace(*pace), pause / 1_000_000, http,
        beam_args=context.args, workers=workers,
    )  # fmt: skip
    try:
        for result in service.results():
            _show(result, json)
    except (Exception, signals.Interrupted):
        if signals.received() is None:
            raise  # a signal is how a loop ends, whatever it came upon


def _show(result: RunResult, json: bool) -> None:
    """Print what a run did, and end with the exit code of a failed audit."""
    from rejse.pipelines.cli import terminal
    from rejse.pipelines.reporting import wording

    code = DATA_FAILED if result.status == "audit_failed" else 0
    if json:
        counts = wording.accounted(result.counts)
        terminal.show_line({**vars(result), "counts": counts, "exit_code": code})
    else:
        _show_run(result)
    if code:
        raise typer.Exit(code)


def _show_run(result: RunResult) -> None:
    """Print what a run did in words and tables."""
    from rejse.pipelines.cli.terminal import show_table
    from rejse.pipelines.publication import unjoined
    from rejse.pipelines.reporting import wording

    counts = wording.accounted(result.counts)
    if result.status == "nothing_new":
        print(f"nothing new: publication {result.publication} holds all there is")
        if n := result.tables.get("late", 0):
            waits = (
                f"{n:,} events that came too late wait"
                if n > 1
                else "1 event that came too late waits"
            )
            print(f"{waits} in `late`; {REPAIR_HINT}")
        return
    from rejse.transforms.dimensions.customer_records import UNJOINED

    if result.mode in ANEW:
        print(f"{ANEW[result.mode]} ({result.reason})")
    named = ["kept", "duplicate", "late", "rejected", "erased"]
    named += ["heartbeat"] if counts.get("heartbeat") else []
    parts = " + ".join(f"{name} {counts.get(name, 0):,}" for name in named)
    print(f"{wording.received(counts)} = {parts}")
    for reason, n in sorted(result.reasons.items(), key=lambda pair: (-pair[1], pair[0])):
        print(f"  {reason}: {n:,}")
    for note, n in sorted(result.notes.items()):
        if not note.startswith(UNJOINED):
            print(f"  {wording.note(note, n)}")
    if apart := unjoined.listed(result.unjoined, result.notes):
        show_table(("joins nothing", "why", "rows"), apart)
    if result.status == "audit_failed":
        for finding in result.findings:
            print(f"  {finding}", file=sys.stderr)
        print("audit failed: nothing was published", file=sys.stderr)
        return
    show_table(("table", "rows"), sorted(result.tables.items()))
    final, live = result.tables.get("journeys", 0), result.tables.get("journeys_live", 0)
    print(f"{final:,} final journeys, {live:,} that later events may still change (journeys_live)")
    if counts.get("late", 0) > 0:
        print(f"late events wait in `late`; {REPAIR_HINT}")
    if live and not final:
        print("if nothing is missing before some time, say so: --complete-until SOURCE=TIME")
    print(f"published publication {result.publication} in {result.seconds:.1f} s")
