"""The same work as `rejse run`, as per-event Beam: `python -m tests.bench.rival_beam FOLDER OUT`.

Written as such pipelines are: an element is an event, a customer's events come together through
GroupByKey, loops in Python walk over them (`perevent/`), and every published row is an element.
"""

from __future__ import annotations

import argparse
import logging
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from tests.bench.perevent import intake
from tests.bench.perevent.company import Company
from tests.bench.perevent.intake import Row
from tests.bench.perevent.rows import rows
from tests.bench.perevent.story import tell
from tests.bench.perevent.tables import SCHEMAS


class DropDuplicates(beam.DoFn):  # type: ignore[misc]
    """(customer key, events) -> the same, each id once."""

    def process(self, grouped: tuple[str, Iterable[Row]]) -> Iterator[tuple[str, list[Row]]]:
        customer, events = grouped
        yield customer, intake.without_duplicates(events)


class Pseudonymise(beam.DoFn):  # type: ignore[misc]
    """Event -> (customer key, event without what names the customer)."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def process(self, event: Row) -> Iterator[tuple[str, Row]]:
        yield intake.pseudonymous(self._key, event)


class Tell(beam.DoFn):  # type: ignore[misc]
    """(customer key, events) -> published rows, an output a table."""

    def __init__(self, tables: Path) -> None:
        self._tables = tables

    def setup(self) -> None:
        self._company = Company(self._tables)

    def process(
        self, grouped: tuple[str, list[Row]], frontier: int
    ) -> Iterator[beam.pvalue.TaggedOutput]:
        customer, events = grouped
        story = tell(customer, events, self._company, frontier)
        for table, row in rows(customer, events, story):
            yield beam.pvalue.TaggedOutput(table, row)


def build(pipeline: beam.Pipeline, folder: Path, key: bytes, out: Path) -> None:
    """The graph: read, row rules, pseudonyms, group by customer, tell, write each table."""
    raw = pipeline | "Read" >> beam.io.ReadFromParquet(str(folder / "data" / "*.parquet"))
    frontier = (
        raw
        | "Times" >> beam.Map(lambda row: row["time"])
        | "Latest" >> beam.CombineGlobally(max)
        | "Frontier" >> beam.Map(intake.microseconds)
    )
    found = (
        raw
        | "RowRules" >> beam.Filter(intake.is_accepted)
        | "Canonical" >> beam.Map(intake.canonical)
        | "Pseudonymise" >> beam.ParDo(Pseudonymise(key))
        | "Customers" >> beam.GroupByKey()
        | "Duplicates" >> beam.ParDo(DropDuplicates())
        | "Tell"
        >> beam.ParDo(Tell(folder / "tables"), beam.pvalue.AsSingleton(frontier)).with_outputs(
            *SCHEMAS
        )
    )
    for table, schema in SCHEMAS.items():
        target = beam.io.WriteToParquet(
            str(out / table), schema, codec="zstd", file_name_suffix=".parquet"
        )
        _ = found[table] | f"Write {table}" >> target


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
