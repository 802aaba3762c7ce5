"""What a run publishes of customers who were published before: new final rows, and revisions.

A final row is published once. An ordinary run only adds rows of journeys that became final; where
a late event, a record or an answer changes a final row, the row is published again as its next
revision, with the reason. Rows of an answer are compared whenever their customer is looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rejse.transforms.columnar.arrays import Bools, Ints, arrow, flat, places, take, valid, values
from rejse.transforms.columnar.string_arrays import text
from rejse.transforms.feedback import output_tables as x_tables
from rejse.transforms.incremental.merge_customers import IDENTITY, MergedRows, StateReader
from rejse.transforms.incremental.merge_rows import names
from rejse.transforms.schema.registry import Column, Table
from rejse.transforms.scoring import output_tables as core
from rejse.transforms.scoring.output_tables import CUSTOMER, FINAL, JOURNEY, STAMP, TEXT

JOURNEYS, STEPS = "journeys", "steps"
SUPERSEDED = Table(
    "superseded", "journey that was published as final and exists no longer, and a successor",
    ("journey_id", "successor_id"), (
        JOURNEY, CUSTOMER,
        Column("successor_id", TEXT, "Journey that has events of it now; null: none has."),
    ),
)  # fmt: skip
_MARK = "\x1f"
_TOLD = ("journey_id", "customer_key", "revision", "revision_reason")


@dataclass
class Revised:
    """Rows to publish by table; customers whose published final rows they replace, by table."""

    tables: dict[str, pa.Table] = field(default_factory=dict)
    gone: dict[str, frozenset[str]] = field(default_factory=dict)


def revise(
    found: Mapping[str, pa.Table],
    met: MergedRows,
    recall: StateReader | None,
    otherwise: str = "late event",
) -> Revised:
    """Of all rows of some customers those that are not published yet, or otherwise.

    `otherwise` is the reason where neither a row nor a repair is one. Rows that replace others
    carry the columns `STAMP`: those of unchanged rows as they were, null where the run's own are
    meant.
    """
    if recall is None or met.customers is None:
        return Revised(dict(found))
    before = recall.rows(JOURNEYS, met.customers)
    known = _texts(before, "journey_id") if before is not None else text([])
    again = dict(met.again)
    if before is not None:
        now = _final(found[JOURNEYS])
        lost = ~_in(_texts(before, "journey_id"), _texts(now, "journey_id"))
        for who in names(before.filter(arrow(lost))):
            again.setdefault(who, otherwise)
    out = Revised()
    for name, rows in found.items():
        declared = x_tables.all_tables().get(name)
        if declared is None:
            out.tables[name] = rows
        elif name in core.tables():
            _core_rows(declared, rows, known, again, met, recall, out)
        else:
            stored = recall.rows(name, met.customers)
            _compared(declared, rows, stored, met.again, "answer", out)
    _superseded(found, before, recall, met, out)
    _reopened(found, before, again, recall, met, out)
    return out


def _reopened(
    found: Mapping[str, pa.Table], before: pa.Table | None, reasons: Mapping[str, str],
    recall: StateReader, met: MergedRows, out: Revised,
) -> None:  # fmt: skip
    """Rows of journeys that were final before, and then were not: they go on counting revisions."""
    revised: dict[str, tuple[int, str]] = {}
    live = recall.rows(JOURNEYS + "_live", met.customers) if met.customers is not None else None
    for one in () if live is None else live.select(list(_TOLD)).to_pylist():
        if one["revision"] > 1:
            revised[one["journey_id"]] = one["revision"], one["revision_reason"]
    now = set(_texts(found[JOURNEYS].filter(arrow(~_is_final(found[JOURNEYS]))), "journey_id")
              .to_pylist())  # fmt: skip
    for one in () if before is None else before.select(list(_TOLD)).to_pylist():
        if one["journey_id"] in now:
            reason = reasons.get(one["customer_key"], "late event")
            revised[one["journey_id"]] = one["revision"] + 1, reason
    if revised:
        for name in core.tables():
            out.tables[name] = _counting_on(out.tables[name], revised)


def _counting_on(rows: pa.Table, revised: Mapping[str, tuple[int, str]]) -> pa.Table:
    """The rows, those of some journeys with their number of revision and its reason."""
    found = [revised.get(one) for one in _texts(rows, "journey_id").to_pylist()]
    if not any(found):
        return rows
    number = np.array([one[0] if one else 0 for one in found], np.int32)
    made = {
        "revision": arrow(number, pa.int32(), number > 0),
        "revision_reason": text([one[1] if one else None for one in found]),
    }
    for name, column in made.items():
        if name in rows.column_names:
            rows = _with(rows, name, pc.coalesce(flat(rows.column(name)), column))
        else:
            rows = rows.append_column(name, column)
    return rows


def _core_rows(
    table: Table, rows: pa.Table, known: pa.Array, again: Mapping[str, str], met: MergedRows,
    recall: StateReader, out: Revised,
) -> None:  # fmt: skip
    """New final rows of quiet customers, all changes of the others."""
    who = text(sorted(again))
    is_again = _in(_texts(rows, "customer_key"), who)
    quiet = rows.filter(arrow(~is_again))
    published = _in(_texts(quiet, "journey_id"), known) & _is_final(quiet)
    quiet = quiet.filter(arrow(~published))
    if not len(who):
        out.tables[table.name] = quiet
        return
    stored = recall.rows(table.name, who)
    _compared(table, rows.filter(arrow(is_again)), stored, again, "late event", out)
    out.tables[table.name] = pa.concat_tables(
        [quiet, out.tables[table.name]], promote_options="permissive"
    ).unify_dictionaries()


def _compared(
    table: Table, rows: pa.Table, stored: pa.Table | None, reasons: Mapping[str, str],
    otherwise: str, out: Revised,
) -> None:  # fmt: skip
    """Final rows beside the published ones: those of customers for whom something differs."""
    live, final = rows.filter(arrow(~_is_final(rows))), _final(rows)
    if stored is None or not stored.num_rows:
        out.tables[table.name] = rows
        return
    here, there = _key(final, table), _key(stored, table)
    place = places(here, there)
    same = _contents(final, table).equals_at(_contents(stored, table), place)
    changed = (place >= 0) & ~same
    left = ~_in(there, here)
    gone = names(final.filter(arrow(changed))) | names(stored.filter(arrow(left)))
    replaced = _in(_texts(final, "customer_key"), text(sorted(gone)))
    fresh = final.filter(arrow(~replaced & (place < 0)))
    parts = [live, fresh]
    if replaced.any():
        at = np.flatnonzero(replaced)
        parts.append(_stamped(final, at, place[at], same[at], stored, reasons, otherwise))
    out.tables[table.name] = pa.concat_tables(
        parts, promote_options="permissive"
    ).unify_dictionaries()
    if gone:
        out.gone[table.name] = gone


def _stamped(
    final: pa.Table, at: Ints, place: Ints, same: Bools, stored: pa.Table,
    reasons: Mapping[str, str], otherwise: str,
) -> pa.Table:  # fmt: skip
    """Rows with their stamps: unchanged ones as they were, changed ones as the next revision."""
    rows = final.take(arrow(at, pa.int64()))
    kept = np.where(same, place, -1)
    for column in STAMP:
        old = flat(stored.column(column.name))
        if pa.types.is_dictionary(old.type):
            old = old.cast(TEXT)
        rows = rows.append_column(column.name, take(old, kept).cast(column.type))
    changed = (place >= 0) & ~same
    if not changed.any():
        return rows
    before = values(flat(stored.column("revision")))[np.where(place >= 0, place, 0)]
    number = np.where(same, before, before + 1).astype(np.int32)
    who = _texts(rows, "customer_key").to_pylist()
    why = [
        reasons.get(one, otherwise) if new else None for one, new in zip(who, changed, strict=True)
    ]
    old_why = _texts(rows, "revision_reason")
    rows = _with(rows, "revision", arrow(number, pa.int32(), place >= 0))
    return _with(rows, "revision_reason", pc.coalesce(old_why, text(why)))


def _with(rows: pa.Table, name: str, column: pa.Array) -> pa.Table:
    return rows.set_column(rows.column_names.index(name), name, column)


def _superseded(
    found: Mapping[str, pa.Table],
    before: pa.Table | None,
    recall: StateReader,
    met: MergedRows,
    out: Revised,
) -> None:
    """Published final journeys that are no more, with the journeys that have their events now;
    those that are there again are superseded no longer.
    """
    here = _texts(found[JOURNEYS], "journey_id")
    told = recall.rows(SUPERSEDED.name, met.customers) if met.customers is not None else None
    rows: list[tuple[str | None, ...]] = []
    if told is not None and (is_back := _in(_texts(told, "journey_id"), here)).any():
        who = out.gone[SUPERSEDED.name] = names(told.filter(arrow(is_back)))
        stays = ~is_back & _in(_texts(told, "customer_key"), text(sorted(who)))
        kept = told.filter(arrow(stays)).select([c.name for c in SUPERSEDED.columns])
        rows += [tuple(one.values()) for one in kept.to_pylist()]
    if before is not None:
        lost = before.filter(arrow(~_in(_texts(before, "journey_id"), here)))
        rows += _successors(lost, found[STEPS], recall, met) if lost.num_rows else []
    if rows:
        columns = [text([row[place] for row in rows]) for place in range(3)]
        out.tables[SUPERSEDED.name] = pa.table(columns, names=[c.name for c in SUPERSEDED.columns])


def _successors(
    lost: pa.Table, now: pa.Table, recall: StateReader, met: MergedRows
) -> list[tuple[str | None, ...]]:
    """Rows of `superseded` for lost journeys, by the events of their steps then and now."""
    steps = recall.rows(STEPS, met.customers) if met.customers is not None else None
    moved = frozenset(who for who, reason in met.again.items() if reason == IDENTITY)
    old = _events(steps, moved) if steps is not None else {}
    new: dict[str, list[str]] = {}
    for journey, events in _events(now, moved).items():
        for event in events:
            new.setdefault(event, []).append(journey)
    rows = []
    for one in lost.select(["journey_id", "customer_key"]).to_pylist():
        ids = {j for event in old.get(one["journey_id"], ()) for j in new.get(event, ())}
        after: list[str | None] = [*sorted(ids)]
        rows += [(*one.values(), successor) for successor in after or [None]]
    return rows


def _events(steps: pa.Table, moved: frozenset[str]) -> dict[str, set[str]]:
    """Events by journey, each as its customer's; those of customers among whom events have
    `moved` as anybody's.
    """
    out: dict[str, set[str]] = {}
    columns = (
        steps.column(name).to_pylist() for name in ("journey_id", "customer_key", "event_ids")
    )
    for journey, who, refs in zip(*columns, strict=True):
        whose = "" if who in moved else who
        out.setdefault(journey, set()).update(f"{whose}{_MARK}{ref}" for ref in refs)
    return out


@dataclass(frozen=True)
class _Contents:
    """The declared columns of rows, comparable by place."""

    columns: tuple[pa.Array, ...]

    def equals_at(self, other: _Contents, place: Ints) -> Bools:
        """Whether each row is that of another table at a place; false at -1."""
        same = np.asarray(place >= 0)
        for mine, theirs in zip(self.columns, other.columns, strict=True):
            there = take(theirs, place)
            equal = pc.equal(mine, there)
            both_null = ~valid(mine) & ~valid(there)
            same &= both_null | (values(equal) & valid(equal))
        return same


def _contents(rows: pa.Table, table: Table) -> _Contents:
    columns = [_plain(flat(rows.column(column.name))) for column in table.columns]
    return _Contents(tuple(columns))


def _plain(column: pa.Array) -> pa.Array:
    """A column whose values can be compared: lists as one text."""
    if pa.types.is_dictionary(column.type):
        return column.cast(column.type.value_type)
    if pa.types.is_list(column.type):
        return text(
            [None if one is None else _MARK.join(map(str, one)) for one in column.to_pylist()]
        )
    return column


def _key(rows: pa.Table, table: Table) -> pa.Array:
    columns = [_texts(rows, name) for name in table.key]
    return columns[0] if len(columns) == 1 else pc.binary_join_element_wise(*columns, _MARK)


def _in(column: pa.Array, among: pa.Array) -> Bools:
    return values(pc.is_in(column, value_set=among))


def _texts(rows: pa.Table, name: str) -> pa.Array:
    return flat(rows.column(name)).cast(TEXT)


def _is_final(rows: pa.Table) -> Bools:
    return np.asarray(values(rows.column(FINAL.name)))


def _final(rows: pa.Table) -> pa.Table:
    return rows.filter(arrow(_is_final(rows)))
