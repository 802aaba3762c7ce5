"""Commands that read publications and change nothing: sql, explain, report, status."""

from __future__ import annotations

from dataclasses import asdict
from datetime import MAXYEAR
from json import loads
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rejse.pipelines.cli.options import (
    CONFIG,
    AsOf,
    Config,
    Json,
    connect,
    duration,
    settings_in,
)
from rejse.pipelines.runtime import signals
from rejse.pipelines.store.errors import mend
from rejse.transforms.errors import MisuseError, StoreError

if TYPE_CHECKING:
    from rejse.pipelines.live.status import Attempt, Status
    from rejse.pipelines.live.vitals import Vitals

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
    live: Annotated[
        bool,
        typer.Option("--live", help="With what came since, provisionally (rejse live runs)."),
    ] = False,
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
    if live and (as_of or publication):
        raise MisuseError("--live: expected the newest publication, came an earlier one")
    if (query is None) == (file is None):
        raise MisuseError('expected one query: rejse sql "select ...", or --file query.sql')
    text = asking.text_in(file) if file else str(query)
    session = connect(config, as_of, publication, limits, live=live)
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
    from rejse.pipelines.reporting.explain.journey import explain as explain_journey
    from rejse.pipelines.reporting.explain.lookup import guide

    con = connect(config, as_of)
    if journey is None:
        if json:
            raise MisuseError("--json: expected a journey, came none; take `worst` or an id")
        print(guide(con))
        return
    explanation = explain_journey(con, journey)
    if json:
        show_json(loads(explanation.json()))
    else:
        print(explanation.text())


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


def export(
    out: Annotated[
        Path, typer.Argument(metavar="FILE", help="Its name tells the format: .xes or .jsonocel.")
    ],
    config: Config = CONFIG,
    as_of: AsOf = None,
    json: Json = False,
) -> None:
    """Write the steps of all journeys as a log for process mining: XES, or OCEL 2.0 (JSON).

    Identities are pseudonyms; no text goes out.

    Example: [bold]rejse export journeys.xes.gz[/bold]
    """
    from rejse.pipelines.cli.terminal import show_json
    from rejse.pipelines.reporting.event_log import write
    from rejse.pipelines.runtime import file_modes

    mode = file_modes.file(settings_in(config).store_mode)
    n_events = write(connect(config, as_of), out, mode)
    if json:
        show_json({"file": str(out), "events": n_events})
    else:
        print(f"{out}: {n_events:,} events")


def calibrate(config: Config = CONFIG, json: Json = False, toml: Toml = False) -> None:
    """Propose weights of friction from how journeys ended; it changes nothing.

    Example: [bold]rejse calibrate --toml[/bold]
    """
    from rejse.pipelines.cli.calibration import show

    show(settings_in(config), json=json, toml=toml)


def status(
    config: Config = CONFIG,
    max_age: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="End with code 3 where no run succeeded since."),
    ] = None,
    prometheus: Annotated[
        bool, typer.Option("--prometheus", help="Print measurements in Prometheus' text format.")
    ] = False,
    json: Json = False,
) -> None:
    """Show the state of the store: publication, watermarks and lag, open journeys, what waits.

    Example: [bold]rejse status --max-age 2h[/bold]
    """
    from rejse.pipelines.cli.terminal import show_line
    from rejse.pipelines.live import status as states
    from rejse.pipelines.store import delta_store
    from rejse.transforms.schema.parameters import SECOND

    at_most = None if max_age is None else duration("--max-age", max_age)
    settings = settings_in(config)
    state = states.status(settings, delta_store.now())
    if prometheus:
        from rejse.pipelines.live import metrics

        print(metrics.prometheus(state), end="")
    elif json:
        failed = {"status": StoreError.status, "exit_code": StoreError.exit_code}
        show_line({**asdict(state), **(failed if state.missing else {})})
    else:
        _show_status(state, settings.windows.future // SECOND)
    if state.missing:
        raise typer.Exit(StoreError.exit_code)
    if at_most is not None:
        states.refuse_stale(state, at_most)


def _attempt(attempt: Attempt) -> str:
    from rejse.pipelines.reporting import wording

    at = wording.minute(attempt.ended_at or attempt.started_at)
    from rejse.pipelines.runtime.text_safety import clean

    error = f": {clean(attempt.error)}" if attempt.error else ""
    return f"{attempt.mode} of {at} UTC: {attempt.outcome.replace('_', ' ')}{error}"


def _hot_core(hot: Vitals) -> str:
    took = "nothing arrived in the last minute"
    if hot.p50_s is not None:
        took = f"{hot.steps:,} steps in the last minute, {hot.p50_s:.2f} s ({hot.p99_s:.2f} at p99)"
    return f"provisional rows on publication {hot.base}: {took}"


def _show_status(state: Status, ahead: int) -> None:
    """Print the state of a store; `ahead` are seconds that a watermark may be in the future."""
    from rejse.pipelines.cli.terminal import show_table
    from rejse.pipelines.reporting import wording

    if state.publication is None:
        print("no publication yet: rejse run makes the first one")
    else:
        print(
            f"publication {state.publication} of {wording.minute(state.published_at)} UTC,"
            f" audit {state.audit}"
        )
        lags = [
            (name, wording.minute(at), wording.duration(state.lag_s[name]))
            for name, at in sorted(state.frontiers.items())
        ]
        show_table(("source", "complete until", "lag"), lags)
        for name, at in sorted(state.frontiers.items()):
            if at is not None and at.year < MAXYEAR and (state.lag_s[name] or 0) < -ahead:
                print(
                    f"{name} is complete up to a time that is yet to come: what comes until then is"
                    " late; a --complete-until of that time ends with `rejse run --rebuild`"
                )
        show_table(("table", "rows"), sorted(state.rows.items()))
        for attempt in (state.last_attempt, state.last_failure):
            if attempt is not None and attempt.outcome != "published":
                print(_attempt(attempt))
        if state.failures:
            runs = wording.plural(state.failures, "run")
            print(f"{runs} failed since publication {state.publication}")
        if state.hot_core is not None:
            print(_hot_core(state.hot_core))
        if state.verified is None:
            print("never verified: rejse verify compares every file with what was published")
        else:
            print(
                f"publication {state.verified} verified {wording.minute(state.verified_at)} UTC:"
                f" {state.damaged:,} damaged"
            )
    waiting = [
        (source, partition, "?" if n is None else f"{n:,}")
        for source, of_source in sorted(state.messages_waiting.items())
        for partition, n in sorted(of_source.items())
    ]
    if waiting:
        show_table(("source", "partition", "messages waiting"), waiting)
    for file in state.missing:
        print(f"{file} is gone or cut short: {mend(Path(file))}")
    files = f"files: {state.files_read:,} read, {state.files_waiting:,} new or changed"
    print(files + f", of which {state.files_unfinished:,} seem unfinished")
