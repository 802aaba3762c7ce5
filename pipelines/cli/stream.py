"""The command that scores topics on a cluster as they grow."""

from __future__ import annotations

from typing import Annotated

import typer

from rejse.pipelines.cli.options import CONFIG, Config, settings_in
from rejse.transforms.errors import MisuseError


def stream(
    context: typer.Context,
    servers: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Brokers of the topics that are written.")
    ],
    config: Config = CONFIG,
    live_rows: Annotated[
        str, typer.Option("--live-rows", metavar="TOPIC", help="Topic of live rows.")
    ] = "rejse.live",
    alerts: Annotated[
        str | None,
        typer.Option(metavar="TOPIC", help="Topic of alerts; without it they are not written."),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="Option of librdkafka for writing; secrets as ${NAME} of the environment.",
        ),
    ] = None,
    groups: Annotated[
        int,
        typer.Option(min=1, max=4096, help="Groups of customers: so many workers score at once."),
    ] = 16,
    to_end: Annotated[
        bool, typer.Option("--to-end", help="Read what the topics hold now, and end.")
    ] = False,
) -> None:
    """Score topics as they grow, on a runner of Beam, and write live rows to topics.

    It begins with what the last publication has not read, and writes no store. What follows -- goes
    to Beam. Where one machine is enough, [bold]rejse live[/bold] does the same sooner.

    Example: [bold]rejse stream --servers broker:9092 --alerts rejse.alerts --
    --runner=PortableRunner --job_endpoint=jobs:8099 --environment_type=EXTERNAL
    --environment_config=localhost:50000 --parallelism=4[/bold]
    """
    if not context.args or not context.args[0].startswith("-"):
        raise MisuseError(
            "expected Beam's options after --, such as: -- --runner=PortableRunner"
            " --job_endpoint=HOST:PORT; see docs/operate/stream.md"
        )
    pairs = [text.partition("=") for text in option or ()]
    if wrong := [name for name, equals, _ in pairs if not equals]:
        raise MisuseError(f"--option: expected NAME=VALUE, came {wrong[0]!r}")
    settings = settings_in(config)
    from rejse.pipelines.live.stream_service import Stream

    Stream(
        config.resolve(), servers, live_rows, alerts,
        {name: value for name, _, value in pairs}, groups, to_end,
    ).run(settings, context.args)  # fmt: skip
