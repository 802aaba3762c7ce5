"""Customer records: operational tables keyed by customer, which may be large and come from sources.

A row states what holds of a customer from `time` until `valid_to`: their segment, their cases, what
they own. It passes the same ingest as an interaction (mapping, row rules, pseudonyms, duplicates by
source and id) and is stored in the bucket of its customer. Several rows of one case or customer are
its history; a mapping without `id` keeps them all.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial

import pyarrow as pa
import pyarrow.compute as pc

from rejse.transforms.columnar.arrays import Bools, flat, valid, values
from rejse.transforms.columnar.customer_buckets import buckets
from rejse.transforms.columnar.encoded_tables import encode
from rejse.transforms.ingest import validate
from rejse.transforms.ingest.validate import Rule, in_range, listed, missing
from rejse.transforms.schema.contract import (
    BUCKET,
    CUSTOMER_KEY,
    ENVELOPE,
    IDENTITY_KEY,
    TEXT,
    TIME,
    Contract,
    Field,
    code,
)
from rejse.transforms.schema.registry import Column, Table

CASES = "cases"
_CARRIED = ("id", "source", "time", "recordedtime", "identity", "identitytype")
RECORD_FIELDS: tuple[Field, ...] = tuple(field for field in ENVELOPE if field.name in _CARRIED)
#: Fields of the envelope that are stored, to choose among copies again.
STORED_FIELDS = ("source", "id", "recordedtime", "identitytype")
UNTIL = Field(
    "valid_to", TIME, "O", "From then on it no longer holds; null: it still does.", unit="UTC"
)


def _contract(kind: str, needed: tuple[str, ...], *body: Field) -> Contract:
    return Contract(kind, (*RECORD_FIELDS, UNTIL, *body), needed=("time", "identity", *needed))


CONTRACTS: Mapping[str, Contract] = {
    "customers": _contract(
        "customers",
        (),
        code("segment", "Segment of the customer."),
        code("lifecycle_stage", "Stage of the customer's life cycle."),
    ),
    CASES: _contract(
        CASES,
        ("case_id",),
        Field("case_id", TEXT, "R", "Case, unique over all sources."),
        code("journey_type", "Kind of journey that the case is."),
        code("product_id", "Product that it is about."),
        code("status", "State of the case, in words of the source."),
    ),
    "owned_products": _contract(
        "owned_products",
        ("product_id",),
        Field("product_id", TEXT, "R", "Product that the customer owns."),
    ),
}
GRAINS: Mapping[str, str] = {
    "customers": "customer and validity: what holds of them from then on",
    CASES: "case and validity: what holds of it from then on",
    "owned_products": "product that a customer owned, and when",
}


def _ends_first(batch: pa.RecordBatch) -> Bools:
    begin, end = batch.column("time"), batch.column("valid_to")
    return (values(end) < values(begin)) & valid(end)


ENDS_LATER = Rule(
    "valid_to_after_time",
    "valid_to_before_time",
    ("time", "valid_to"),
    "valid_to is not before time, from which the row holds",
    "coalesce(valid_to >= time, true)",
    _ends_first,
)


@cache
def rules(kind: str) -> tuple[Rule, ...]:
    """Return all row rules of one kind, in the order in which they give a row its reason."""
    contract = CONTRACTS[kind]
    return (
        *(missing(contract.by_name[name]) for name in contract.required),
        listed(contract.by_name["identitytype"]),
        *(in_range(name) for name in ("time", "recordedtime", "valid_to")),
        ENDS_LATER,
    )


def accept(kind: str, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, pa.Table, dict[str, int]]:
    """Split rows of one kind into accepted ones and rejects, with notes (`validate.accept`)."""
    return validate.accept(batch, rules(kind), CONTRACTS[kind])


#: `accept` of each kind.
ACCEPT = {kind: partial(accept, kind) for kind in CONTRACTS}


@cache
def tables() -> dict[str, Table]:
    """Return the published tables, by kind: inputs as received, but pseudonymous."""
    return {kind: _table(kind, contract) for kind, contract in CONTRACTS.items()}


def _table(kind: str, contract: Contract) -> Table:
    body = [f for f in contract.fields if f not in (*RECORD_FIELDS, UNTIL)]
    stored = [f for f in RECORD_FIELDS if f.name in STORED_FIELDS]
    return Table(kind, GRAINS[kind], ("record_id",), (
        Column("record_id", TEXT, "The row, as source/id.", nullable=False),
        Column(CUSTOMER_KEY, TEXT, "Keyed pseudonym of the customer.", nullable=False),
        Column(IDENTITY_KEY, TEXT, "Keyed pseudonym of the row's own identity, where"
               " identity_links give it to another customer."),
        *(Column(f.name, TEXT, f.description, nullable=f.need != "R") for f in body),
        Column("valid_from", TIME, "From then on it holds.", "UTC", nullable=False),
        Column("valid_to", TIME, UNTIL.description, "UTC"),
        *(Column(f.name, f.type, f.description, f.unit) for f in stored),
    ))  # fmt: skip


def of_events(kind: str) -> pa.Schema:
    """Return the columns of a kind's table that are joined to events."""
    dropped = (*STORED_FIELDS, IDENTITY_KEY)
    return pa.schema([column for column in tables()[kind].schema if column.name not in dropped])


