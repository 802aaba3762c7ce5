"""New rows meet what is stored of their customers: whole customers, each row once.

A customer is looked at again where a row of his came, where a deadline of his has passed, or where
a repair brings late events in; all that is stored of him is then read again, for a final journey
still tells later ones what it knows.
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
from rejse.transforms.columnar.arrays import Bools, Ints, arrow, flat, values
from rejse.transforms.columnar.string_arrays import text
from rejse.transforms.dimensions import customer_records
from rejse.transforms.identity.changed_links import Relink
from rejse.transforms.identity.resolve import to_persons
from rejse.transforms.incremental import merge_rows
from rejse.transforms.incremental.deduplicate import over_cap
from rejse.transforms.incremental.input_kinds import INPUTS
from rejse.transforms.incremental.merge_rows import UpsertResult
from rejse.transforms.schema import contract
from rejse.transforms.schema.registry import Column, Table
from rejse.transforms.scoring import pending
from rejse.transforms.scoring.output_tables import CUSTOMER, TEXT

EVENTS, LATE, ANSWERS = "events", "late", "answers"
#: In which table the accepted rows of each kind of input are kept.
STORED: Mapping[str, str] = {
    "interaction": EVENTS, "experience": ANSWERS,
    **{kind: kind for kind in customer_records.CONTRACTS},
}  # fmt: skip
#: Why rows of a customer are revised when others are linked with him, or no longer.
IDENTITY = "identity"
#: Texts are kept apart from what was answered.
APART = "text_redacted"
EXCLUDED = Table("excluded", "customer who is no person, and the kind of rows that told it",
                 ("customer_key", "kind"), (
    CUSTOMER, Column("kind", TEXT, "Kind of input: interaction or experience.", nullable=False),
))  # fmt: skip


class StateReader(Protocol):
    """What the last publication holds."""

    def rows(self, table: str, customers: pa.Array) -> pa.Table | None:
        """Rows of some customers (sorted keys); None where there are none."""

    def between(self, table: str, low: str, high: str) -> pa.Table | None:
        """Rows of the customers whose keys lie in [low, high); None where there are none."""

    def counted(self, table: str, customers: pa.Array) -> Ints:
        """About how many rows each of some customers has."""


@dataclass
class MergedRows:
    """All rows of some customers, each once, by kind; and what became of the new ones.

    `inputs` are the rows to be stored by table, `gone` the customers whose stored rows they
    replace; `again` those whose final rows may change, with the reason.
    """

    customers: pa.Array | None
    rows: dict[str, pa.Table] = field(default_factory=dict)
    inputs: dict[str, pa.Table] = field(default_factory=dict)
    gone: dict[str, frozenset[str]] = field(default_factory=dict)
    again: dict[str, str] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    refused: list[pa.Table] = field(default_factory=list)  # new rows
    taken_back: list[pa.Table] = field(default_factory=list)  # stored before, of excluded ones
    #: Of rows of a kind those whose id stays with another customer.
    elsewhere: Callable[[str, pa.Table], Bools] = lambda _, rows: np.zeros(rows.num_rows, bool)

    def replace(self, table: str, customers: frozenset[str]) -> None:
        """Rows of these customers stand no longer as they were stored."""
        if customers:
            self.gone[table] = self.gone.get(table, frozenset()) | customers


@dataclass(frozen=True)
class CustomerMerger:
    """How rows meet: `recall` is None where everything is read anew.

    `complete_until` says of a source's name before which time its events come too late, `repair`
    between which times (microseconds) late ones are brought in; `is_changed`: operational tables
    have changed, so that everybody with something pending is looked at again; `relink`: whose
    stored rows are resolved anew, and nobody else is looked at.
    """

    recall: StateReader | None
    max_events: int
    lateness: int
    complete_until: Callable[[str], int]
    repair: tuple[int, int] | None = None
    is_changed: bool = False
    relink: Relink | None = None
    rows_at_once: int = 64_000

    def customers(
        self,
        keys: tuple[str, str],
        new: Mapping[str, pa.Table],
        frontiers: Mapping[str, int],
        x_frontiers: Mapping[str, int],
        losers: Iterable[str] = (),
    ) -> Iterator[pa.Array | None]:
        """Customers of a range of keys who must be looked at, some at a time; None: all there.

        `losers` have stored rows whose ids stay with others.
        """
        if self.recall is None:
            yield None
            return
        if self.relink is not None:
            rows = self.recall.counted(EVENTS, self.relink.customers)
            yield from self.relink.parts(rows, self.rows_at_once)
            return
        found = [flat(rows.column(contract.CUSTOMER_KEY)).cast(TEXT) for rows in new.values()]
        found.append(text([who for who in losers if keys[0] <= who < keys[1]]))
        waiting = self.recall.between(pending.PENDING.name, *keys)
        if waiting is not None:
            due = pending.due(waiting, frontiers, x_frontiers, self.lateness)
            found.append(
                flat(waiting.column("customer_key")).cast(TEXT) if self.is_changed else due
            )
        brought = self.brought(*keys)
        if brought is not None:
            found.append(flat(brought.column("customer_key")).cast(TEXT))
        everyone = pc.unique(pa.concat_arrays(found))
        everyone = everyone.take(pc.sort_indices(everyone))
        if len(everyone):
            yield from self._parts(everyone)

    def _parts(self, customers: pa.Array) -> Iterator[pa.Array]:
        """As many customers at once as have some stored rows together."""
        assert self.recall is not None
        before = np.cumsum(self.recall.counted(EVENTS, customers)) // self.rows_at_once
        edges = [0, *(np.flatnonzero(np.diff(before)) + 1).tolist(), len(customers)]
        for start, stop in pairwise(edges):
            if stop > start:
                yield customers.slice(start, stop - start)

    def brought(self, low: str, high: str) -> pa.Table | None:
        """Late events that a repair brings in, of the customers whose keys lie in [low, high)."""
        late = self.recall.between(LATE, low, high) if self.recall and self.repair else None
        return None if late is None else late.filter(arrow(self._in_repair(late)))

    def waits(self, rows: pa.Table | pa.RecordBatch) -> Bools:
        """Which new events come too late, so that they wait for a repair to bring them in."""
        if self.recall is None:
            return np.zeros(rows.num_rows, bool)
        return merge_rows.too_late(rows, self.complete_until)

    def meet(
        self,
        new: Mapping[str, pa.Table],
        customers: pa.Array | None,
        elsewhere: Callable[[str, pa.Table], Bools] | None = None,
    ) -> MergedRows:
        """All rows of the customers (None: of all who are in `new`), but those whose id stays
        `elsewhere`.
        """
        met = MergedRows(customers)
        if elsewhere is not None:
            met.elsewhere = elsewhere
        if self.relink is not None and customers is not None:
            self._move_late(self.relink, customers, met)
        for kind, table in STORED.items():
            stored = self._stored(kind, customers)
            came = _of(new.get(kind), customers)
            if came is None and stored is None and not (self.repair and kind == "interaction"):
                continue
            self._take(kind, table, stored, _empty(kind) if came is None else came, met)
        return met

    def _take(
        self, kind: str, table: str, stored: pa.Table | None, came: pa.Table, met: MergedRows
    ) -> None:
        if kind == "interaction" and self.recall is not None:
            came = self._in_time(came, stored, met)
        away = None if stored is None else met.elsewhere(kind, stored)
        arrived = merge_rows.arrive(stored, came, away)
        if self.relink is not None and met.customers is not None:
            who = frozenset(met.customers.to_pylist())
            arrived = replace(arrived, replaced=arrived.replaced | who)
        met.counts["duplicate"] += arrived.n_duplicate
        self._note(kind, came, arrived, met)
        if kind not in customer_records.CONTRACTS:
            arrived = self._without_crowds(kind, table, arrived, met)
        met.counts["kept"] += int(arrived.is_new.sum()) - arrived.n_lost
        met.rows[kind] = arrived.rows
        met.replace(table, arrived.replaced)
        told = arrived.is_new | _are_of(arrived.rows, arrived.replaced)
        kept = arrived.rows if told.all() else arrived.rows.filter(arrow(told))
        met.inputs[table] = _as_stored(kind, kept)

    def _note(self, kind: str, came: pa.Table, arrived: UpsertResult, met: MergedRows) -> None:
        """Whose final rows may change: new rows in time change none but those of answers."""
        if self.recall is None:
            return
        reason = {"interaction": "late event", "experience": "answer"}.get(kind, "record")
        if self.relink is not None:
            reason = IDENTITY
        who = arrived.replaced
        if kind in customer_records.CONTRACTS:
            who |= merge_rows.names(came)
        met.again.update(dict.fromkeys(sorted(who), reason))

    # --- too late, too many -------------------------------------------------------------------

    def _in_time(self, came: pa.Table, stored: pa.Table | None, met: MergedRows) -> pa.Table:
        """The new events without those that came too late, and with those of a repair."""
        assert self.recall is not None
        held = None if met.customers is None else self.recall.rows(LATE, met.customers)
        crowd = self._excluded("interaction", met.customers)  # refused whenever they happened
        is_late = self.waits(came) & ~_are_of(came, crowd)
        late, came = came.filter(arrow(is_late)), came.filter(arrow(~is_late))
        if held is not None and self.repair:
            came = self._repaired(held, came, met)
        if late.num_rows:
            self._wait(late, stored, held, met)
        return came

    def _wait(
        self, late: pa.Table, stored: pa.Table | None, held: pa.Table | None, met: MergedRows
    ) -> None:
        """Late events wait that are the first of their id, or stand before its stored copy and
        those that wait already, whose place they take; the others are duplicates.
        """
        if held is not None:
            held = encoded_tables.encode(held, INPUTS["interaction"].contract)
        known = [None if one is None else _among(one, late) for one in (stored, held)]
        wins, beaten = merge_rows.contest(late, *known)
        fresh = late.filter(arrow(wins))
        lost = 0
        if held is not None and beaten is not None and beaten.num_rows:
            who, lost = merge_rows.names(beaten), beaten.num_rows
            met.replace(LATE, who)
            left = held.filter(arrow(_are_of(held, who) & ~_are_among(held, [beaten])))
            met.inputs[LATE] = _together([met.inputs.get(LATE), left])
        met.counts["late"] += fresh.num_rows - lost
        met.counts["duplicate"] += late.num_rows - fresh.num_rows + lost
        told = merge_rows.with_lateness(fresh, self.complete_until)
        met.inputs[LATE] = _together([met.inputs.get(LATE), told])

    def _repaired(self, held: pa.Table, came: pa.Table, met: MergedRows) -> pa.Table:
        """Late events of the time of the repair join those that came, and leave `late`."""
        chosen = self._in_repair(held)
        if not chosen.any():
            return came
        brought = held.filter(arrow(chosen)).drop_columns([merge_rows.LATENESS.name])
        who = merge_rows.names(brought)
        met.counts["late"] -= brought.num_rows
        met.again.update(dict.fromkeys(sorted(who), "late event"))
        met.replace(LATE, who)
        met.inputs[LATE] = held.filter(arrow(~chosen & _are_of(held, who)))
        away = met.elsewhere("interaction", brought)
        met.counts["duplicate"] += int(away.sum())
        brought = brought.filter(arrow(~away))
        return _together([came, encoded_tables.encode(brought, INPUTS["interaction"].contract)])

    def _move_late(self, relink: Relink, customers: pa.Array, met: MergedRows) -> None:
        """Events that came too late wait with the customers whose they are now."""
        assert self.recall is not None
        held = self.recall.rows(LATE, customers)
        if held is not None:
            met.replace(LATE, frozenset(customers.to_pylist()))
            met.inputs[LATE] = to_persons(held, relink.links)

    def _in_repair(self, late: pa.Table) -> Bools:
        assert self.repair is not None
        time = values(late.column("time"))
        return np.asarray((time >= self.repair[0]) & (time < self.repair[1]))

    def _without_crowds(
        self, kind: str, table: str, arrived: UpsertResult, met: MergedRows
    ) -> UpsertResult:
        """Without the rows of customers above the event cap, now or in an earlier run."""
        many = over_cap(arrived.rows, self.max_events)
        known = self._excluded(kind, met.customers)
        many |= _are_of(arrived.rows, known)
        if not many.any():
            return arrived
        crowd = merge_rows.names(arrived.rows.filter(arrow(many)))
        refused = arrived.rows.filter(arrow(many & arrived.is_new))
        before = arrived.rows.filter(arrow(many & ~arrived.is_new))
        met.refused.append(merge_rows.capped(refused, self.max_events))
        if before.num_rows:
            met.taken_back.append(merge_rows.capped(before, self.max_events))
            met.replace(table, merge_rows.names(before))
        told = pa.table(
            {"customer_key": text(sorted(crowd - known)), "kind": text([kind] * len(crowd - known))}
        )
        met.inputs[EXCLUDED.name] = _together([met.inputs.get(EXCLUDED.name), told])
        return arrived.without(many)

    def _excluded(self, kind: str, customers: pa.Array | None) -> frozenset[str]:
        if self.recall is None or customers is None:
            return frozenset()
        found = self.recall.rows(EXCLUDED.name, customers)
        if found is None:
            return frozenset()
        return merge_rows.names(found.filter(pc.equal(found.column("kind"), kind)))

    # --- what is stored -----------------------------------------------------------------------

    def _stored(self, kind: str, customers: pa.Array | None) -> pa.Table | None:
        """Accepted rows of the customers, as they came; None where there are none."""
        rows = self._recalled(kind, customers)
        if rows is None or self.relink is None:
            return rows
        return to_persons(rows, self.relink.links)

    def _recalled(self, kind: str, customers: pa.Array | None) -> pa.Table | None:
        if self.recall is None or customers is None:
            return None
        found = self.recall.rows(STORED[kind], customers)
        if found is None:
            return None
        if kind in customer_records.CONTRACTS:
            return customer_records.accepted(kind, found)
        if kind == "experience":
            found = self._with_texts(found, customers)
        return encoded_tables.encode(found, INPUTS[kind].contract)

    def _with_texts(self, answers: pa.Table, customers: pa.Array) -> pa.Table:
        """Answers with their redacted texts, which lie apart."""
        assert self.recall is not None
        parts = [self.recall.rows(name, customers) for name in ("texts", "texts_live")]
        kept = [p.select(["customer_key", "x_id", APART]) for p in parts if p is not None]
        if not kept:
            return answers
        texts = pa.concat_tables(kept, promote_options="permissive")
        mine = _key(texts, "customer_key", "x_id")
        ref = pc.binary_join_element_wise(
            flat(answers.column("source")).cast(TEXT), flat(answers.column("id")).cast(TEXT), "/"
        )
        who = flat(answers.column("customer_key")).cast(TEXT)
        at = pc.index_in(pc.binary_join_element_wise(who, ref, "\x1f"), value_set=mine)
        said = flat(texts.column(APART)).cast(TEXT).take(at)
        return answers.append_column(APART, said)


def _as_stored(kind: str, rows: pa.Table) -> pa.Table:
    """Rows of a kind as its table holds them."""
    if kind in customer_records.CONTRACTS:
        return customer_records.published(kind, rows)
    return rows.drop_columns([APART]) if APART in rows.column_names else rows


def _empty(kind: str) -> pa.Table:
    return INPUTS[kind].contract.pseudonymous(set()).empty_table()


def _of(rows: pa.Table | None, customers: pa.Array | None) -> pa.Table | None:
    if rows is None or customers is None:
        return rows
    who = flat(rows.column(contract.CUSTOMER_KEY))
    found = rows.filter(pc.is_in(who.cast(TEXT), value_set=customers))
    return found if found.num_rows else None


def _are_of(rows: pa.Table, customers: frozenset[str]) -> Bools:
    if not customers:
        return np.zeros(rows.num_rows, bool)
    who = flat(rows.column(contract.CUSTOMER_KEY)).cast(TEXT)
    return values(pc.is_in(who, value_set=text(sorted(customers))))


def _among(rows: pa.Table, others: pa.Table) -> pa.Table:
    """Rows whose (source, id) others have."""
    return rows.filter(arrow(_are_among(rows, [others])))


def _are_among(rows: pa.Table, known: list[pa.Table]) -> Bools:
    """Rows whose (source, id) others have."""
    if not known:
        return np.zeros(rows.num_rows, bool)
    others = pa.concat_arrays([_key(one, "source", "id") for one in known])
    return values(pc.is_in(_key(rows, "source", "id"), value_set=others))


def _key(rows: pa.Table, *names: str) -> pa.Array:
    columns = [flat(rows.column(name)).cast(TEXT) for name in names]
    return pc.binary_join_element_wise(*columns, "\x1f")


def _together(tables: list[pa.Table | None]) -> pa.Table:
    return encoded_tables.concat(one for one in tables if one is not None)
