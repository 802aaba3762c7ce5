"""Commands about how rejse measures; they need no store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rejse.pipelines.cli.options import CONFIG, Config, Json, settings_in
from rejse.transforms.errors import MisuseError


def metrics(json: Json = False) -> None:
    """List every metric and kind of friction: formula, unit, range, needed fields.

    Example: [bold]rejse metrics --json[/bold]
    """
    from rejse.pipelines.cli.terminal import show_json
    from rejse.pipelines.publication.metric_dictionary import dictionary, text

    if json:
        show_json(dictionary())
    else:
        print(text())


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
        str | None, typer.Option("--language", "-l", help="Language of the file, such as en.")
    ] = None,
    config: Config = CONFIG,
    json: Json = False,
) -> None:
    """Say how often each language's scorer of texts is right, on labelled texts.

    Example: [bold]rejse sentiment our_labels.csv --language en[/bold]
    """
    from rejse.pipelines.cli.terminal import show_json, show_table
    from rejse.pipelines.reporting import sentiment_accuracy as asking

    if (file is None) != (language is None):
        raise MisuseError("expected a file and its --language together, or neither")
    scorers = asking.scorers(settings_in(config) if asking.is_there(config) else None)
    rows = asking.of_file(scorers, file, language or "") if file else asking.shipped(scorers)
    if json:
        show_json([row.as_dict() for row in rows])
    else:
        show_table(asking.HEAD, [row.cells() for row in rows])
        print("\n".join(asking.notes(rows)))
