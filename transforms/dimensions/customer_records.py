"""Records: operational tables keyed by customer, which may be large and come from sources.

A row says what holds of a customer from `time` until `valid_to`: who he is, which case he has,
what he owns. It passes the same edge as an interaction (mapping, row rules, pseudonyms, duplicates
by source and id) and lies in the bucket of its customer. Several rows of one case or customer are
its history; a mapping that gives no `id` keeps them all.
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
ABOUT: tuple[Field, ...] = tuple(field for field in ENVELOPE if field.name in _CARRIED)
#: What of the envelope stays as it came: which of several copies counts is asked again.
KEPT = ("source", "id", "recordedtime", "identitytype")
UNTIL = Field("valid_to", TIME, "O", "From then on it no longer holds; null: it still does.",
              unit="UTC")  # fmt: skip


def _contract(kind: str, needed: tuple[str, ...], *body: Field) -> Contract:
    return Contract(kind, (*ABOUT, UNTIL, *body), needed=("time", "identity", *needed))


CONTRACTS: Mapping[str, Contract] = {
    "customers": _contract(
        "customers", (),
        code("segment", "Segment of the customer."),
        code("lifecycle_stage", "Stage of the customer's life cycle."),
    ),
    CASES: _contract(
        CASES, ("case_id",),
        Field("case_id", TEXT, "R", "Case, unique over all sources."),
        code("journey_type", "Kind of journey that the case is."),
        code("product_id", "Product that it is about."),
        code("status", "State of the case, in words of the source."),
    ),
    "owned_products": _contract(
        "owned_products", ("product_id",),
        Field("product_id", TEXT, "R", "Product that the customer owns."),
    ),
}  # fmt: skip
GRAINS: Mapping[str, str] = {
    "customers": "customer and validity: what he was from then on",
    CASES: "case and validity: what it was from then on",
    "owned_products": "product that a customer owned, and when",
}


def _ends_first(batch: pa.RecordBatch) -> Bools:
    begin, end = batch.column("time"), batch.column("valid_to")
    return (values(end) < values(begin)) & valid(end)


ENDS_LATER = Rule(
    "valid_to_after_time", "valid_to_before_time", ("time", "valid_to"),
    "valid_to is not before time, from which the row holds",
    "coalesce(valid_to >= time, true)", _ends_first,
)  # fmt: skip


@cache
def rules(kind: str) -> tuple[Rule, ...]:
    """All row rules of one kind, in the order in which they give a row its reason."""
    contract = CONTRACTS[kind]
    return (
        *(missing(contract.by_name[name]) for name in contract.required),
        listed(contract.by_name["identitytype"]),
        *(in_range(name) for name in ("time", "recordedtime", "valid_to")),
        ENDS_LATER,
    )


def accept(kind: str, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, pa.Table, dict[str, int]]:
    """Rows that keep every rule of their kind, the rejects, and notes (`contracts.accept`)."""
    return validate.accept(batch, rules(kind), CONTRACTS[kind])


#: How each kind is accepted.
ACCEPT = {kind: partial(accept, kind) for kind in CONTRACTS}


@cache
def tables() -> dict[str, Table]:
    """The published tables, by kind: inputs as they came, but pseudonymous."""
    return {kind: _table(kind, contract) for kind, contract in CONTRACTS.items()}


def _table(kind: str, contract: Contract) -> Table:
    body = [one for one in contract.fields if one not in (*ABOUT, UNTIL)]
    return Table(kind, GRAINS[kind], ("record_id",), (
        Column("record_id", TEXT, "The row, as source/id.", nullable=False),
        Column(CUSTOMER_KEY, TEXT, "Keyed pseudonym of the customer.", nullable=False),
        Column(IDENTITY_KEY, TEXT, "Keyed pseudonym of the identity that the row bears, where"
               " identity_links say that it is another customer's."),
        *(Column(one.name, TEXT, one.description, nullable=one.need != "R") for one in body),
        Column("valid_from", TIME, "From then on it holds.", "UTC", nullable=False),
        Column("valid_to", TIME, UNTIL.description, "UTC"),
        *(Column(f.name, f.type, f.description, f.unit) for f in ABOUT if f.name in KEPT),
    ))  # fmt: skip


def of_events(kind: str) -> pa.Schema:
    """Columns of a kind's table that are joined to events."""
    dropped = (*KEPT, IDENTITY_KEY)
    return pa.schema([column for column in tables()[kind].schema if column.name not in dropped])


