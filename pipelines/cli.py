"""The command line. Every command imports what it needs itself, so that `--help` stays quick.

Exit codes: 0 published or nothing new, 1 the data failed (an audit, the balance), 2 misuse (wrong
arguments, settings, SQL), 75 another writer holds the store, 70 a fault of this program.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rejse.pipelines import memory
from rejse.pipelines.exits import (
    DATA_FAILED,
    FAULT,
    INTERRUPTED,
    MISUSE,
    TRACEBACK_VARIABLE,
    code_of,
    said,
    usage,
)

if TYPE_CHECKING:
    from rejse.pipelines.settings import Settings

app = typer.Typer(
    name="rejse",
    help="Turns the interaction logs of every channel and department into scored journeys.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

Config = Annotated[
    Path, typer.Option("--config", "-c", help="Configuration file, or the folder it lies in.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]
Toml = Annotated[bool, typer.Option("--toml", help="Print a [weights] block to paste.")]
CONFIG = Path("rejse.toml")


class MisuseError(Exception):
    """The command cannot do what was asked; the message says what it expects."""


def _settings(config: Path) -> Settings:
    from rejse.pipelines.settings import load

    return load(config)


def _connect(config: Path, publication: int | None = None) -> Any:
    from rejse.pipelines.catalogue import connect

    return connect(_settings(config).store, publication)


@app.command()
def init(
    files: Annotated[
        list[Path], typer.Argument(help="Logs to read a sample of: JSON lines, CSV, Parquet.")
    ],
    folder: Annotated[
        Path, typer.Option("--folder", "-C", help="Where to write the configuration.")
    ] = Path(),
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the source; else the first file's.")
    ] = None,
    json: Json = False,
) -> None:
    """Look at your logs and write a first configuration; it never overwrites a file.

    Example: [bold]rejse init logs/*.csv.gz[/bold]
    """
    from rejse.pipelines import init as first
    from rejse.pipelines.terminal import show_json

    looks = first.begin(files, folder, name)
    if json:
        show_json(first.as_dict(folder, looks))
    else:
        print("\n".join(first.told(folder, looks)))


@app.command()
def check(config: Config = CONFIG, json: Json = False) -> None:
    """Read a sample and say what is there, what is missing and what one more column would add.

    Example: [bold]rejse check[/bold]
    """
    from rejse.pipelines.check import check as look
    from rejse.pipelines.terminal import show_json

    found = look(_settings(config))
    if json:
        show_json(found.as_dict())
    else:
        print(found.text())
    if found.exit_code:
        raise typer.Exit(found.exit_code)


@app.command(context_settings={"allow_extra_args": True})
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
    from rejse.pipelines import stated

    if context.args and not context.args[0].startswith("-"):
        raise MisuseError(
            f"expected no argument, or Beam's options after --, came {context.args[0]!r};"
            " sources and files are named in rejse.toml"
        )
    settings = _settings(config)
    given = stated.parse(frontiers or ())
    # Beam takes its time to import: what can be refused before it is.
    from rejse.pipelines import terminal
    from rejse.pipelines.run import run as publish

    with terminal.progress("reading the configuration") as progress:
        result = publish(
            settings,
            complete=complete,
            frontier=given,
            beam_args=list(context.args),
            progress=progress,
        )
    if json:
        terminal.show_json(vars(result))
    else:
        _show_run(result)
    if result.status == "audit_failed":
        raise typer.Exit(DATA_FAILED)


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


@app.command()
def sql(
    query: Annotated[
        str | None, typer.Argument(help="One SELECT in DuckDB's dialect.", show_default=False)
    ] = None,
    config: Config = CONFIG,
    file: Annotated[
        Path | None,
        typer.Option("--file", "-f", help="Take the SELECT from this file or ready question."),
    ] = None,
    publication: Annotated[
        int | None, typer.Option("--publication", help="An earlier publication; else the latest.")
    ] = None,
    json: Json = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    guard: Annotated[
        bool,
        typer.Option("--guard", help="With --csv: put ' before cells a spreadsheet would execute."),
    ] = False,
) -> None:
    """Ask the published tables; the session is read-only and cannot leave the store.

    Example: [bold]rejse sql "select kind, count(*) from v_friction_evidence group by all"[/bold]
    """
    from rejse.pipelines import query as asking
    from rejse.pipelines import terminal

    if json and csv:
        raise MisuseError("expected --json or --csv, came both")
    if guard and not csv:
        raise MisuseError("--guard: expected --csv with it; nothing else opens in a spreadsheet")
    if (query is None) == (file is None):
        raise MisuseError('expected one query: rejse sql "select ...", or --file query.sql')
    text = asking.text_in(file) if file else str(query)
    columns, rows = asking.answer(_connect(config, publication), text)
    if json:
        terminal.show_json(asking.with_names(columns, rows))
    elif csv:
        guarded = terminal.show_csv(columns, rows, guard)
        if guard:
            terminal.say(f"{guarded} cells begin with an added apostrophe (--guard)")
    else:
        terminal.show_table(columns, rows)


@app.command()
def explain(
    journey: Annotated[
        str | None,
        typer.Argument(
            help="A journey_id or its first digits, a case_id, or worst; without it a list.",
            show_default=False,
        ),
    ] = None,
    config: Config = CONFIG,
    json: Json = False,
) -> None:
    """Tell one journey step by step, with each piece of friction and what it costs the score.

    Example: [bold]rejse explain worst[/bold]
    """
    from rejse.pipelines.explain import explain as tell
    from rejse.pipelines.journey_lookup import guide

    con = _connect(config)
    if journey is None:
        if json:
            raise MisuseError("--json: expected a journey, came none; take `worst` or an id")
        print(guide(con))
        return
    told = tell(con, journey)
    print(told.json() if json else told.text())


@app.command()
def report(
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write.")] = Path("report.html"),
    config: Config = CONFIG,
    json: Json = False,
) -> None:
    """Write the report: one HTML page that needs no network.

    Example: [bold]rejse report --out report.html[/bold]
    """
    from rejse.pipelines.report.page import write
    from rejse.pipelines.terminal import show_json

    written = write(_connect(config), out)
    if json:
        show_json({"report": str(written)})
    else:
        print(written)


@app.command()
def calibrate(config: Config = CONFIG, json: Json = False, toml: Toml = False) -> None:
    """Propose weights of friction from how journeys ended; it changes nothing.

    Example: [bold]rejse calibrate --toml[/bold]
    """
    from rejse.pipelines.calibrate import show

    show(_settings(config), json=json, toml=toml)


@app.command()
def metrics(json: Json = False) -> None:
    """List every metric and kind of friction: formula, unit, range, needed fields.

    Example: [bold]rejse metrics --json[/bold]
    """
    from rejse.pipelines.dictionary import dictionary, text
    from rejse.pipelines.terminal import show_json

    if json:
        show_json(dictionary())
    else:
        print(text())


@app.command()
def sentiment(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="CSV with columns text and label (negative, positive); else the texts that come"
            " with rejse.",
            show_default=False,
        ),
    ] = None,
    language: Annotated[
        str | None, typer.Option("--language", "-l", help="Language of the file, such as da.")
    ] = None,
    config: Config = CONFIG,
    json: Json = False,
) -> None:
    """Say how often each language's scorer of texts is right, on labelled texts.

    Example: [bold]rejse sentiment our_labels.csv --language da[/bold]
    """
    from rejse.pipelines import sentiment as asking
    from rejse.pipelines.terminal import show_json, show_table

    if (file is None) != (language is None):
        raise MisuseError("expected a file and its --language together, or neither")
    scorers = asking.scorers(_settings(config) if asking.is_there(config) else None)
    rows = asking.of_file(scorers, file, language or "") if file else asking.shipped(scorers)
    if json:
        show_json([row.as_dict() for row in rows])
    else:
        show_table(asking.HEAD, [row.cells() for row in rows])
        print("\n".join(asking.notes(rows)))


@app.command("demo-data")
def demo_data(
    folder: Annotated[Path, typer.Argument(help="Folder to write to.")] = Path("demo"),
    customers: Annotated[int, typer.Option(min=1, help="Number of made customers.")] = 20_000,
    seed: Annotated[int, typer.Option(help="Same seed, same data.")] = 7,
    null: Annotated[
        bool, typer.Option("--null", help="All goes well: a run must find no friction at all.")
    ] = False,
    json: Json = False,
) -> None:
    """Write made logs of a made company, with a configuration, to try the program on.

    With [bold]--null[/bold] the company has no friction and no stories, but logs all that the
    detectors need: whatever a run finds in it is a false alarm.

    Example: [bold]rejse demo-data demo && rejse run --config demo --complete[/bold]
    """
    from rejse.pipelines.demo import write
    from rejse.pipelines.demo_specs import MADE, NULL
    from rejse.pipelines.terminal import show_json

    write(folder, customers, seed, stories=not null, company=NULL if null else MADE)
    config = folder / "rejse.toml"
    if json:
        show_json({"config": str(config), "customers": customers, "seed": seed})
    else:
        print(f"wrote {folder}; next: rejse run --config {config} --complete")


def main(args: list[str] | None = None) -> None:
    """Run the command line and leave with its exit code."""
    if args is None:  # a process of our own, not a call from a test or a notebook
        memory.economise()
    # Libraries chat through the root logger; what matters comes as an error or in the result.
    logging.basicConfig(level=logging.ERROR, format="rejse: %(message)s")
    try:
        code = app(args, standalone_mode=False)
    except typer.Abort:
        sys.exit(INTERRUPTED)
    except Exception as fault:
        if hasattr(fault, "format_message"):
            print(usage(fault), file=sys.stderr)
            sys.exit(MISUSE)
        code = code_of(fault)
        if code == FAULT and os.environ.get(TRACEBACK_VARIABLE) == "1":
            raise
        print(said(fault, code), file=sys.stderr)
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
