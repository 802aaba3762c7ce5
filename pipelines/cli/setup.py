"""Commands to begin with: look at your logs, or write synthetic ones to try."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rejse.pipelines.cli.options import CONFIG, Config, Json, settings_in


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
    from rejse.pipelines.cli.terminal import show_json
    from rejse.pipelines.onboarding import scaffold as first

    looks = first.begin(files, folder, name)
    if json:
        show_json(first.as_dict(folder, looks))
    else:
        print("\n".join(first.summary(folder, looks)))


def check(config: Config = CONFIG, json: Json = False) -> None:
    """Read a sample and say what is there, what is missing and what one more column would add.

    Example: [bold]rejse check[/bold]
    """
    from rejse.pipelines.cli.terminal import show_json
    from rejse.pipelines.onboarding.check import check as look

    checked = look(settings_in(config))
    if json:
        show_json(checked.as_dict())
    else:
        print(checked.text())
    if checked.exit_code:
        raise typer.Exit(checked.exit_code)


def demo_data(
    folder: Annotated[Path, typer.Argument(help="Folder to write to.")] = Path("demo"),
    customers: Annotated[int, typer.Option(min=1, help="Number of made customers.")] = 20_000,
    seed: Annotated[int, typer.Option(help="Same seed, same data.")] = 7,
    null: Annotated[
        bool, typer.Option("--null", help="All goes well: a run must find no friction at all.")
    ] = False,
    json: Json = False,
) -> None:
    """Write logs of a synthetic company, with a configuration, to try the program on.

    With [bold]--null[/bold] the company has no friction and no stories, but logs all that the
    detectors need: whatever a run finds in it is a false alarm.

    Example: [bold]rejse demo-data demo && rejse run --config demo --complete[/bold]
    """
    from rejse.pipelines.cli.terminal import show_json
    from rejse.pipelines.demo.specs import MADE, NULL
    from rejse.pipelines.demo.write import write

    write(folder, customers, seed, stories=not null, company=NULL if null else MADE)
    config = folder / "rejse.toml"
    if json:
        show_json({"config": str(config), "customers": customers, "seed": seed})
    else:
        print(f"wrote {folder}; next: rejse run --config {config} --complete")
