"""Options that several commands have, and the configuration that they begin with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rejse.transforms.errors import MisuseError

if TYPE_CHECKING:
    from rejse.pipelines.config.settings import Settings

Config = Annotated[
    Path, typer.Option("--config", "-c", help="Configuration file, or the folder it lies in.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]
AsOf = Annotated[
    str | None,
    typer.Option(
        "--as-of",
        metavar="PUB|TIME",
        help="As it was: a publication's number, or a time such as 2026-03-01T12:00+01:00"
        " (without a zone UTC, a day alone its first instant): the last one at or before it.",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Processes that read and score at most; without it one for each core."
        " A small batch takes one.",
    ),
]
CONFIG = Path("rejse.toml")


def settings_in(config: Path) -> Settings:
    """Return the configuration of a file, or of the folder that holds it. Raises SettingsError."""
    from rejse.pipelines.config.settings import load
    from rejse.pipelines.places import place

    settings = load(config)
    place.of(settings.store).refresh(is_held=False)
    return settings


def duration(option: str, text: str) -> int:
    """Return a duration in microseconds. Raises MisuseError, which names the option."""
    from rejse.transforms.schema import durations

    try:
        return durations.parse(text)
    except ValueError as fault:
        raise MisuseError(f"{option}: {fault}") from None


def connect(
    config: Path,
    as_of: str | None = None,
    publication: int | None = None,
    limits: Any = None,
    *,
    live: bool = False,
) -> Any:
    """Open a read-only session on a publication of the store; the newest by default.

    Args:
        as_of: The publication's number, or a time at which it was current.
        limits: Limits of its queries (`catalogue.Limits`).
        live: With what came since the newest, provisionally.

    Raises NotPublishedError, AsOfError.
    """
    from rejse.pipelines.publication.catalogue import connect as session

    store = settings_in(config).store
    if live:
        from rejse.pipelines.publication import overlay

        return overlay.connect(store, limits)
    if as_of is not None:
        from rejse.pipelines.cli.terminal import say
        from rejse.pipelines.publication import time_travel as naming

        publication = naming.number(store, as_of)
        if naming.is_naive(as_of):
            say(f"--as-of {as_of}: taken as UTC, publication {publication}")
    return session(store, publication, limits)
