"""Declarations: what a published column means, and which function computes a metric.

A metric is declared once, beside its function. Parquet metadata, DuckDB comments, range
expectations, `rejse metrics` and the documentation are all read from here.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from rejse.transforms.schema.contract import REQUIRED

Direction = Literal["higher_is_better", "lower_is_better", "neutral"]
#: How a table changes from run to run:
#:
#: - input: accepted rows as they came; a run adds rows and replaces those of corrected ones
#: - snapshot: an operational table as the last run read it
#: - final+live: derived rows; final ones stay, the others (table `<name>_live`) are replaced with
#:   every scoring of their customer
#: - live: rows that every scoring of their customer replaces
#: - state: what a run leaves for the next one
#: - log: a row per run, publication or erasure, written by the publication itself
Lifecycle = Literal["input", "snapshot", "final+live", "live", "state", "log"]
#: End of the name of a table of derived rows that are not final.
LIVE = "_live"


#: Alternatives of what something is made of, any one of which suffices; `@name` is an operational
#: table, the rest are fields of events, as events or the tables tell them (`coverage.py`).
Needs = tuple[frozenset[str], ...]


def needs_of(alternatives: Iterable[Set[str] | str]) -> Needs:
    """Alternatives without the fields that every event has; a text is a set of one.

    Empty where one of them is carried by every event: then nothing is needed.
    """
    sets = [frozenset([one]) if isinstance(one, str) else frozenset(one) for one in alternatives]
    left = tuple(one - set(REQUIRED) for one in sets)
    return () if frozenset() in left else left


def describe_needs(needs: Needs) -> str:
    """`outcome, or team + table teams`."""
    sets = [sorted(f"table {n[1:]}" if n.startswith("@") else n for n in one) for one in needs]
    return ", or ".join(" + ".join(names) for names in sets)


@dataclass(frozen=True)
class Column:
    """A published column: type, unit, closed range, nullability, and what it means.

    Metrics have a `label`, their name for people; other columns have none.
    """

    name: str
    type: pa.DataType
    description: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    nullable: bool = True
    values: tuple[str, ...] = ()
    label: str = ""
    #: Of a field of the contract: R required, C conditional, O optional.
    need: str = ""

    @property
    def arrow(self) -> pa.Field:
        """Arrow field with description, unit and, of a metric, label in its metadata."""
        about = {"description": self.description, "unit": self.unit}
        if self.label:
            about["label"] = self.label
        about |= {"need": self.need} if self.need else {}
        return pa.field(self.name, self.type, nullable=self.nullable, metadata=about)

    @staticmethod
    def of(field: pa.Field) -> Column:
        """Return the column that an Arrow field with description and unit declares."""
        about = {key.decode(): text.decode() for key, text in (field.metadata or {}).items()}
        return Column(field.name, field.type, **about, nullable=field.nullable)


@dataclass(frozen=True)
class Metric:
    """A column with its function: id = function name = column name."""

    column: Column
    grain: str
    direction: Direction
    when_empty: str
    inputs: Needs
    compute: Callable[[Any], Any]

    @property
    def name(self) -> str:
        """Name of the metric, its function and its column."""
        return self.column.name

    @property
    def label(self) -> str:
        """Name for people, unique in the grain."""
        return self.column.label


@dataclass(frozen=True)
class Table:
    """A published table: one row per `grain`, identified by `key`.

    What follows the columns is stated in `transforms/published_tables.py`, the table of all tables.

    Attributes:
        lifecycle: how the table changes from run to run.
        retention: time column by which `[retention.tables]` drops rows; `journey_id`: rows go with
            their journey; empty: rows are kept.
        owner: package that makes the rows.
        order: columns by which compaction sorts rows; empty: customer, journey, key.
        is_private: no view shows the table, only its owner may read the files, and no earlier
            publication keeps them; `[texts] keep` drops rows by `retention`.
    """

    name: str
    grain: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    lifecycle: Lifecycle = "final+live"
    retention: str = ""
    owner: str = ""
    order: tuple[str, ...] = ()
    is_private: bool = False

    @property
    def stored(self) -> tuple[str, ...]:
        """Names of the Delta tables that hold the rows: its own, and that of rows not final."""
        is_twofold = self.lifecycle == "final+live"
        return (self.name, self.name + LIVE) if is_twofold else (self.name,)

    @property
    def schema(self) -> pa.Schema:
        """Arrow schema whose metadata carries grain, descriptions and units."""
        return pa.schema([c.arrow for c in self.columns], metadata={"grain": self.grain})


_METRICS: dict[str, dict[str, Metric]] = {}


def metric(
    grain: str,
    type: pa.DataType,
    *,
    label: str,
    unit: str,
    low: float | None = None,
    high: float | None = None,
    direction: Direction = "neutral",
    when_empty: str = "null",
    nullable: bool = True,
    inputs: Iterable[Set[str] | str] = (),
) -> Callable[[Callable[[Any], Any]], Callable[[Any], Any]]:
    """Declare the decorated function as the metric of its own name.

    The docstring is the formula in words, with its source. `label` is its name for people, unique
    in the grain. `inputs` are the fields that it is made
    of, beside those that every event has: alternatives, any one of which suffices. Where a journey
    carries none of them its value is null, and never 0. Raises ValueError at import where a name
    or label is taken, the label is empty or the docstring is missing.
    """
    needs = needs_of(inputs)
    if needs and when_empty == "null":
        when_empty = f"null without {describe_needs(needs)}"

    def declare(compute: Callable[[Any], Any]) -> Callable[[Any], Any]:
        name = getattr(compute, "__name__", "")
        about = inspect.getdoc(compute)
        if not about:
            raise ValueError(f"metric {name}: expected a docstring with its formula, found none")
        taken = _METRICS.setdefault(grain, {})
        if name in taken:
            raise ValueError(f"metric {name}: declared twice at grain {grain}; choose a new name")
        if not label.strip() or label in {other.label for other in taken.values()}:
            raise ValueError(
                f"metric {name}: expected a label of its own at grain {grain}, came {label!r}"
            )
        column = Column(name, type, " ".join(about.split()), unit, low, high,
                        nullable or bool(needs), label=label)  # fmt: skip
        taken[name] = Metric(column, grain, direction, when_empty, needs, compute)
        return compute

    return declare


def lower_count(
    *, label: str, inputs: Iterable[Set[str] | str]
) -> Callable[[Callable[[Any], Any]], Callable[[Any], Any]]:
    """Declare the decorated function as a count over a journey of what better did not happen.

    Args and errors are those of `metric`.
    """
    return metric(
        "journey",
        pa.int32(),
        label=label,
        unit="1",
        low=0,
        direction="lower_is_better",
        inputs=inputs,
    )


def metrics(grain: str | None = None) -> tuple[Metric, ...]:
    """Return the metrics declared so far (of one grain), in the order of their declaration.

    Importing `scoring.output_tables` and `feedback.output_tables` declares all of them.
    """
    grains = _METRICS if grain is None else {grain: _METRICS.get(grain, {})}
    return tuple(m for found in grains.values() for m in found.values())
