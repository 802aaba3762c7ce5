"""A part of the work as per-event Beam: `python -m tests.bench.rival_beam FOLDER OUT`.

Written as such pipelines are: an element is an event, a customer's events come together through
GroupByKey, and a loop in Python walks over them (`story.py`). `WORK.md` says which families.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import json
import logging
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.options.pipeline_options import PipelineOptions

from rejse.transforms.schema import ACTOR_TYPES, CHANNELS, DIRECTIONS
from tests.bench import story

NEEDED = ("id", "time", "identity", "activity", "channel", "direction", "actor_type")
JOURNEYS = pa.schema(
    {
        "customer_key": pa.string(), "journey_type": pa.string(), "first_event": pa.string(),
        "n_events": pa.int64(), "n_steps": pa.int64(), "n_sessions": pa.int64(),
        "n_evidence": pa.int64(), "friction_hazard": pa.float64(), "friction_score": pa.float64(),
    }
)  # fmt: skip


class Parse(beam.DoFn):  # type: ignore[misc]
    """Raw rows -> (customer key, event), leaving out rows that break a rule."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def process(self, row: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        if any(row[name] is None for name in NEEDED):
            return
        known = row["direction"] in DIRECTIONS and row["actor_type"] in ACTOR_TYPES
        if not known or (row["wait_s"] or 0) < 0 or (row["talk_s"] or 0) < 0:
            return
        said = f"customer:{row['identity']}".encode()
        customer = hmac.new(self._key, said, hashlib.sha256).hexdigest()[:32]
        event = {name: value for name, value in row.items() if name != "identity"}
        event["id"] = str(row["id"])
        event["channel"] = row["channel"] if row["channel"] in CHANNELS else "other"
        for item in event["info"] or ():
            if item["answer"] is not None:
                said = f"{item['name']}\x1f{item['answer']}".encode()
                item["answer"] = hmac.new(self._key, said, hashlib.sha256).hexdigest()[:16]
        yield customer, event


class Score(beam.DoFn):  # type: ignore[misc]
    """(customer key, events) -> journeys; the output `totals` has (name, n)."""

    def __init__(self, tables: Path) -> None:
        self._tables = tables

    def setup(self) -> None:
        self._company = story.Company.read(self._tables)

    def process(
        self, grouped: tuple[str, Iterable[dict[str, Any]]], frontier: Any
    ) -> Iterator[Any]:
        customer, events = grouped
        once = {event["id"]: event for event in events}  # the log has no `recordedtime`
        for journey in story.tell(list(once.values()), self._company, frontier):
            yield {"customer_key": customer, **journey.row()}
            for name, n in journey.totals().items():
                yield beam.pvalue.TaggedOutput("totals", (name, n))


def build(pipeline: beam.Pipeline, folder: Path, key: bytes, out: Path) -> None:
    """The graph: read, parse, group by customer, score, write."""
    rows = pipeline | beam.io.ReadFromParquet(str(folder / "data" / "*.parquet"))
    frontier = rows | "Time" >> beam.Map(lambda row: row["time"]) | beam.CombineGlobally(max)
    scored = (
        rows
        | beam.ParDo(Parse(key))
        | beam.GroupByKey()
        | beam.ParDo(Score(folder / "tables"), beam.pvalue.AsSingleton(frontier)).with_outputs(
            "totals", main="journeys"
        )
    )
    _ = scored.journeys | beam.io.WriteToParquet(str(out / "journeys"), JOURNEYS)
    _ = (
        scored.totals
        | beam.CombinePerKey(sum)
        | beam.combiners.ToDict()
        | beam.Map(json.dumps)
        | beam.io.WriteToText(str(out / "totals.json"), shard_name_template="")
    )


def main() -> None:
    """Run the pipeline and wait for it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    said = parser.parse_args()
    logging.getLogger("apache_beam").setLevel(logging.ERROR)
    said.out.mkdir(parents=True, exist_ok=True)
    toml = tomllib.loads((said.folder / "rejse.toml").read_text(encoding="utf-8"))
    text = (said.folder / toml["key_file"]).read_text(encoding="ascii")
    with beam.Pipeline(options=PipelineOptions(["--runner", "FnApiRunner"])) as pipeline:
        build(pipeline, said.folder, bytes.fromhex(text.strip()), said.out)


if __name__ == "__main__":
    main()