#: Prefixes of counts of records received and of those joined; of notes of the others.
RECEIVED, JOINED, UNJOINED = "came:", "joined:", "unjoined_"
#: Columns by which records of each kind are joined to events.
JOIN_KEYS: Mapping[str, tuple[str, ...]] = {
    "customers": (CUSTOMER_KEY,),
    CASES: (CUSTOMER_KEY, "case_id"),
    "owned_products": (CUSTOMER_KEY,),
}


def count_by_source(rows: pa.Table) -> dict[str, int]:
    """Count rows by source."""
    counts = pc.value_counts(flat(rows.column("source")).cast(TEXT)).to_pylist()
    return {pair["values"]: pair["counts"] for pair in counts}


def joined(kind: str, rows: pa.Table, events: pa.Table) -> dict[str, int]:
    """Count rows by source whose customer, or customer and case, some event names.

    Time is ignored: a record of another year than all events still belongs to a known customer.
    """
    names = JOIN_KEYS[kind]
    if not set(names) <= set(events.column_names):
        return {}
    named = pc.unique(_named(events, names))
    return count_by_source(
        rows.filter(pc.is_in(_named(rows, names), value_set=named, skip_nulls=True))
    )


def unjoined(counts: Mapping[str, int]) -> dict[str, int]:
    """Return notes `unjoined_<kind>:<source>` of records that no event names.

    `counts` are those of a run: records received, and records joined.
    """
    received = {
        name.removeprefix(RECEIVED): n for name, n in counts.items() if name.startswith(RECEIVED)
    }
    missing = {name: n - counts.get(JOINED + name, 0) for name, n in received.items()}
    return {f"{UNJOINED}{name}": n for name, n in sorted(missing.items()) if n}


def _named(table: pa.Table, names: tuple[str, ...]) -> pa.Array:
    """Return the columns as one text, null where one is null."""
    columns = [flat(table.column(name)) for name in names]
    if len(columns) == 1:
        return columns[0].cast(TEXT)
    return pc.binary_join_element_wise(*(column.cast(TEXT) for column in columns), "\x1f")


def published(kind: str, rows: pa.Table) -> pa.Table:
    """Return accepted, pseudonymous rows of one kind in the columns of its table, sorted."""
    source, ident = (flat(rows.column(name)).cast(TEXT) for name in ("source", "id"))
    known = {
        "record_id": pc.binary_join_element_wise(source, ident, "/"),
        "valid_from": flat(rows.column("time")),
    }
    columns = [
        known[c.name] if c.name in known else _column(rows, c) for c in tables()[kind].columns
    ]
    table = pa.Table.from_arrays(columns, names=[c.name for c in tables()[kind].columns])
    keys = [(CUSTOMER_KEY, "ascending"), ("record_id", "ascending")]
    return table.take(pc.sort_indices(table, keys))


def accepted(kind: str, table: pa.Table) -> pa.Table:
    """Return rows of a kind's published table as they were accepted: the inverse of `published`."""
    names = {"valid_from": "time"}
    rows = table.drop_columns(["record_id"])
    rows = rows.rename_columns([names.get(name, name) for name in rows.column_names])
    rows = rows.append_column(BUCKET, buckets(flat(rows.column(CUSTOMER_KEY))))
    return encode(rows, CONTRACTS[kind])


def _column(rows: pa.Table, column: Column) -> pa.Array:
    if column.name not in rows.column_names:
        return pa.nulls(rows.num_rows, column.type)
    return flat(rows.column(column.name)).cast(column.type)
