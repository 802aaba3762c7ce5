"""Commands that publish."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from rejse.pipelines.commands.options import CONFIG, Config, Json, MisuseError, settings_in
from rejse.pipelines.commands.outcome import told
from rejse.pipelines.exits import DATA_FAILED


def run(
    context: typer.Context,
    config: Config = CONFIG,
    complete: Annotated[
        bool, typer.Option("--complete", help="The files are all there is: nothing earlier comes.")
    ] = False,
    frontiers: Annotated[
        list[str] | None,
        typer.Option(
            "--frontier",
            metavar="SOURCE=TIME",
            help="A configured source, or a name that its rows bear, is complete up to here.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Read all sources, make journeys, audit them and publish. What follows -- goes to Beam.

    Example: [bold]rejse run --complete -- --direct_num_workers=2[/bold]
    """
    from rejse.pipelines import terminal

    with told(json):
        result = _published(context.args, config, complete, frontiers or (), terminal)
    code = DATA_FAILED if result.status == "audit_failed" else 0
    if json:
        terminal.show_line({**vars(result), "exit_code": code})
    else:
        _show_run(result)
    if code:
        raise typer.Exit(code)


def _published(
    args: Sequence[str], config: Path, complete: bool, frontiers: Sequence[str], terminal: Any
) -> Any:
    from rejse.pipelines import stated

    if args and not args[0].startswith("-"):
        raise MisuseError(
            f"expected no argument, or Beam's options after --, came {args[0]!r};"
            " sources and files are named in rejse.toml"
        )
    settings = settings_in(config)
    given = stated.parse(frontiers)
    # Beam takes its time to import: what can be refused before it is.
    from rejse.pipelines.run import run as publish

    with terminal.progress("reading the configuration") as progress:
        return publish(
            settings,
            complete=complete,
            frontier=given,
            beam_args=list(args),
            progress=progress,
        )


def _show_run(result: Any) -> None:
    from rejse.pipelines import wording
    from rejse.pipelines.terminal import show_table

    counts = result.counts
    if result.status == "nothing_new":
        print(f"nothing new: publication {result.publication} already holds these inputs")
        return
    parts = " + ".join(
        f"{k} {counts.get(k, 0):,}" for k in ("kept", "duplicate", "late", "rejected", "erased")
    )
    print(f"read {counts.get('read', 0):,} = {parts}")
    for reason, n in sorted(result.reasons.items(), key=lambda pair: (-pair[1], pair[0])):
        print(f"  {reason}: {n:,}")
    for note, n in sorted(result.notes.items()):
        print(f"  {wording.note(note, n)}")
    if result.status == "audit_failed":
        for finding in result.findings:
            print(f"  {finding}", file=sys.stderr)
        print("audit failed: nothing was published", file=sys.stderr)
        return
    show_table(("table", "rows"), sorted(result.tables.items()))
    final, still = result.tables.get("journeys", 0), result.tables.get("journeys_live", 0)
    print(f"{final:,} final journeys, {still:,} that later events may still change (journeys_live)")
    if still and not final:
        print("if nothing is missing before some time, say so: --frontier SOURCE=TIME")
    print(f"published publication {result.publication} in {result.seconds:.1f} s")
