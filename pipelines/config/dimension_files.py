"""Read operational tables from CSV or Parquet files into the core's columns."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rejse.transforms.errors import MisuseError

if TYPE_CHECKING:
    import pyarrow as pa

    from rejse.transforms.dimensions.tables import Declared, Operational
    from rejse.transforms.identity.erasure import Erased


LINKS = "identity_links"


class OperationalError(MisuseError):
    """A table of [operational] cannot be read or is inconsistent.

    The message names table and file, and the row at fault if there is one.
    """


def read(
    files: Mapping[str, Path | None],
    key: Callable[[], bytes],
    types: Collection[str] = (),
    non_persons: tuple[str, ...] = (),
    erased: Erased | None = None,
) -> Operational:
    """Read and check the configured tables.

    Ids of agents and linked identities become pseudonyms here, as those of events do.

    Args:
        files: path by table name; None where a table is not configured.
        key: gives the pseudonym key; called only where a table needs it.
        types: journey types that are declared.
        non_persons: identities whose links are left out.
        erased: identities whose links are blocked.

    Raises:
        OperationalError: a table cannot be read or is inconsistent.
    """
    from rejse.transforms.dimensions import tables as core
    from rejse.transforms.features.field_requests import valid_fields
    from rejse.transforms.features.slas import valid_slas
    from rejse.transforms.identity import link_table
    from rejse.transforms.identity.erasure import NOTHING_ERASED
    from rejse.transforms.scoring.costs import valid_rates

    read_as = {**core.TABLES, LINKS: link_table.FILE}
    tables = {}
    for name, path in files.items():
        if path is not None:
            with _named(name, files):
                tables[name] = _table(path, read_as[name])
    if "agents" in tables:
        tables["agents"] = _pseudonymous(tables["agents"], key())
    if LINKS in tables:
        with _named(LINKS, files):
            link_table.check_links(tables[LINKS])
        tables[LINKS] = link_table.pseudonymous(
            tables[LINKS], key(), non_persons, erased or NOTHING_ERASED
        )
    data = core.Operational(tables)
    known = _types(data, types)
    checks: Mapping[str, Callable[[], object]] = {
        "calendar": lambda: data.calendar,
        "cost_rates": lambda: valid_rates(data.table("cost_rates")),
        "touchpoints": lambda: core.check_touchpoints(data.table("touchpoints")),
        "touchpoint_fields": lambda: valid_fields(data.fields),
        "slas": lambda: valid_slas(data.table("slas"), data.has("calendar"), known),
    }
    for name, check in checks.items():
        with _named(name, files):
            check()
    return data


def _types(data: Operational, declared: Collection[str]) -> set[str]:
    """Return the names of the journey types; none where none are declared: any name is valid."""
    if not declared:
        return set()
    named = data.table("touchpoints").column("journey_type").to_pylist()
    return {*declared, *(name for name in named if name), "other"}


def _pseudonymous(agents: pa.Table, key: bytes) -> pa.Table:
    from rejse.transforms.columnar.arrays import flat
    from rejse.transforms.identity.pseudonyms import actor_pseudonyms, signer

    place = agents.column_names.index("actor_id")
    hashed = actor_pseudonyms(flat(agents.column(place)), signer(key)).cast("string")
    return agents.set_column(place, agents.schema.field(place), hashed)


@contextmanager
def _named(name: str, files: Mapping[str, Path | None]) -> Iterator[None]:
    """Turn a ValueError into an OperationalError that names table and file."""
    try:
        yield
    except ValueError as fault:
        place = files.get(name)
        where = f"table {name}, {place.name}" if place else f"table {name}"
        raise OperationalError(f"{where}: {fault}") from None


def _table(path: Path, wanted: Declared) -> pa.Table:
    import pyarrow as pa

    from rejse.transforms.dimensions.tables import conform

    columns = f"expected columns {', '.join(wanted.schema.names)} (others are ignored)"
    try:
        loaded = _load(path, wanted.schema)
        table, names = conform(loaded, wanted.schema), loaded.column_names
    except (pa.ArrowException, OSError, KeyError, ValueError) as fault:
        raise ValueError(f"{columns}; came: {fault}") from None
    lacking = [name for name in wanted.needed if name not in names]
    if lacking:
        listed = ", ".join(names)
        raise ValueError(f"{columns}; {', '.join(lacking)} is missing, came: {listed}")
    _refuse_rows(table, wanted)
    return table


def _refuse_rows(table: pa.Table, wanted: Declared) -> None:
    """Raise ValueError for the first row without a needed value, or that ends before it begins."""
    import pyarrow.compute as pc

    for name in wanted.needed:
        if table.column(name).null_count:
            row = table.column(name).to_pylist().index(None) + 1
            raise ValueError(
                f"expected a {name} in every row, came none in row {row};"
                f" give it or strike out the row"
            )
    backwards = pc.less(table.column("valid_to"), table.column("valid_from")).to_pylist()
    if True in backwards:
        raise ValueError(
            f"expected a valid_to that is not before valid_from, came one before it"
            f" in row {backwards.index(True) + 1}"
        )


def _load(path: Path, wanted: pa.Schema) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pyarrow import csv

    times = [field.name for field in wanted if pa.types.is_timestamp(field.type)]
    if path.suffix == ".parquet":
        table = pq.ParquetFile(path).read()
        dates = [n for n in times if n in table.column_names and _is_local(table.field(n).type)]
        return _with_moments(table, dates, wanted)
    kinds = {f.name: pa.string() if f.name in times else f.type for f in wanted}
    convert = csv.ConvertOptions(
        column_types=kinds, strings_can_be_null=True, null_values=["", "null"]
    )
    table = csv.read_csv(path, convert_options=convert)
    return _with_moments(table, [name for name in times if name in table.column_names], wanted)


def _is_local(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return pa.types.is_date(kind) or (pa.types.is_timestamp(kind) and kind.tz is None)


def _with_moments(table: pa.Table, times: Sequence[str], wanted: pa.Schema) -> pa.Table:
    """Convert times to UTC; a time without zone takes the zone of its row, else UTC."""
    import pyarrow as pa

    rows = table.num_rows
    has_zone = "tz" in wanted.names and "tz" in table.column_names
    zones = table.column("tz").to_pylist() if has_zone else [None] * rows
    for name in times:
        column = table.column(name)
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.timestamp("us"))  # Python knows no nanoseconds
        cells = zip(column.to_pylist(), zones, strict=True)
        moments = [_moment(*cell, row) for row, cell in enumerate(cells, start=1)]
        column = pa.array(moments, wanted.field(name).type)
        table = table.set_column(table.column_names.index(name), name, column)
    return table


def _moment(value: str | date | None, zone: str | None, row: int) -> datetime | None:
    """Return the time of an ISO 8601 text, or the first instant of a date.

    Without a zone of its own it is in the row's `zone`, else in UTC.

    Raises:
        ValueError: the value is no time; the message names the row.
    """
    from rejse.transforms.dimensions.working_hours import local_to_utc

    if value is None:
        return None
    text = value if isinstance(value, str) else value.isoformat()
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"row {row}: {text!r} where a time such as 2025-06-30T00:00:00Z belongs"
        ) from None
    return moment if moment.tzinfo else local_to_utc(moment, zone)
