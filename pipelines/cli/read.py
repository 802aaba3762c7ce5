"""Commands that read what is published, and change nothing."""

from __future__ import annotations

from datetime import MAXYEAR
from json import loads
from pathlib import Path
from typing import Annotated, Any

import typer

from rejse.pipelines.cli.options import (
    CONFIG,
    AsOf,
    Config,
    Json,
    connect,
    settings_in,
)
from rejse.pipelines.runtime import signals
from rejse.pipelines.store.errors import mend
from rejse.transforms.errors import MisuseError, StoreError

Toml = Annotated[bool, typer.Option("--toml", help="Print a [weights] block to paste.")]


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
    as_of: AsOf = None,
    json: Json = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    guard: Annotated[
        bool,
        typer.Option("--guard", help="With --csv: put ' before cells a spreadsheet would execute."),
    ] = False,
    timeout: Annotated[
        str | None, typer.Option("--timeout", help="Longest time it may take; else 10min.")
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option("--memory", help="Memory it may take, such as 8GB; else 25% of the machine."),
    ] = None,
    spill: Annotated[
        str | None,
        typer.Option("--spill", help="Room on disk for what memory cannot hold; else 10GB."),
    ] = None,
) -> None:
    """Ask the published tables; the session is read-only and cannot leave the store.

    Example: [bold]rejse sql "select kind, count(*) from v_friction_evidence group by all"[/bold]
    """
    from rejse.pipelines.cli import terminal
    from rejse.pipelines.publication import query as asking

    limits = asking.limits(timeout, memory, spill)

    if json and csv:
        raise MisuseError("expected --json or --csv, came both")
    if guard and not csv:
        raise MisuseError("--guard: expected --csv with it; nothing else opens in a spreadsheet")
    if as_of and publication:
        raise MisuseError("expected --as-of or --publication, came both")
    if (query is None) == (file is None):
        raise MisuseError('expected one query: rejse sql "select ...", or --file query.sql')
    text = asking.text_in(file) if file else str(query)
    session = connect(config, as_of, publication, limits)
    if signals.is_ours():
        asking.cap_memory(session)
    columns, rows = asking.answer(session, text, limits.seconds)
    if json:
        terminal.show_json(asking.with_names(columns, rows))
    elif csv:
        guarded = terminal.show_csv(columns, rows, guard)
        if guard:
            terminal.say(f"{guarded} cells begin with an added apostrophe (--guard)")
    else:
        terminal.show_table(columns, rows)


def explain(
    journey: Annotated[
        str | None,
        typer.Argument(
            help="A journey_id or its first digits, a case_id, or worst; without it a list.",
            show_default=False,
        ),
    ] = None,
    config: Config = CONFIG,
    as_of: AsOf = None,
    json: Json = False,
) -> None:
    """Tell one journey step by step, with each piece of friction and what it costs the score.

    Example: [bold]rejse explain worst[/bold]
    """
    from rejse.pipelines.cli.terminal import show_json
    from rejse.pipelines.reporting.explain.journey import explain as tell
    from rejse.pipelines.reporting.explain.lookup import guide

    con = connect(config, as_of)
    if journey is None:
        if json:
            raise MisuseError("--json: expected a journey, came none; take `worst` or an id")
        print(guide(con))
        return
    told = tell(con, journey)
    if json:
        show_json(loads(told.json()))
    else:
        print(told.text())


def report(
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write.")] = Path("report.html"),
    config: Config = CONFIG,
    as_of: AsOf = None,
    json: Json = False,
) -> None:
    """Write the report: one HTML page that needs no network.

    Example: [bold]rejse report --out report.html[/bold]
    """
    from rejse.pipelines.cli.terminal import show_json
    from rejse.pipelines.reporting.html.page import write
    from rejse.pipelines.runtime import file_modes

    mode = file_modes.file(settings_in(config).store_mode)
    written = write(connect(config, as_of), out, mode=mode)
    if json:
        show_json({"report": str(written)})
    else:
        print(written)


def calibrate(config: Config = CONFIG, json: Json = False, toml: Toml = False) -> None:
    """Propose weights of friction from how journeys ended; it changes nothing.

    Example: [bold]rejse calibrate --toml[/bold]
    """
    from rejse.pipelines.reporting.calibrate import show

    show(settings_in(config), json=json, toml=toml)


def status(config: Config = CONFIG, json: Json = False) -> None:
    """How the store stands: publication, frontiers and their lag, open journeys, what waits.

    Example: [bold]rejse status[/bold]
    """
    from rejse.pipelines.cli.terminal import show_line
    from rejse.pipelines.jobs import status as standing
    from rejse.pipelines.store import delta_store
    from rejse.transforms.schema.parameters import SECOND

    settings = settings_in(config)
    found = standing.status(settings, delta_store.now())
    if json:
        failed = {"status": StoreError.status, "exit_code": StoreError.exit_code}
        show_line({**vars(found), **(failed if found.missing else {})})
    else:
        _show_status(found, settings.windows.future // SECOND)
    if found.missing:
        raise typer.Exit(StoreError.exit_code)


def _show_status(found: Any, ahead: int) -> None:
    from rejse.pipelines.cli.terminal import show_table
    from rejse.pipelines.reporting import wording

    if found.publication is None:
        print("no publication yet: rejse run makes the first one")
    else:
        print(
            f"publication {found.publication} of {wording.minute(found.published_at)} UTC,"
            f" audit {found.audit}"
        )
        lags = [
            (name, wording.minute(at), wording.duration(found.lag_s[name]))
            for name, at in sorted(found.frontiers.items())
        ]
        show_table(("source", "complete until", "lag"), lags)
        for name, at in sorted(found.frontiers.items()):
            if at is not None and at.year < MAXYEAR and (found.lag_s[name] or 0) < -ahead:
                print(
                    f"{name} is complete up to a time that is yet to come: what comes until then is"
                    " late; a frontier that was stated so ends with `rejse run --rebuild`"
                )
        show_table(("table", "rows"), sorted(found.rows.items()))
        if found.verified is None:
            print("never verified: rejse verify compares every file with what was published")
        else:
            print(
                f"publication {found.verified} verified {wording.minute(found.verified_at)} UTC:"
                f" {found.damaged:,} damaged"
            )
    for file in found.missing:
        print(f"{file} is gone or cut short: {mend(Path(file))}")
    files = f"files: {found.files_read:,} read, {found.files_waiting:,} new or changed"
    print(files + f", of which {found.files_unfinished:,} seem unfinished")
