"""Rows of some customers as they stand now, published and provisional together, without DuckDB.

They are those that `overlay.connect` serves: of the publication that the overlay lies on while
somebody keeps it, else of the newest.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from rejse.pipelines.publication import catalogue, overlay
from rejse.pipelines.store import delta_store
from rejse.pipelines.store.carry_forward import published
from rejse.pipelines.store.delta_store import Publication
from rejse.pipelines.store.errors import StoreDamagedError
from rejse.pipelines.store.published_links import published_links
from rejse.pipelines.store.state_reader import CustomerKeys, concatenated, keys_of, spans
from rejse.pipelines.store.warm_tables import RowGroups, WarmTables
from rejse.transforms import published_tables
from rejse.transforms.columnar.arrays import sorted_distinct
from rejse.transforms.columnar.string_arrays import text
from rejse.transforms.incremental.cross_customer_ids import leading
from rejse.transforms.incremental.table_rows import LIVE_TABLES, REPLACED
from rejse.transforms.schema.contract import CUSTOMER_KEY

#: Bytes of row groups that a reader holds.
MOST_BYTES = 512 << 20
#: A writer may remove a file between two looks of a reader; so often it looks again.
ATTEMPTS = 5


@dataclass(frozen=True)
class CurrentRows:
    """Rows of some customers.

    Attributes:
        publication: The publication on which they stand.
        watermarks: Microseconds up to which each source of interactions is complete.
        provisional: Keys of the customers with rows of the overlay.
        tables: Rows by stored table; none without rows.
    """

    publication: Publication
    watermarks: Mapping[str, int]
    provisional: frozenset[str]
    tables: Mapping[str, pa.Table]


@dataclass(frozen=True)
class _Base:
    publication: Publication
    tables: WarmTables

    @cached_property
    def links(self) -> pa.Table:
        return published_links(self.tables.store, self.publication)


class CurrentTables:
    """Reads rows of some columns again and again; threads may share it."""

    def __init__(
        self, store: Path, columns: Mapping[str, Sequence[str]], most_bytes: int = MOST_BYTES
    ) -> None:
        """Take the columns to read by table; those of its live rows are the same."""
        self._store = store.resolve()
        self._columns = {
            stored: [CUSTOMER_KEY, *(c for c in of_table if c != CUSTOMER_KEY)]
            for name, of_table in columns.items()
            for stored in published_tables.TABLES[name].stored
        }
        self._groups = RowGroups(most_bytes)
        self._bases: dict[int, _Base] = {}
        self._lock = threading.Lock()

    def rows(self, customers: Sequence[str]) -> CurrentRows:
        """Return the rows of customers.

        Raises:
            NotPublishedError: there is no publication.
            StoreDamagedError: a file is gone or damaged, and stays so.
        """
        keys = sorted_distinct(text(customers))
        for _ in range(ATTEMPTS - 1):
            try:
                return self._rows(keys)
            except (FileNotFoundError, StoreDamagedError):
                with self._lock:
                    self._bases.clear()
        return self._rows(keys)

    @property
    def links(self) -> pa.Table:
        """The identity links of the publication that rows are read of."""
        return self._base().links

    def prepare(self) -> int:
        """Read all row groups of the newest publication, up to the limit; return its number.

        Readers of the one before do not wait for it.
        """
        number = self._pointed()
        if number not in self._bases:
            base = self._load(number)
            for table in self._columns:
                for file in base.tables.files.get(table, ()):
                    for group, *_ in spans(self._store / file.path):
                        self._groups.of(self._store / file.path, group, self._columns[table])
        return number

    def _rows(self, customers: pa.Array) -> CurrentRows:
        base = self._base()
        segments, since = overlay.announced(self._store, base.publication.number)
        layers = [_Layer(self, files, customers) for files in segments]
        last = {key: at for at, layer in enumerate(layers) for key in layer.replaced[LIVE_TABLES]}
        tables = {}
        for name in self._columns:
            stays = _without(customers, self._replaced(name, layers, last))
            parts = [base.tables.rows(name, stays) if len(stays) else None]
            for at, layer in enumerate(layers):
                theirs = text([key for key, place in last.items() if place == at])
                parts.append(layer.rows(name, theirs) if len(theirs) else None)
            whole = concatenated(part for part in parts if part is not None)
            if whole is not None:
                tables[name] = whole
        watermarks = {**base.publication.frontiers, **since}
        return CurrentRows(base.publication, watermarks, frozenset(last), tables)

    @staticmethod
    def _replaced(name: str, layers: Sequence[_Layer], last: Mapping[str, int]) -> set[str]:
        """Return the customers whose published rows of a table the overlay replaces."""
        names = (name, LIVE_TABLES) if published_tables.is_live(name) else (name,)
        return {
            key
            for key, at in last.items()
            if any(key in layers[at].replaced.get(n, ()) for n in names)
        }

    def _base(self) -> _Base:
        """Return the publication to read of."""
        number = overlay.kept(self._store)
        if number is not None and number not in self._bases:
            known = {p.number for p in delta_store.publications(self._store)}
            number = number if number in known else None
        number = self._pointed() if number is None else number
        with self._lock:
            base = self._bases.get(number)
        return base if base is not None else self._load(number)

    def _load(self, number: int) -> _Base:
        """Read what a publication names; drop what neither it nor the newest one holds."""
        publication = delta_store.latest(self._store)
        if publication is None or publication.number != number:
            of_number = {p.number: p for p in delta_store.publications(self._store)}
            publication = of_number.get(number)
        if publication is None:
            raise catalogue.not_published(self._store, number, self._pointed())
        tables = published(self._store, publication)
        warm = WarmTables(tables.store, tables.files, self._groups, self._columns)
        made = _Base(publication, warm)
        with self._lock:
            self._bases[number] = made
            read = {number, overlay.kept(self._store)}  # after an erasure no other may be held
            self._bases = {held: self._bases[held] for held in self._bases if held in read}
            files = {
                self._store / file.path
                for base in self._bases.values()
                for of_table in base.tables.files.values()
                for file in of_table
            }
        self._groups.keep(files)
        return made

    def _pointed(self) -> int:
        number = catalogue.pointed(self._store)
        if number is None:
            raise catalogue.none_published(self._store)
        return number

    def of_file(self, path: str, table: str, customers: pa.Array) -> pa.Table | None:
        """Return the rows of customers in a file of the overlay."""
        wanted, prefixes = CustomerKeys(customers), leading(customers)
        place = self._store / path
        parts = (
            self._groups.of(place, group, self._columns.get(table)).of(prefixes)
            for group, *span in spans(place)
            if wanted.are_between(*span)
        )
        return concatenated(
            part.filter(pc.is_in(keys_of(part), value_set=customers)) for part in parts
        )


class _Layer:
    """A segment of the overlay, and which of some customers' rows it replaces, by table."""

    def __init__(
        self, reader: CurrentTables, files: Mapping[str, Sequence[str]], customers: pa.Array
    ) -> None:
        self._reader, self._files = reader, files
        self.replaced: dict[str, set[str]] = {LIVE_TABLES: set()}
        rows = self.rows(REPLACED, customers)
        if rows is not None:
            for table, key in zip(
                rows.column("table").to_pylist(), keys_of(rows).to_pylist(), strict=True
            ):
                self.replaced.setdefault(table, set()).add(key)

    def rows(self, table: str, customers: pa.Array) -> pa.Table | None:
        parts = (
            self._reader.of_file(path, table, customers) for path in self._files.get(table, ())
        )
        return concatenated(part for part in parts if part is not None)


def _without(customers: pa.Array, others: set[str]) -> pa.Array:
    return text([key for key in customers.to_pylist() if key not in others])
