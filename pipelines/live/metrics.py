"""The state of a store as measurements: Prometheus' text, and OpenTelemetry's gauges."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from rejse.pipelines.live.status import Status

#: Values of a measurement by its labels; one without a value is left out: null is not zero.
Values = Iterable[tuple[Mapping[str, str], float | None]]


@dataclass(frozen=True)
class Measure:
    """A measurement of a store.

    Attributes:
        name: Prometheus' name, with the unit at its end.
        unit: Unit of OpenTelemetry (UCUM).
        about: One sentence.
        values: What a status says of it.
    """

    name: str
    unit: str
    about: str
    values: Callable[[Status], Values]


def _single(value: Callable[[Status], float | None]) -> Callable[[Status], Values]:
    return lambda status: [({}, value(status))]


def _hot_steps(status: Status) -> Values:
    hot = status.hot_core
    pairs = [] if hot is None else [("0.5", hot.p50_s), ("0.99", hot.p99_s)]
    return [({"quantile": quantile}, seconds) for quantile, seconds in pairs]


MEASURES = (
    Measure("rejse_publication", "1", "Number of the publication.",
            _single(lambda s: s.publication)),
    Measure("rejse_publication_age_seconds", "s",
            "Seconds since a run last published or saw that there is nothing new.",
            _single(lambda s: s.age_s)),
    Measure("rejse_failed_runs", "1", "Runs that failed since the publication.",
            _single(lambda s: s.failures)),
    Measure("rejse_source_lag_seconds", "s", "Seconds from a source's watermark to now.",
            lambda s: [({"source": name}, lag) for name, lag in sorted(s.lag_s.items())]),
    Measure("rejse_messages_waiting", "1", "Offsets of a partition that were not read yet.",
            lambda s: [({"source": name, "partition": partition}, n)
                       for name, of_source in sorted(s.messages_waiting.items())
                       for partition, n in sorted(of_source.items())]),
    Measure("rejse_files_waiting", "1", "Files that are new or have changed.",
            _single(lambda s: s.files_waiting)),
    Measure("rejse_files_unfinished", "1", "Those of them that seem to be still written.",
            _single(lambda s: s.files_unfinished)),
    Measure("rejse_files_missing", "1", "Files of the publication that are gone or cut short.",
            _single(lambda s: len(s.missing))),
    Measure("rejse_rows", "1", "Rows of a table of the publication.",
            lambda s: [({"table": name}, n) for name, n in sorted(s.rows.items())]),
    Measure("rejse_hot_core_up", "1", "Whether a hot core runs: 1 or 0.",
            _single(lambda s: float(s.hot_core is not None))),
    Measure("rejse_hot_core_step_seconds", "s",
            "Seconds from a look to the rows' sight, of the last minute.", _hot_steps),
)  # fmt: skip


def prometheus(status: Status) -> str:
    """Return the state of a store in Prometheus' text format, version 0.0.4."""
    return "".join(f"{line}\n" for measure in MEASURES for line in _lines(measure, status))


def _lines(measure: Measure, status: Status) -> Iterator[str]:
    yield f"# HELP {measure.name} {measure.about}"
    yield f"# TYPE {measure.name} gauge"
    for labels, value in measure.values(status):
        if value is not None:
            pairs = ",".join(f'{name}="{_escaped(text)}"' for name, text in labels.items())
            yield f"{measure.name}{{{pairs}}} {value}" if pairs else f"{measure.name} {value}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
