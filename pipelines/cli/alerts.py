"""The command of alerts: list what is open, import what people did about it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rejse.pipelines.cli.exit_codes import DATA_FAILED
from rejse.pipelines.cli.options import CONFIG, Config, Json, settings_in
from rejse.transforms.errors import MisuseError

if TYPE_CHECKING:
    from rejse.transforms.alerts.ledger import Alert

IMPORT = "import"


def alerts(
    action: Annotated[
        str | None,
        typer.Argument(help="import; without it open alerts are listed.", show_default=False),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Argument(
            help="CSV or JSON lines: key, status (acknowledged or closed), at, by, is_true.",
            show_default=False,
        ),
    ] = None,
    config: Config = CONFIG,
    json: Json = False,
) -> None:
    """List open alerts, the newest first; or import who took up or closed which.

    Rows of an import that cannot be taken are listed with their line and reason; the exit code then
    is 1, and all other rows are taken.

    Example: [bold]rejse alerts[/bold], [bold]rejse alerts import done.csv[/bold]
    """
    store = settings_in(config).store
    if action is None:
        _list(store, json)
    elif action == IMPORT and file is not None:
        _import(store, file, json)
    else:
        raise MisuseError(f"expected nothing, or import FILE, came {action}")


def _list(store: Path, json: bool) -> None:
    from rejse.pipelines.cli import terminal
    from rejse.pipelines.reporting import wording
    from rejse.pipelines.store.alert_ledger import Ledger
    from rejse.pipelines.store.delta_store import now

    standing = [alert for alert in Ledger(store).alerts().values() if alert.is_standing]
    standing.sort(key=lambda alert: (-alert.fired_at, alert.key))
    if json:
        terminal.show_json([_as_dict(alert) for alert in standing])
        return
    clock = now()
    rows = [
        (
            alert.key, alert.severity, alert.rule, alert.owner,
            wording.duration((clock - alert.fired_at) / 1_000_000),
            alert.acknowledged_by, alert.journey_id, alert.reason,
        )
        for alert in standing
    ]  # fmt: skip
    columns = ("key", "severity", "rule", "owner", "open for", "taken up by", "journey", "reason")
    terminal.show_table(columns, rows)


def _as_dict(alert: Alert) -> dict[str, object]:
    from rejse.pipelines.alerts.messages import iso
    from rejse.transforms.alerts.ledger import FACTS

    facts: dict[str, object] = {name: getattr(alert, name) for name in ("key", *FACTS)}
    taken = alert.acknowledged_at
    return {
        **facts,
        "fired_at": iso(alert.fired_at),
        "acknowledged_at": None if taken is None else iso(taken),
        "acknowledged_by": alert.acknowledged_by,
        "is_delivered": alert.first_delivered_at is not None,
    }


def _import(store: Path, file: Path, json: bool) -> None:
    from rejse.pipelines.alerts.import_outcomes import import_outcomes
    from rejse.pipelines.cli import terminal

    done = import_outcomes(store, file)
    code = DATA_FAILED if done.rejects else 0
    if json:
        terminal.show_line({**vars(done), "exit_code": code})
    else:
        print(
            f"{done.acknowledged:,} taken up, {done.closed:,} closed, {done.unchanged:,} as before,"
            f" {len(done.rejects):,} rejected"
        )
        if done.rejects:
            terminal.show_table(("line", "rejected because"), done.rejects, limit=None)
    if code:
        raise typer.Exit(code)
