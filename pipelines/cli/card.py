"""The command that shows the card of a customer."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from rejse.pipelines.cli.options import CONFIG, Config, Json, settings_in

Identity = Annotated[
    str,
    typer.Argument(
        metavar="[TYPE:]IDENTITY",
        help="Of type customer if none is named, or a pseudonym; - reads a line of standard input,"
        " so that no shell remembers it.",
    ),
]


def card(identity: Identity, config: Config = CONFIG, json: Json = False) -> None:
    """Show what whoever takes the next contact with a customer should know.

    Open journeys, what was said already and which system has it, promises, what waits, how they
    felt, friction, and what to do and not to do; provisional rows of [bold]rejse live[/bold] too.
    Names of fields, never values.

    Example: [bold]rejse card C1042[/bold]
    """
    from rejse.pipelines.cli import terminal
    from rejse.pipelines.reporting.card.lookup import Cards

    name = sys.stdin.readline().rstrip("\n") if identity == "-" else identity
    answer = Cards(settings_in(config)).of(name)
    if json:
        terminal.show_json(answer.fields())
    else:
        print(terminal.visible(answer.text(), "\n"), end="")
