"""Options that several commands have, and what they all begin with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rejse.pipelines.settings import Settings

Config = Annotated[
    Path, typer.Option("--config", "-c", help="Configuration file, or the folder it lies in.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]
CONFIG = Path("rejse.toml")


class MisuseError(Exception):
    """The command cannot do what was asked; the message says what it expects."""


def settings_in(config: Path) -> Settings:
    """The configuration in a file, or in the folder where it lies. Raises SettingsError."""
    from rejse.pipelines.settings import load

    return load(config)


def connect(config: Path, publication: int | None = None) -> Any:
    """A sealed session on a publication of the configuration's store; the newest by default."""
    from rejse.pipelines.catalogue import connect as session

    return session(settings_in(config).store, publication)
