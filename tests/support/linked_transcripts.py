"""Transcripts with identity links, as runs over files."""

from __future__ import annotations

import csv
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rejse.pipelines.config.settings import Settings, load
from tests.support import builders, strategies, transcript_links
from tests.support.increments import Arrivals
from tests.support.transcript import Transcript, all_transcripts, links_of

CUSTOMERS = 12
Links = Sequence[Mapping[str, Any]]


def on_devices(seed: int) -> Transcript:
    """A log in which half of all rows bear devices, some of them shared, and links of these."""
    transcript, chance = strategies.many_felt(seed, CUSTOMERS), random.Random(seed)

    def borne(row: Mapping[str, Any]) -> Mapping[str, Any]:
        if chance.random() < 0.5:
            return row
        device = f"{row['customer']}-device" if chance.random() < 0.8 else "shared"
        return {**row, "customer": device, "identitytype": "device"}

    return replace(
        transcript,
        events=tuple(borne(row) for row in transcript.events),
        experience=tuple(borne(row) for row in transcript.experience),
    )


def links(transcript: Transcript, seed: int) -> Links:
    """Links of devices, over e-mails too, and merges of customers; other seeds, other links."""
    chance = random.Random(f"links {seed}")
    names = sorted(
        {event["customer"] for event in transcript.events if "identitytype" not in event}
    )
    times = sorted(builders.moment(event["time"]) for event in transcript.events)
    out: list[Mapping[str, Any]] = []
    for name in names:
        begin, end = sorted(chance.sample(times, 2))
        until = {"until": end.isoformat()} if chance.random() < 0.4 else {}
        owner = chance.choice((name, name, names[0]))
        out += [
            {
                "previous": f"device {name}-device",
                "is": f"email {name}-mail",
                "from": begin.isoformat(),
                **until,
            },
            {"previous": f"email {name}-mail", "is": f"customer {owner}"},
        ]
        if chance.random() < 0.3:
            out.append(
                {"previous": "device shared", "is": f"customer {name}", "from": begin.isoformat()}
            )
        if chance.random() < 0.2:
            out.append({"previous": f"customer {name}", "is": f"customer {chance.choice(names)}"})
    return out


def put_links(folder: Path, transcript: Transcript, links: Links) -> Settings:
    """Put a table of links in place; the settings then."""
    rows = transcript_links.file_rows(links_of([replace(transcript, links=tuple(links))]))
    text = (folder / "rejse.toml").read_text()
    if "identity_links" not in text:
        begin, mark, rest = text.partition("[operational]\n")
        text = f'{begin}{mark}identity_links = "identity_links.csv"\n{rest}'
        (folder / "rejse.toml").write_text(text)
    with (folder / "identity_links.csv").open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return load(folder / "rejse.toml")


def tables_that_differ(expected: dict[str, list[str]], actual: dict[str, list[str]]) -> set[str]:
    return {name for name in expected if expected[name] != actual[name]}


def transcript_named(name: str) -> Transcript:
    return next(log for log in all_transcripts() if log.name == name)


def started_arrivals(folder: Path, transcript: Transcript, links: Links) -> Arrivals:
    arrivals = Arrivals([transcript], folder, 1, "in order")
    arrivals.arrive(0)
    if links:
        arrivals.settings = put_links(folder, transcript, links)
    arrivals.run(is_last=True)
    return arrivals
