"""What a run publishes of customers who were published before: new final rows, and revisions.

A final row is published once. An ordinary run only adds rows of journeys that became final. Where
a late event, a record or an answer changes a final row, the row is published again as its next
revision, with the reason. Rows of answers are compared whenever their customer is reprocessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rejse.transforms.columnar.arrays import Bools, Ints, arrow, flat, index_in, take, valid, values
from rejse.transforms.columnar.string_arrays import text
from rejse.transforms.feedback import output_tables as x_tables
from rejse.transforms.incremental.merge_customers import IDENTITY, MergedRows, StateReader
from rejse.transforms.incremental.merge_rows import customers_of
from rejse.transforms.schema.contract import CUSTOMER_KEY
from rejse.transforms.schema.registry import Column, Table
from rejse.transforms.scoring import output_tables as core
from rejse.transforms.scoring.output_tables import CUSTOMER, FINAL, JOURNEY, STAMP, TEXT

JOURNEYS, STEPS = "journeys", "steps"
SUPERSEDED = Table(
    "superseded",
    "journey that was published as final and exists no longer, and a successor",
    ("journey_id", "successor_id"),
    (
        JOURNEY,
        CUSTOMER,
        Column("successor_id", TEXT, "Journey that has events of it now; null: none has."),
    ),
)
_SEPARATOR = "\x1f"
_STAMPED = ("journey_id", CUSTOMER_KEY, "revision", "revision_reason")


@dataclass
class Revised:
    """Rows to publish by table; customers whose published final rows they replace, by table."""

    tables: dict[str, pa.Table] = field(default_factory=dict)
    replaced: dict[str, frozenset[str]] = field(default_factory=dict)


def revise(
    scored: Mapping[str, pa.Table],
    merged: MergedRows,
    state: StateReader | None,
    otherwise: str = "late event",
) -> Revised:
    """Return the rows of some customers that are new or differ from the published ones.

    `otherwise` is the reason where neither a row nor a repair is one. Rows that replace others
    carry the columns `STAMP`: unchanged rows as published, else null where the run fills its own.
    """
    if state is None or merged.customers is None:
        return Revised(dict(scored))
    before = state.rows(JOURNEYS, merged.customers)
    known = _strings(before, "journey_id") if before is not None else text([])
    reasons = dict(merged.revision_reasons)
    if before is not None:
        now = _final(scored[JOURNEYS])
        is_lost = ~_in(_strings(before, "journey_id"), _strings(now, "journey_id"))
        for customer in customers_of(before.filter(arrow(is_lost))):
            reasons.setdefault(customer, otherwise)
    out = Revised()
    for name, rows in scored.items():
        declared = x_tables.all_tables().get(name)
        if declared is None:
            out.tables[name] = rows
        elif name in core.tables():
            _revise_core(declared, rows, known, reasons, merged, state, out)
        else:
            stored = state.rows(name, merged.customers)
            _revise_rows(declared, rows, stored, merged.revision_reasons, "answer", out)
    _record_superseded(scored, before, state, merged, out)
    _continue_revisions(scored, before, reasons, state, merged, out)
    return out


def _continue_revisions(
    scored: Mapping[str, pa.Table],
    before: pa.Table | None,
    reasons: Mapping[str, str],
    state: StateReader,
    merged: MergedRows,
    out: Revised,
) -> None:
    """Keep counting revisions of journeys that were final before and are not now."""
    revised: dict[str, tuple[int, str]] = {}
    live = (
        state.rows(JOURNEYS + "_live", merged.customers) if merged.customers is not None else None
    )
    for row in () if live is None else live.select(list(_STAMPED)).to_pylist():
        if row["revision"] > 1:
            revised[row["journey_id"]] = row["revision"], row["revision_reason"]
    open_journeys = scored[JOURNEYS].filter(arrow(~_is_final(scored[JOURNEYS])))
    now = set(_strings(open_journeys, "journey_id").to_pylist())
    for row in () if before is None else before.select(list(_STAMPED)).to_pylist():
        if row["journey_id"] in now:
            reason = reasons.get(row[CUSTOMER_KEY], "late event")
            revised[row["journey_id"]] = row["revision"] + 1, reason
    if revised:
        for name in core.tables():
            out.tables[name] = _with_revision_numbers(out.tables[name], revised)


def _with_revision_numbers(rows: pa.Table, revised: Mapping[str, tuple[int, str]]) -> pa.Table:
    """Set the revision and its reason on the rows of the journeys in `revised`."""
    stamps = [revised.get(journey) for journey in _strings(rows, "journey_id").to_pylist()]
    if not any(stamps):
        return rows
    number = np.array([stamp[0] if stamp else 0 for stamp in stamps], np.int32)
    made = {
        "revision": arrow(number, pa.int32(), number > 0),
        "revision_reason": text([stamp[1] if stamp else None for stamp in stamps]),
    }
    for name, column in made.items():
        if name in rows.column_names:
            rows = _with(rows, name, pc.coalesce(flat(rows.column(name)), column))
        else:
            rows = rows.append_column(name, column)
    return rows


def _revise_core(
    table: Table,
    rows: pa.Table,
    known: pa.Array,
    reasons: Mapping[str, str],
    merged: MergedRows,
    state: StateReader,
    out: Revised,
) -> None:
    """Add new final rows; compare all rows of customers in `reasons` with the published."""
    customers = text(sorted(reasons))
    is_again = _in(_strings(rows, CUSTOMER_KEY), customers)
    quiet = rows.filter(arrow(~is_again))
    published = _in(_strings(quiet, "journey_id"), known) & _is_final(quiet)
    quiet = quiet.filter(arrow(~published))
    if not len(customers):
        out.tables[table.name] = quiet
        return
    stored = state.rows(table.name, customers)
    _revise_rows(table, rows.filter(arrow(is_again)), stored, reasons, "late event", out)
    out.tables[table.name] = pa.concat_tables(
        [quiet, out.tables[table.name]], promote_options="permissive"
    ).unify_dictionaries()


def _revise_rows(
    table: Table,
    rows: pa.Table,
    stored: pa.Table | None,
    reasons: Mapping[str, str],
    otherwise: str,
    out: Revised,
) -> None:
    """Compare final rows with the published ones; republish customers where any differs."""
    live, final = rows.filter(arrow(~_is_final(rows))), _final(rows)
    if stored is None or not stored.num_rows:
        out.tables[table.name] = rows
        return
    ids, stored_ids = _key(final, table), _key(stored, table)
    stored_row = index_in(ids, stored_ids)
    names = [column.name for column in table.columns]
    same = contents(final, names).equals_at(contents(stored, names), stored_row)
    changed = (stored_row >= 0) & ~same
    is_removed = ~_in(stored_ids, ids)
    customers = customers_of(final.filter(arrow(changed))) | customers_of(
        stored.filter(arrow(is_removed))
    )
    is_replaced = _in(_strings(final, CUSTOMER_KEY), text(sorted(customers)))
    fresh = final.filter(arrow(~is_replaced & (stored_row < 0)))
    parts = [live, fresh]
    if is_replaced.any():
        at = np.flatnonzero(is_replaced)
        parts.append(_stamped(final, at, stored_row[at], same[at], stored, reasons, otherwise))
    out.tables[table.name] = pa.concat_tables(
        parts, promote_options="permissive"
    ).unify_dictionaries()
    if customers:
        out.replaced[table.name] = customers


def _stamped(
    final: pa.Table,
    at: Ints,
    stored_row: Ints,
    same: Bools,
    stored: pa.Table,
    reasons: Mapping[str, str],
    otherwise: str,
) -> pa.Table:
    """Return final rows with their stamps: unchanged as published, else the next revision."""
    rows = final.take(arrow(at, pa.int64()))
    kept = np.where(same, stored_row, -1)
    for column in STAMP:
        old = flat(stored.column(column.name))
        if pa.types.is_dictionary(old.type):
            old = old.cast(TEXT)
        rows = rows.append_column(column.name, take(old, kept).cast(column.type))
    changed = (stored_row >= 0) & ~same
    if not changed.any():
        return rows
    before = values(flat(stored.column("revision")))[np.where(stored_row >= 0, stored_row, 0)]
    revision = np.where(same, before, before + 1).astype(np.int32)
    customers = _strings(rows, CUSTOMER_KEY).to_pylist()
    new_reason = [
        reasons.get(customer, otherwise) if is_changed else None
        for customer, is_changed in zip(customers, changed, strict=True)
    ]
    stored_reason = _strings(rows, "revision_reason")
    rows = _with(rows, "revision", arrow(revision, pa.int32(), stored_row >= 0))
    return _with(rows, "revision_reason", pc.coalesce(stored_reason, text(new_reason)))


def _with(rows: pa.Table, name: str, column: pa.Array) -> pa.Table:
    return rows.set_column(rows.column_names.index(name), name, column)


def _record_superseded(
    scored: Mapping[str, pa.Table],
    published: pa.Table | None,
    state: StateReader,
    merged: MergedRows,
    out: Revised,
) -> None:
    """Record published final journeys that no longer exist, with their successors.

    A successor has events of the lost journey. Journeys that exist again are removed from the
    record.
    """
    journey_ids = _strings(scored[JOURNEYS], "journey_id")
    customers = merged.customers
    recorded = None if customers is None else state.rows(SUPERSEDED.name, customers)
    rows: list[tuple[str | None, ...]] = []
    if (
        recorded is not None
        and (is_back := _in(_strings(recorded, "journey_id"), journey_ids)).any()
    ):
        replaced = out.replaced[SUPERSEDED.name] = customers_of(recorded.filter(arrow(is_back)))
        is_kept = ~is_back & _in(_strings(recorded, CUSTOMER_KEY), text(sorted(replaced)))
        kept = recorded.filter(arrow(is_kept)).select([c.name for c in SUPERSEDED.columns])
        rows += [tuple(row.values()) for row in kept.to_pylist()]
    if published is not None:
        lost = published.filter(arrow(~_in(_strings(published, "journey_id"), journey_ids)))
        rows += _successors(lost, scored[STEPS], state, merged) if lost.num_rows else []
    if rows:
        columns = [text(list(column)) for column in zip(*rows, strict=True)]
        out.tables[SUPERSEDED.name] = pa.table(columns, names=[c.name for c in SUPERSEDED.columns])


def _successors(
    lost: pa.Table, new_steps: pa.Table, state: StateReader, merged: MergedRows
) -> list[tuple[str | None, ...]]:
    """Return rows of `superseded` for lost journeys: those that share events with their steps."""
    old_steps = state.rows(STEPS, merged.customers) if merged.customers is not None else None
    reasons = merged.revision_reasons
    moved = frozenset(customer for customer, reason in reasons.items() if reason == IDENTITY)
    old = _events(old_steps, moved) if old_steps is not None else {}
    new: dict[str, list[str]] = {}
    for journey, events in _events(new_steps, moved).items():
        for event in events:
            new.setdefault(event, []).append(journey)
    rows = []
    for row in lost.select(["journey_id", CUSTOMER_KEY]).to_pylist():
        ids = {j for event in old.get(row["journey_id"], ()) for j in new.get(event, ())}
        after: list[str | None] = [*sorted(ids)]
        rows += [(*row.values(), successor) for successor in after or [None]]
    return rows


def _events(steps: pa.Table, moved: frozenset[str]) -> dict[str, set[str]]:
    """Return the events of each journey's steps.

    An event is told apart by its customer, except for the customers in `moved`, whose events may
    have changed owner.
    """
    out: dict[str, set[str]] = {}
    columns = (steps.column(name).to_pylist() for name in ("journey_id", CUSTOMER_KEY, "event_ids"))
    for journey, customer, refs in zip(*columns, strict=True):
        owner = "" if customer in moved else customer
        out.setdefault(journey, set()).update(f"{owner}{_SEPARATOR}{ref}" for ref in refs)
    return out


@dataclass(frozen=True)
class Contents:
    """Columns of rows, comparable by row number."""

    columns: tuple[pa.Array, ...]

    def equals_at(self, other: Contents, rows: Ints) -> Bools:
        """Return whether each row equals the row of `other` at `rows`; false at -1."""
        same = np.asarray(rows >= 0)
        for mine, theirs in zip(self.columns, other.columns, strict=True):
            stored = take(theirs, rows)
            equal = pc.equal(mine, stored)
            both_null = ~valid(mine) & ~valid(stored)
            same &= both_null | (values(equal) & valid(equal))
        return same


def contents(rows: pa.Table, columns: Iterable[str]) -> Contents:
    """Return some columns of rows, to compare them with those of others."""
    return Contents(tuple(_plain(flat(rows.column(name))) for name in columns))


def _plain(column: pa.Array) -> pa.Array:
    """Return a column whose values can be compared: dictionaries decoded, lists as one text."""
    if pa.types.is_dictionary(column.type):
        return column.cast(column.type.value_type)
    if pa.types.is_list(column.type):
        return text(
            [
                None if items is None else _SEPARATOR.join(map(str, items))
                for items in column.to_pylist()
            ]
        )
    return column


def _key(rows: pa.Table, table: Table) -> pa.Array:
    columns = [_strings(rows, name) for name in table.key]
    return columns[0] if len(columns) == 1 else pc.binary_join_element_wise(*columns, _SEPARATOR)


def _in(column: pa.Array, among: pa.Array) -> Bools:
    return values(pc.is_in(column, value_set=among))


def _strings(rows: pa.Table, name: str) -> pa.Array:
    return flat(rows.column(name)).cast(TEXT)


def _is_final(rows: pa.Table) -> Bools:
    return np.asarray(values(rows.column(FINAL.name)))


def _final(rows: pa.Table) -> pa.Table:
    return rows.filter(arrow(_is_final(rows)))
