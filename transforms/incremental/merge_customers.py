"""Merge new rows with the stored rows of their customers: whole customers, each row once.

A customer is reprocessed when rows of theirs arrive, when a deadline passes, or when a repair
releases late events. All stored rows are reloaded: final journeys still give context to later ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rejse.transforms.columnar import encoded_tables
from rejse.transforms.columnar.arrays import Bools, Ints, arrow, flat, sorted_distinct, values
from rejse.transforms.columnar.string_arrays import text
from rejse.transforms.dimensions import customer_records
from rejse.transforms.identity.changed_links import Relink
from rejse.transforms.identity.resolve import to_persons
from rejse.transforms.incremental import merge_rows
from rejse.transforms.incremental.deduplicate import over_event_cap
from rejse.transforms.incremental.input_kinds import INPUTS
from rejse.transforms.incremental.merge_rows import UpsertResult
from rejse.transforms.schema import contract
from rejse.transforms.schema.registry import Column, Table
from rejse.transforms.scoring import pending
from rejse.transforms.scoring.output_tables import CUSTOMER, TEXT

EVENTS, LATE, ANSWERS = "events", "late", "answers"
#: The table that stores the accepted rows of each kind of input.
TABLE_OF_KIND: Mapping[str, str] = {
    "interaction": EVENTS,
    "experience": ANSWERS,
    **{kind: kind for kind in customer_records.CONTRACTS},
}
#: Reason of revisions after a change of identity links.
IDENTITY = "identity"
#: Column of answers that is stored in tables of its own.
TEXT_COLUMN = "text_redacted"
EXCLUDED = Table("excluded", "customers above the event cap (treated as bots), by input kind",
                 (contract.CUSTOMER_KEY, "kind"), (
    CUSTOMER, Column("kind", TEXT, "Kind of input: interaction or experience.", nullable=False),
))  # fmt: skip


class StateReader(Protocol):
    """Read access to the tables of the last publication."""

    def rows(self, table: str, customers: pa.Array) -> pa.Table | None:
        """Return the rows of some customers (sorted keys); None where there are none."""

    def between(self, table: str, low: str, high: str) -> pa.Table | None:
        """Return the rows of customers with keys in [low, high); None where there are none."""

    def customers(self, table: str, low: str, high: str) -> pa.Array:
        """Return the keys in [low, high) of the customers who have rows, each once."""

    def row_counts(self, table: str, customers: pa.Array) -> Ints:
        """Return about how many rows each of some customers has."""


@dataclass
class MergedRows:
    """All rows of some customers, each once, by kind of input; and the fate of the new ones.

    `inputs` are the rows to store, by table; `replaced` the customers whose stored rows they
    replace; `revision_reasons` the customers whose final rows may change, with the reason.
    """

    customers: pa.Array | None
    rows: dict[str, pa.Table] = field(default_factory=dict)
    inputs: dict[str, pa.Table] = field(default_factory=dict)
    replaced: dict[str, frozenset[str]] = field(default_factory=dict)
    revision_reasons: dict[str, str] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    refused: list[pa.Table] = field(default_factory=list)  # new rows of excluded customers
    withdrawn: list[pa.Table] = field(default_factory=list)  # stored rows of excluded customers
    #: Mask of the rows of a kind whose id another customer owns.
    owned_by_other: Callable[[str, pa.Table], Bools] = lambda _, rows: np.zeros(rows.num_rows, bool)

    def mark_replaced(self, table: str, customers: frozenset[str]) -> None:
        """Note that the stored rows of these customers are replaced."""
        if customers:
            self.replaced[table] = self.replaced.get(table, frozenset()) | customers


@dataclass(frozen=True)
class CustomerMerger:
    """How new rows are merged with stored ones; `state` is None in a full rebuild.

    `complete_until` gives the time before which events of a source are late; `repair` the times
    [from, to) whose late events are released (microseconds). `is_changed`: operational tables have
    changed, so that all customers with a deadline are reprocessed. `relink`: the customers whose
    stored rows are resolved again; then no others are reprocessed. `rescores`: all customers are
    reprocessed, as if nothing had been made of their rows before.
    """

    state: StateReader | None
    max_events: int
    lateness: int
    complete_until: Callable[[str], int]
    repair: tuple[int, int] | None = None
    is_changed: bool = False
    relink: Relink | None = None
    rescores: bool = False
    rows_at_once: int = 64_000

    @property
    def published(self) -> StateReader | None:
        """The tables whose final rows stand; None where all are made anew."""
        return None if self.rescores else self.state

    def affected_customers(
        self,
        keys: tuple[str, str],
        new: Mapping[str, pa.Table],
        watermarks: Mapping[str, int],
        x_watermarks: Mapping[str, int],
        superseded_customers: Iterable[str] = (),
    ) -> Iterator[pa.Array | None]:
        """Yield the customers of a range of keys to reprocess, some at a time; None: all there are.

        Customers in `superseded_customers` have stored rows whose ids others own now.
        """
        if self.state is None:
            yield None
            return
        if self.relink is not None:
            rows = self.state.row_counts(EVENTS, self.relink.customers)
            yield from self.relink.parts(rows, self.rows_at_once)
            return
        candidates = [flat(rows.column(contract.CUSTOMER_KEY)).cast(TEXT) for rows in new.values()]
        candidates.append(text([key for key in superseded_customers if keys[0] <= key < keys[1]]))
        candidates += self._due_customers(keys, watermarks, x_watermarks)
        released = self.released_late_events(*keys)
        if released is not None:
            candidates.append(flat(released.column(contract.CUSTOMER_KEY)).cast(TEXT))
        affected = sorted_distinct(pa.concat_arrays(candidates))
        if len(affected):
            yield from self._parts(affected)

    def _due_customers(
        self,
        keys: tuple[str, str],
        watermarks: Mapping[str, int],
        x_watermarks: Mapping[str, int],
    ) -> list[pa.Array]:
        """Return the customers of a range of keys who are reprocessed without new rows."""
        assert self.state is not None
        if self.rescores:
            return [self.state.customers(table, *keys) for table in TABLE_OF_KIND.values()]
        deadlines = self.state.between(pending.PENDING.name, *keys)
        if deadlines is None:
            return []
        if self.is_changed:
            return [flat(deadlines.column(contract.CUSTOMER_KEY)).cast(TEXT)]
        return [pending.due(deadlines, watermarks, x_watermarks, self.lateness)]

    def _parts(self, customers: pa.Array) -> Iterator[pa.Array]:
        """Split customers so that each part has about `rows_at_once` stored events."""
        assert self.state is not None
        before = np.cumsum(self.state.row_counts(EVENTS, customers)) // self.rows_at_once
        edges = [0, *(np.flatnonzero(np.diff(before)) + 1).tolist(), len(customers)]
        for start, stop in pairwise(edges):
            if stop > start:
                yield customers.slice(start, stop - start)

    def released_late_events(self, low: str, high: str) -> pa.Table | None:
        """Return the late events that a repair releases, of customers with keys in [low, high)."""
        late = self.state.between(LATE, low, high) if self.state and self.repair else None
        return None if late is None else late.filter(arrow(self._in_repair(late)))

    def is_late(self, rows: pa.Table | pa.RecordBatch) -> Bools:
        """Return the mask of new events that are late: they wait in `late` for a repair."""
        if self.state is None:
            return np.zeros(rows.num_rows, bool)
        return merge_rows.is_too_late(rows, self.complete_until)

    def is_foreign(
        self, kind: str, rows: pa.Table, owned_by_other: Callable[[str, pa.Table], Bools]
    ) -> Bools:
        """Return the mask of new rows whose id another customer owns; late events own apart."""
        foreign = owned_by_other(kind, rows)
        if kind != "interaction":
            return foreign
        return np.where(self.is_late(rows), owned_by_other(LATE, rows), foreign)

    def merge(
        self,
        new: Mapping[str, pa.Table],
        customers: pa.Array | None,
        owned_by_other: Callable[[str, pa.Table], Bools] | None = None,
    ) -> MergedRows:
        """Merge new and stored rows of the customers (None: of all customers in `new`).

        Rows whose id another customer owns (`owned_by_other`) are left out.
        """
        merged = MergedRows(customers)
        if owned_by_other is not None:
            merged.owned_by_other = owned_by_other
        if self.relink is not None and customers is not None:
            self._move_late(self.relink, customers, merged)
        for kind, table in TABLE_OF_KIND.items():
            stored = self._stored(kind, customers)
            received = _of(new.get(kind), customers)
            if received is None and stored is None and not (self.repair and kind == "interaction"):
                continue
            self._merge_kind(
                kind, table, stored, _empty(kind) if received is None else received, merged
            )
        return merged

    def _merge_kind(
        self, kind: str, table: str, stored: pa.Table | None, received: pa.Table, merged: MergedRows
    ) -> None:
        if kind == "interaction" and self.state is not None:
            received = self._in_time(received, stored, merged)
        is_foreign = None if stored is None else merged.owned_by_other(kind, stored)
        upserted = merge_rows.upsert(stored, received, is_foreign)
        if self.relink is not None and merged.customers is not None:
            customers = frozenset(merged.customers.to_pylist())
            upserted = replace(upserted, replaced=upserted.replaced | customers)
        merged.counts["duplicate"] += upserted.n_duplicate
        self._note_reasons(kind, received, upserted, merged)
        if kind not in customer_records.CONTRACTS:
            upserted = self._without_excluded(kind, table, upserted, merged)
        merged.counts["kept"] += int(upserted.is_new.sum()) - upserted.n_superseded
        merged.rows[kind] = upserted.rows
        merged.mark_replaced(table, upserted.replaced)
        to_store = upserted.is_new | _is_customer_in(upserted.rows, upserted.replaced)
        kept = upserted.rows if to_store.all() else upserted.rows.filter(arrow(to_store))
        merged.inputs[table] = _as_stored(kind, kept)

    def _note_reasons(
        self, kind: str, received: pa.Table, upserted: UpsertResult, merged: MergedRows
    ) -> None:
        """Note customers whose final rows may change.

        New events that are in time change no final row; new records and answers may.
        """
        if self.state is None:
            return
        reason = {"interaction": "late event", "experience": "answer"}.get(kind, "record")
        if self.relink is not None:
            reason = IDENTITY
        customers = upserted.replaced
        if kind in customer_records.CONTRACTS:
            customers |= merge_rows.customers_of(received)
        merged.revision_reasons.update(dict.fromkeys(sorted(customers), reason))

    # --- late events, excluded customers --------------------------------------------------------

    def _in_time(self, received: pa.Table, stored: pa.Table | None, merged: MergedRows) -> pa.Table:
        """Move late events to `late`; return those in time, and those that a repair releases."""
        assert self.state is not None
        waiting = None if merged.customers is None else self.state.rows(LATE, merged.customers)
        excluded = self._excluded("interaction", merged.customers)  # refused whether late or not
        is_late = self.is_late(received) & ~_is_customer_in(received, excluded)
        late, received = received.filter(arrow(is_late)), received.filter(arrow(~is_late))
        if waiting is not None and self.repair:
            received = self._with_released(waiting, received, merged)
        if late.num_rows:
            self._store_late(late, stored, waiting, merged)
        return received

    def _store_late(
        self, late: pa.Table, stored: pa.Table | None, waiting: pa.Table | None, merged: MergedRows
    ) -> None:
        """Keep late events that win over all copies of their id, stored or waiting, in `late`.

        They replace the waiting copies that they beat; all others are duplicates.
        """
        if waiting is not None:
            waiting = encoded_tables.encode(waiting, INPUTS["interaction"].contract)
        known = [None if rows is None else _with_id_in(rows, late) for rows in (stored, waiting)]
        is_first, beaten = merge_rows.first_late_copies(late, *known)
        fresh = late.filter(arrow(is_first))
        n_beaten = 0
        if waiting is not None and beaten is not None and beaten.num_rows:
            customers, n_beaten = merge_rows.customers_of(beaten), beaten.num_rows
            merged.mark_replaced(LATE, customers)
            left = waiting.filter(
                arrow(_is_customer_in(waiting, customers) & ~_has_id_in(waiting, [beaten]))
            )
            merged.inputs[LATE] = _concat([merged.inputs.get(LATE), left])
        merged.counts["late"] += fresh.num_rows - n_beaten
        merged.counts["duplicate"] += late.num_rows - fresh.num_rows + n_beaten
        stamped = merge_rows.with_lateness(fresh, self.complete_until)
        merged.inputs[LATE] = _concat([merged.inputs.get(LATE), stamped])

    def _with_released(self, waiting: pa.Table, received: pa.Table, merged: MergedRows) -> pa.Table:
        """Move late events of the repaired times from `late` to the received ones."""
        chosen = self._in_repair(waiting)
        if not chosen.any():
            return received
        released = waiting.filter(arrow(chosen)).drop_columns([merge_rows.LATENESS.name])
        customers = merge_rows.customers_of(released)
        merged.counts["late"] -= released.num_rows
        merged.revision_reasons.update(dict.fromkeys(sorted(customers), "late event"))
        merged.mark_replaced(LATE, customers)
        merged.inputs[LATE] = waiting.filter(arrow(~chosen & _is_customer_in(waiting, customers)))
        is_foreign = merged.owned_by_other("interaction", released)
        merged.counts["duplicate"] += int(is_foreign.sum())
        released = released.filter(arrow(~is_foreign))
        return _concat([received, encoded_tables.encode(released, INPUTS["interaction"].contract)])

    def _move_late(self, relink: Relink, customers: pa.Array, merged: MergedRows) -> None:
        """Move waiting late events to the customers who own their identities now."""
        assert self.state is not None
        waiting = self.state.rows(LATE, customers)
        if waiting is not None:
            merged.mark_replaced(LATE, frozenset(customers.to_pylist()))
            merged.inputs[LATE] = to_persons(waiting, relink.links)

    def _in_repair(self, late: pa.Table) -> Bools:
        assert self.repair is not None
        time = values(late.column("time"))
        return np.asarray((time >= self.repair[0]) & (time < self.repair[1]))

    def _without_excluded(
        self, kind: str, table: str, upserted: UpsertResult, merged: MergedRows
    ) -> UpsertResult:
        """Drop the rows of customers above the event cap, now or in an earlier run."""
        is_excluded = over_event_cap(upserted.rows, self.max_events)
        known = self._excluded(kind, merged.customers)
        is_excluded |= _is_customer_in(upserted.rows, known)
        if not is_excluded.any():
            return upserted
        excluded = merge_rows.customers_of(upserted.rows.filter(arrow(is_excluded)))
        refused = upserted.rows.filter(arrow(is_excluded & upserted.is_new))
        before = upserted.rows.filter(arrow(is_excluded & ~upserted.is_new))
        merged.refused.append(merge_rows.event_cap_rejects(refused, self.max_events))
        if before.num_rows:
            merged.withdrawn.append(merge_rows.event_cap_rejects(before, self.max_events))
            merged.mark_replaced(table, merge_rows.customers_of(before))
        exclusions = pa.table(
            {
                contract.CUSTOMER_KEY: text(sorted(excluded - known)),
                "kind": text([kind] * len(excluded - known)),
            }
        )
        merged.inputs[EXCLUDED.name] = _concat([merged.inputs.get(EXCLUDED.name), exclusions])
        return upserted.without(is_excluded)

    def _excluded(self, kind: str, customers: pa.Array | None) -> frozenset[str]:
        if self.state is None or customers is None:
            return frozenset()
        rows = self.state.rows(EXCLUDED.name, customers)
        if rows is None:
            return frozenset()
        return merge_rows.customers_of(rows.filter(pc.equal(rows.column("kind"), kind)))

    # --- stored rows ----------------------------------------------------------------------------

    def _stored(self, kind: str, customers: pa.Array | None) -> pa.Table | None:
        """Return the accepted rows of the customers as they arrived; None where there are none."""
        rows = self._read_stored(kind, customers)
        if rows is None or self.relink is None:
            return rows
        return to_persons(rows, self.relink.links)

    def _read_stored(self, kind: str, customers: pa.Array | None) -> pa.Table | None:
        if self.state is None or customers is None:
            return None
        rows = self.state.rows(TABLE_OF_KIND[kind], customers)
        if rows is None:
            return None
        if kind in customer_records.CONTRACTS:
            return customer_records.accepted(kind, rows)
        if kind == "experience":
            rows = self._with_texts(rows, customers)
        return encoded_tables.encode(rows, INPUTS[kind].contract)

    def _with_texts(self, answers: pa.Table, customers: pa.Array) -> pa.Table:
        """Add the redacted texts, which other tables store, to answers."""
        assert self.state is not None
        parts = [self.state.rows(name, customers) for name in ("texts", "texts_live")]
        kept = [
            part.select([contract.CUSTOMER_KEY, "x_id", TEXT_COLUMN])
            for part in parts
            if part is not None
        ]
        if not kept:
            return answers
        texts = pa.concat_tables(kept, promote_options="permissive")
        text_key = _key(texts, contract.CUSTOMER_KEY, "x_id")
        ref = pc.binary_join_element_wise(
            flat(answers.column("source")).cast(TEXT), flat(answers.column("id")).cast(TEXT), "/"
        )
        customer = flat(answers.column(contract.CUSTOMER_KEY)).cast(TEXT)
        at = pc.index_in(pc.binary_join_element_wise(customer, ref, "\x1f"), value_set=text_key)
        redacted = flat(texts.column(TEXT_COLUMN)).cast(TEXT).take(at)
        return answers.append_column(TEXT_COLUMN, redacted)


def _as_stored(kind: str, rows: pa.Table) -> pa.Table:
    """Return rows of a kind in the columns of the table that stores them."""
    if kind in customer_records.CONTRACTS:
        return customer_records.published(kind, rows)
    return rows.drop_columns([TEXT_COLUMN]) if TEXT_COLUMN in rows.column_names else rows


def _empty(kind: str) -> pa.Table:
    return INPUTS[kind].contract.pseudonymous(set()).empty_table()


def _of(rows: pa.Table | None, customers: pa.Array | None) -> pa.Table | None:
    if rows is None or customers is None:
        return rows
    customer = flat(rows.column(contract.CUSTOMER_KEY))
    selected = rows.filter(pc.is_in(customer.cast(TEXT), value_set=customers))
    return selected if selected.num_rows else None


def _is_customer_in(rows: pa.Table, customers: frozenset[str]) -> Bools:
    if not customers:
        return np.zeros(rows.num_rows, bool)
    customer = flat(rows.column(contract.CUSTOMER_KEY)).cast(TEXT)
    return values(pc.is_in(customer, value_set=text(sorted(customers))))


def _with_id_in(rows: pa.Table, others: pa.Table) -> pa.Table:
    """Return the rows whose (source, id) is in `others`."""
    return rows.filter(arrow(_has_id_in(rows, [others])))


def _has_id_in(rows: pa.Table, known: list[pa.Table]) -> Bools:
    """Return the mask of the rows whose (source, id) is in one of the tables."""
    if not known:
        return np.zeros(rows.num_rows, bool)
    others = pa.concat_arrays([_key(table, "source", "id") for table in known])
    return values(pc.is_in(_key(rows, "source", "id"), value_set=others))


def _key(rows: pa.Table, *names: str) -> pa.Array:
    columns = [flat(rows.column(name)).cast(TEXT) for name in names]
    return pc.binary_join_element_wise(*columns, "\x1f")


def _concat(tables: list[pa.Table | None]) -> pa.Table:
    return encoded_tables.concat(table for table in tables if table is not None)
