"""The command that explains why identities are one person."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from rejse.pipelines.cli.options import CONFIG, Config, Json, settings_in

Identity = Annotated[
    str | None,
    typer.Argument(help="TYPE:IDENTITY (or a customer's), or a pseudonym.", show_default=False),
]


def identity(
    first: Identity = None, other: Identity = None, config: Config = CONFIG, json: Json = False
) -> None:
    """Explain by which links identities are one person; without one list suspicious links.

    An identity given in the clear is hashed and never shown: only pseudonyms are.

    Example: [bold]rejse identity cookie:f81d4fae C1042[/bold]
    """
    from rejse.pipelines.cli import terminal
    from rejse.pipelines.reporting import identity_links

    asking = identity_links.Asking(settings_in(config))
    if first is None:
        suspicions = asking.suspicions()
        if json:
            terminal.show_json([vars(suspicion) for suspicion in suspicions])
        elif suspicions:
            rows = [(s.kind, f"{s.identity_type} {s.identity_key}", s.n) for s in suspicions]
            terminal.show_table(("what", "identity", "n"), rows)
        print(f"{len(suspicions):,} suspicious of {asking.n_links:,} links") if not json else None
        return
    answer = asking.person(first, other)
    if json:
        terminal.show_json(answer.as_dict())
    else:
        _show(answer)


def _show(answer: Any) -> None:
    from rejse.pipelines.cli import terminal

    terminal.show_table(("from", "until", "person", "by"), answer.turns, "whose it was, and is")
    terminal.show_table(("identity", "events", "by"), answer.members, "now one person")
    for line in answer.verdict:
        print(line)