#: How counts of records begin: all that came, those joined; and notes of the others.
RECEIVED, JOINED, UNJOINED = "came:", "joined:", "unjoined_"
#: What of an event a record must name to be joined to it: its customer, a case's own one too.
ABOUT_EVENTS: Mapping[str, tuple[str, ...]] = {
    "customers": (CUSTOMER_KEY,),
    CASES: (CUSTOMER_KEY, "case_id"),
    "owned_products": (CUSTOMER_KEY,),
}


def count_by_source(rows: pa.Table) -> dict[str, int]:
    """How many rows there are of each source."""
    counted = pc.value_counts(flat(rows.column("source")).cast(TEXT)).to_pylist()
    return {pair["values"]: pair["counts"] for pair in counted}


def joined(kind: str, rows: pa.Table, events: pa.Table) -> dict[str, int]:
    """How many rows of each source are about a customer, or a case of his, whom an event names.

    The time is not looked at: a record of another year than all events is of a known customer.
    """
    names = ABOUT_EVENTS[kind]
    if not set(names) <= set(events.column_names):
        return {}
    heard = pc.unique(_named(events, names))
    return count_by_source(
        rows.filter(pc.is_in(_named(rows, names), value_set=heard, skip_nulls=True))
    )


def unjoined(counts: Mapping[str, int]) -> dict[str, int]:
    """Notes `unjoined_<kind>:<source>` of the records that no event is about, of a run's counts
    of all that came and of those joined.
    """
    came = {
        name.removeprefix(RECEIVED): n for name, n in counts.items() if name.startswith(RECEIVED)
    }
    apart = {name: n - counts.get(JOINED + name, 0) for name, n in came.items()}
    return {f"{UNJOINED}{name}": n for name, n in sorted(apart.items()) if n}


def _named(table: pa.Table, names: tuple[str, ...]) -> pa.Array:
    """The columns as one text, null where one is; one column coded as it came."""
    columns = [flat(table.column(name)) for name in names]
    if len(columns) == 1:
        return columns[0].cast(TEXT)
    return pc.binary_join_element_wise(*(column.cast(TEXT) for column in columns), "\x1f")


def published(kind: str, rows: pa.Table) -> pa.Table:
    """Accepted, pseudonymous rows of one kind in the columns of its table, in a settled order."""
    source, ident = (flat(rows.column(name)).cast(TEXT) for name in ("source", "id"))
    known = {
        "record_id": pc.binary_join_element_wise(source, ident, "/"),
        "valid_from": flat(rows.column("time")),
    }
    columns = [
        known[c.name] if c.name in known else _column(rows, c) for c in tables()[kind].columns
    ]
    table = pa.Table.from_arrays(columns, names=[c.name for c in tables()[kind].columns])
    return table.take(pc.sort_indices(table, [(CUSTOMER_KEY, "ascending"),
                                              ("record_id", "ascending")]))  # fmt: skip


def accepted(kind: str, table: pa.Table) -> pa.Table:
    """Rows of a kind's published table as they were accepted: the inverse of `published`."""
    names = {"valid_from": "time"}
    rows = table.drop_columns(["record_id"])
    rows = rows.rename_columns([names.get(name, name) for name in rows.column_names])
    rows = rows.append_column(BUCKET, buckets(flat(rows.column(CUSTOMER_KEY))))
    return encode(rows, CONTRACTS[kind])


def _column(rows: pa.Table, column: Column) -> pa.Array:
    if column.name not in rows.column_names:
        return pa.nulls(rows.num_rows, column.type)
    return flat(rows.column(column.name)).cast(column.type)
