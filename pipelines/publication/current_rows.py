"""Rows of some customers as they stand now, published and provisional together, without DuckDB.

They are those that `overlay.connect` serves: of the publication that the overlay lies on while
somebody keeps it, else of the newest.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from rejse.pipelines.store.warm_tables import RowGroups
from rejse.transforms import published_tables
from rejse.transforms.columnar.arrays import sorted_distinct
from rejse.transforms.columnar.string_arrays import text
from rejse.transforms.incremental.cross_customer_ids import Words, leading
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
        parts: Rows by stored table, of files of several runs; none without rows.
    """

    publication: Publication
    watermarks: Mapping[str, int]
    provisional: frozenset[str]
    parts: Mapping[str, Sequence[pa.Table]]

    @property
    def tables(self) -> dict[str, pa.Table]:
        """Return the rows of each table as one."""
        wholes = {name: concatenated(parts) for name, parts in self.parts.items()}
        return {name: whole for name, whole in wholes.items() if whole is not None}


#: A row group: its file, its number, the least and the greatest key in it.
Place = tuple[Path, int, str, str]


@dataclass(frozen=True)
class _Base:
    """A publication, and the row groups of each table."""

    store: Path
    publication: Publication
    places: Mapping[str, Sequence[Place]]

    @classmethod
    def of(cls, store: Path, publication: Publication, tables: Iterable[str]) -> _Base:
        files = published(store, publication).files
        return cls(
            store,
            publication,
            {
                name: [place for file in files.get(name, ()) for place in _places(store, file.path)]
                for name in tables
            },
        )

    @property
    def files(self) -> set[Path]:
        return {place[0] for of_table in self.places.values() for place in of_table}

    @cached_property
    def links(self) -> pa.Table:
        return published_links(self.store, self.publication)


def _places(store: Path, file: str) -> Iterator[Place]:
    path = store / file
    for group, first, last in spans(path):
        yield path, group, first, last


class _Wanted(CustomerKeys):
    """Customers (sorted keys) whose rows are read, of many tables."""

    @cached_property
    def prefixes(self) -> Words:
        return leading(self.keys)

    def without(self, others: set[str]) -> _Wanted:
        kept = [key for key in self.keys.to_pylist() if key not in others]
        return _Wanted(text(kept)) if others else self


class CurrentTables:
    """Reads rows of some columns again and again; threads may share it."""

    def __init__(
        self, store: Path, columns: Mapping[str, Sequence[str]], most_bytes: int = MOST_BYTES
    ) -> None:
        """Take the columns to read by stored table."""
        self._store = store.resolve()
        self._columns = {
            name: [CUSTOMER_KEY, *(column for column in of_table if column != CUSTOMER_KEY)]
            for name, of_table in columns.items()
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
        wanted = _Wanted(sorted_distinct(text(customers)))
        for _ in range(ATTEMPTS - 1):
            try:
                return self._rows(wanted)
            except (FileNotFoundError, StoreDamagedError):
                with self._lock:
                    self._bases.clear()
        return self._rows(wanted)

    @property
    def publication(self) -> int:
        """The number of the publication that rows are read of."""
        return self._base().publication.number

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
            for table, places in self._load(number).places.items():
                for path, group, *_ in places:
                    self._groups.of(path, group, self._columns[table])
        return number

    def _rows(self, wanted: _Wanted) -> CurrentRows:
        base = self._base()
        segments, since = overlay.announced(self._store, base.publication.number)
        layers = [_Layer(self, self._store, files, wanted) for files in segments]
        last = {key: at for at, layer in enumerate(layers) for key in layer.replaced[LIVE_TABLES]}
        owned = [
            _Wanted(text(sorted(key for key, place in last.items() if place == at)))
            for at in range(len(layers))
        ]
        tables = {}
        for name in self._columns:
            stays = wanted.without(self._replaced(name, layers, last))
            parts = self.parts(base.places[name], name, stays)
            for layer, theirs in zip(layers, owned, strict=True):
                parts += layer.parts(name, theirs)
            if parts:
                tables[name] = parts
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
        made = _Base.of(self._store, publication, self._columns)
        with self._lock:
            self._bases[number] = made
            read = {number, overlay.kept(self._store)}  # after an erasure no other may be held
            self._bases = {held: self._bases[held] for held in self._bases if held in read}
            files = set[Path]().union(*(base.files for base in self._bases.values()))
        self._groups.keep(files)
        return made

    def _pointed(self) -> int:
        number = catalogue.pointed(self._store)
        if number is None:
            raise catalogue.none_published(self._store)
        return number

    def parts(self, places: Iterable[Place], table: str, wanted: _Wanted) -> list[pa.Table]:
        """Return the rows of customers in some row groups of a table."""
        if not len(wanted.keys):
            return []
        parts = (
            self._groups.of(path, group, self._columns.get(table)).of(wanted.prefixes)
            for path, group, first, last in places
            if wanted.are_between(first, last)
        )
        exact = (_exact(part, wanted.keys) for part in parts if part.num_rows)
        return [part for part in exact if part.num_rows]


def _exact(rows: pa.Table, customers: pa.Array) -> pa.Table:
    """Return the rows of customers, of rows whose keys begin as theirs."""
    keys = rows.column(CUSTOMER_KEY)
    if len(customers) == 1 and keys[0] == keys[-1] == customers[0]:  # rows lie by customer
        return rows
    return rows.filter(pc.is_in(keys_of(rows), value_set=customers))


class _Layer:
    """A segment of the overlay, and which of some customers' rows it replaces, by table."""

    def __init__(
        self,
        reader: CurrentTables,
        store: Path,
        files: Mapping[str, Sequence[str]],
        wanted: _Wanted,
    ) -> None:
        self._reader, self._store, self._files = reader, store, files
        self.replaced: dict[str, set[str]] = {LIVE_TABLES: set()}
        for rows in self.parts(REPLACED, wanted):
            names, keys = rows.column("table").to_pylist(), keys_of(rows).to_pylist()
            for table, key in zip(names, keys, strict=True):
                self.replaced.setdefault(table, set()).add(key)

    def parts(self, table: str, wanted: _Wanted) -> list[pa.Table]:
        places = (
            place for file in self._files.get(table, ()) for place in _places(self._store, file)
        )
        return self._reader.parts(places, table, wanted)
