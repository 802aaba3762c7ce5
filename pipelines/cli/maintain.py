"""Commands that maintain the store: compact, vacuum, verify, erase a person, compare."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rejse.pipelines.cli.options import CONFIG, Config, Json, settings_in
from rejse.pipelines.store.errors import mend
from rejse.transforms.errors import DataError, MisuseError, StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rejse.pipelines.config.settings import Settings

MEGABYTE = 1_000_000


def compact(config: Config = CONFIG, json: Json = False) -> None:
    """Join small files and leave out rows past their retention: a new publication, fewer files.

    Earlier publications stay readable until [bold]rejse vacuum[/bold] removes what only they need.

    Example: [bold]rejse compact[/bold]
    """
    from rejse.pipelines.cli.terminal import show_line, show_table
    from rejse.pipelines.maintenance import compact as compaction
    from rejse.pipelines.store import delta_store as store

    settings = settings_in(config)
    done = compaction.compact(settings.store, settings.retention.since(store.now()))
    if json:
        tables = {name: vars(table) for name, table in done.tables.items()}
        show_line({
            "status": done.status, "exit_code": 0, "publication": done.publication,
            "tables": tables,
        })  # fmt: skip
        return
    if done.status == "nothing_new":
        print(f"nothing to join or leave out: publication {done.publication} stays")
        return
    rows = [
        (name, table.files_before, table.files_after, table.rows_dropped)
        for name, table in sorted(done.tables.items())
    ]
    show_table(("table", "files before", "files after", "rows left out"), rows)
    print(f"published publication {done.publication}")


def verify(config: Config = CONFIG, json: Json = False) -> None:
    """Compare every file of the store with what was published: size, checksum, rows, views.

    What is damaged or gone is named, and the exit code is then 74. Nothing is changed.

    Example: [bold]rejse verify[/bold]
    """
    from rejse.pipelines.cli import terminal
    from rejse.pipelines.maintenance import verify as verifying
    from rejse.pipelines.store import delta_store as store

    place = settings_in(config).store
    with terminal.progress("looking at the store") as progress:
        verified = verifying.verify(place, store.now(), progress)
    if json:
        terminal.show_line(verifying.as_dict(verified))
    else:
        if verified.damaged:
            rows = [(file.place, file.problem, mend(Path(file.place))) for file in verified.damaged]
            terminal.show_table(("damaged", "what came", "what to do"), rows, limit=None)
        print(
            f"publication {verified.publication}: {verified.files:,} files, {verified.rows:,} rows,"
            f" {verified.bytes / MEGABYTE:,.1f} MB, {verified.views:,} views;"
            f" {len(verified.damaged):,} damaged"
        )
        if verified.without_checksum:
            print(
                f"{verified.without_checksum:,} files are of an earlier version, without a"
                " checksum: they have their size and can be read"
            )
    if not verified.is_noted:
        terminal.say("the store cannot be written, so that status does not tell of it")
    if verified.damaged:
        raise typer.Exit(StoreError.exit_code)


def audit(
    config: Config = CONFIG,
    docs: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Write Data Docs there, a page a table."),
    ] = None,
    json: Json = False,
) -> None:
    """Validate every rule on what is published, by Great Expectations.

    A run decides by the same rules, faster; this shows each. Broken ones are named with some of
    their rows, and the exit code is 1 where one is critical. Nothing is changed.

    Example: [bold]rejse audit --docs data-docs[/bold]
    """
    from rejse.pipelines.cli import terminal
    from rejse.pipelines.publication import audit as auditing
    from rejse.pipelines.publication import catalogue, publish
    from rejse.pipelines.store import delta_store as store

    place = settings_in(config).store
    publication = store.latest(place)
    if publication is None:
        raise catalogue.none_published(place)
    with terminal.progress("validating the rules"):
        files = publish.files_of(place, publication)
        findings, n_rules = auditing.published(place, files, docs)
    is_failed = any(finding.severity == "critical" for finding in findings)
    code = DataError.exit_code if is_failed else 0
    if json:
        status = "failed" if is_failed else ("warned" if findings else "passed")
        terminal.show_line({
            "status": status, "exit_code": code, "publication": publication.number,
            "n_rules": n_rules, "findings": [vars(finding) for finding in findings],
            "docs": None if docs is None else str(docs),
        })  # fmt: skip
    else:
        for finding in findings:
            print(finding)
        print(
            f"publication {publication.number}: {n_rules - len(findings):,} of {n_rules:,} rules"
            " hold" + (f"; Data Docs are in {docs}" if docs else "")
        )
    if code:
        raise typer.Exit(code)


def vacuum(
    config: Config = CONFIG,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be removed.")
    ] = False,
    json: Json = False,
) -> None:
    """Remove what only expired publications need; the current one never expires.

    How long one can be read after the next says retention.publications (30 days).

    Example: [bold]rejse vacuum --dry-run[/bold]
    """
    from rejse.pipelines.cli.terminal import show_line, show_table
    from rejse.pipelines.maintenance import vacuum as cleaning
    from rejse.pipelines.store import delta_store as store

    settings = settings_in(config)
    keep_for = settings.retention.publications
    done = cleaning.vacuum(settings.store, keep_for, store.now(), dry_run=dry_run)
    if json:
        status = "dry_run" if dry_run else ("removed" if done.files else "nothing_new")
        show_line({"status": status, "exit_code": 0, **vars(done)})
        return
    kept = f"publication {done.kept[0]}" + (f" to {done.kept[-1]}" if len(done.kept) > 1 else "")
    if not done.files:
        print(f"nothing to remove: {kept} can be read")
        return
    show_table(("what", "files"), list(done.by_table.items()))
    does = "would be removed" if dry_run else "removed"
    print(f"{len(done.files):,} files, {done.bytes / MEGABYTE:,.1f} MB {does}; {kept} can be read")


def forget(
    identity: Annotated[
        str,
        typer.Argument(
            metavar="[TYPE:]IDENTITY",
            help="In any spelling of a mail address or whole number, else as the mapping gives it;"
            " of type customer if none is named; - reads a line of standard input, so that no"
            " shell remembers it.",
        ),
    ],
    config: Config = CONFIG,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: Json = False,
) -> None:
    """Erase one person for good: rows, texts, rejects, reports, and all earlier publications.

    It cannot be undone, and cuts off whoever reads an earlier publication. Others keep every
    value. Rows of the person that come again are counted as erased and not kept.

    Example: [bold]rejse forget customer:C1[/bold]
    """
    from rejse.pipelines.cli import terminal
    from rejse.pipelines.maintenance import erase as erasing

    settings = settings_in(config)
    kind, name = _person(sys.stdin.readline().rstrip("\n") if identity == "-" else identity)
    if not yes:
        _confirm(identity == "-" or json)
    done = erasing.forget(settings, kind, name)
    if json:
        terminal.show_line({"exit_code": 0, **vars(done)})
        return
    if done.status == "already_erased":
        print("it was erased before; nothing of it has come since")
    else:
        terminal.show_table(("table", "rows removed"), sorted(done.rows.items()))
        if not (done.rows or done.quarantined or done.archived or done.reports):
            print("nothing of it was found: look at its type and spelling; it stays erased")
    for report in done.reports:
        print(f"deleted {report}: it showed a journey of this person; make it again")
    print(
        f"receipt {done.tombstone}: {sum(done.rows.values()):,} rows,"
        f" {done.quarantined:,} refused rows in quarantine, {done.archived:,} messages in the"
        f" archive, {done.files:,} files of earlier publications; without it from publication"
        f" {done.publication} on"
    )


def _person(text: str) -> tuple[str, str]:
    """Return type and identity of `[TYPE:]IDENTITY`. Raises MisuseError where there is none."""
    from rejse.transforms.schema.contract import IDENTITY_TYPES

    kind, colon, name = text.partition(":")
    if not colon or kind not in IDENTITY_TYPES:
        kind, name = "customer", text
    if not name.strip():
        raise MisuseError("expected an identity, such as customer:C1, came none")
    return kind, name


def _confirm(is_silent: bool) -> None:
    """Ask on a terminal; elsewhere --yes must have been given. Raises MisuseError, Abort."""
    if is_silent or not sys.stdin.isatty():
        raise MisuseError("expected --yes: an erasure cannot be undone, and nobody can be asked")
    typer.confirm("Erase this person from the store and all its publications for good?", abort=True)


def diff(
    older: Annotated[
        str | None,
        typer.Argument(help="A publication's number, or a time.", show_default=False),
    ] = None,
    newer: Annotated[
        str | None,
        typer.Argument(help="The other one; else the newest.", show_default=False),
    ] = None,
    config: Config = CONFIG,
    base: Annotated[
        Path, typer.Option("--base", help="Without publications: what --config is compared with.")
    ] = CONFIG,
    journeys: Annotated[
        bool, typer.Option("--journeys", help="List every journey, not their number.")
    ] = False,
    json: Json = False,
) -> None:
    """Which journeys changed band between two publications, by cause.

    Without publications the newest one is compared with what another configuration makes of the
    same events, in a store that is gone afterwards.

    Example: [bold]rejse diff 3 5[/bold], [bold]rejse diff --config other.toml[/bold]
    """
    from rejse.pipelines.cli import terminal

    difference = _between(config, older, newer) if older else _configurations(config, base)
    if json:
        terminal.show_json(difference.as_dict())
        return
    if journeys:
        terminal.show_table(difference.COLUMNS, difference.rows)
    elif difference.rows:
        terminal.show_table(("cause", "before", "after", "journeys"), difference.counted())
    for note in difference.notes:
        terminal.say(note)
    n = len(difference.rows)
    print(
        f"{n:,} of {difference.n_journeys:,} journeys changed band:"
        f" {difference.older} to {difference.newer}"
    )


def _between(config: Path, older: str, newer: str | None) -> Any:
    from rejse.pipelines.maintenance import diff as compare
    from rejse.pipelines.publication import catalogue, time_travel

    store = settings_in(config).store
    newest = catalogue.current(store)
    last = time_travel.number(store, newer or str(newest or 1))
    return compare.publications(store, time_travel.number(store, older), last)


def _configurations(config: Path, base: Path) -> Any:
    from rejse.pipelines.cli import terminal
    from rejse.pipelines.maintenance import diff as compare

    settings, other = settings_in(base), settings_in(config)
    if settings == other:
        raise MisuseError(
            f"expected two publications, or --config with another configuration than {base};"
            " came neither"
        )
    from rejse.pipelines.jobs.request import RunRequest
    from rejse.pipelines.jobs.run import run

    with terminal.progress("reading the configuration") as progress:

        def publish(scratch: Settings, complete_until: Mapping[str, int]) -> None:
            run(scratch, RunRequest(complete_until=complete_until, audit=None), progress)

        return compare.configurations(settings, other, publish)
