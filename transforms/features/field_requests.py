"""Fields requested from customers, given by them and passed between steps.

A request is op `asked`, or `given` without a request for that field in that step. It is a re-ask if
an earlier event of the journey gave the field. For steps whose events log no fields,
`touchpoint_fields` may declare them. Where neither does, a repeated question activity is an
inferred re-ask. The three are kept apart by `basis`: 0 observed, 1 declared, 2 inferred.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rejse.transforms.columnar.arrays import NULL, Bools, Ints, values
from rejse.transforms.columnar.event_table import Categorical
from rejse.transforms.columnar.groups import Array, Groups, numbered, pick
from rejse.transforms.columnar.radix_sort import sorted_by
from rejse.transforms.dimensions.tables import Operational
from rejse.transforms.dimensions.validity import FAR, bound
from rejse.transforms.features.steps import Steps
from rejse.transforms.journeys.sessionise import SessionisedEvents

BASES = ("observed", "declared", "inferred")
OBSERVED, DECLARED, INFERRED = range(3)
GIVEN, ASKED, PASSED, VERIFY, OTHER = range(5)
_OPS = {"given": GIVEN, "asked": ASKED, "passed": PASSED, "shown": PASSED, "verify": VERIFY}
_DECLARED_OPS = {"asks": GIVEN, "knows": PASSED, "passes": PASSED}


def valid_fields(table: pa.Table) -> None:
    """Check the ops of `touchpoint_fields`. Raises ValueError, naming the row."""
    for number, op in enumerate(table.column("op").to_pylist(), start=1):
        if op not in _DECLARED_OPS:
            expected = ", ".join(_DECLARED_OPS)
            raise ValueError(f"row {number}: expected an op {expected}, came {op!r}")


@dataclass(frozen=True)
class Entries:
    """One row for each field that an event names, in order of events."""

    row: Ints
    field: Categorical
    op: Ints
    value: Categorical
    basis: Ints

    def rows(self, at: Array) -> Entries:
        """Select entries by row."""
        return Entries(
            self.row[at], self.field.rows(at), self.op[at], self.value.rows(at), self.basis[at]
        )


@dataclass(frozen=True)
class Requests:
    """One row a step and field requested in it; rows are sessionised events."""

    step: Ints
    row: Ints  # event that requested it first
    field: Categorical
    again_row: Ints  # event that requested it again, else the first
    known_row: Ints  # event that first gave the field, -1 if none did before
    is_reask: Bools
    basis: Ints
    value_agrees: Ints  # 1, 0, -1 unknown


@dataclass(frozen=True)
class FieldRequests:
    """Entries of the events' fields, and the requests made of them."""

    entries: Entries
    asks: Bools  # entries that request the field from the customer
    requests: Requests

    def given(self, sessionised: SessionisedEvents, declared: bool) -> tuple[Ints, Categorical]:
        """Return the event that first gave each (journey, field), in order, and the field."""
        allowed = self.entries.basis <= (DECLARED if declared else OBSERVED)
        gave = self.entries.rows(np.flatnonzero(allowed & (self.entries.op == GIVEN)))
        first = np.sort(numbered(entry_keys(sessionised, gave))[1])
        return gave.row[first], gave.field.rows(first)


def field_requests(
    sessionised: SessionisedEvents,
    steps: Steps,
    data: Operational,
    volatile: tuple[str, ...],
    questions: tuple[str, ...],
) -> FieldRequests:
    """Return the entries and requests of all journeys.

    `volatile` fields are left out; `questions` are activities that ask the customer something.
    """
    observed = _observed(sessionised)
    logged = _names_fields(steps, observed, sessionised)
    declared = _declared(sessionised, steps, data, ~logged)
    inferred = _inferred(
        sessionised, ~logged & ~_names_fields(steps, declared, sessionised), questions
    )
    entries = _joined([observed, declared, inferred])
    keep = ~entries.field.of_names(volatile) & (entries.op != OTHER)
    entries = entries.rows(np.flatnonzero(keep))
    asks = _asks(sessionised, entries)
    return FieldRequests(entries, asks, _requests(sessionised, entries, asks))


def _observed(sessionised: SessionisedEvents) -> Entries:
    """Return the entries that events log in `info`."""
    if not sessionised.events.has("info"):
        return _none()
    rows = np.flatnonzero(sessionised.events.carries("info"))
    info = sessionised.events.rows(rows).column("info")
    row = rows[values(pc.list_parent_indices(info)).astype(np.int64)]
    items = pc.list_flatten(info)
    op = Categorical.of(pc.struct_field(items, "op"))
    field = Categorical.of(pc.struct_field(items, "field"))
    ops = op.lookup([_OPS.get(n, OTHER) for n in op.names.to_pylist()], OTHER)
    ops = np.where(field.known, ops, OTHER)
    value = Categorical.of(pc.struct_field(items, "value_hmac"))
    return Entries(row, field, ops, value, np.full(len(row), OBSERVED))


def _declared(
    sessionised: SessionisedEvents, steps: Steps, data: Operational, silent: Bools
) -> Entries:
    """Return the entries that `touchpoint_fields` declares for steps whose events log none."""
    parts = [_none()]
    if not silent.any() or not len(data.fields):
        return parts[0]
    time = sessionised.events.time[steps.first]
    names = {n: code for code, n in enumerate(steps.touchpoint.names.to_pylist())}
    since, until = bound(data.fields, "valid_from", -FAR), bound(data.fields, "valid_to", FAR)
    for i, declaration in enumerate(data.fields.select(["touchpoint", "field", "op"]).to_pylist()):
        here = silent & (steps.touchpoint.codes == names.get(declaration["touchpoint"], len(names)))
        rows = steps.first[here & (since[i] <= time) & (time < until[i])]
        op = _DECLARED_OPS.get(declaration["op"], OTHER)
        parts.append(_entries(rows, declaration["field"], op, DECLARED))
    return _joined(parts)


def _inferred(sessionised: SessionisedEvents, silent: Bools, questions: tuple[str, ...]) -> Entries:
    """Return question activities as entries, for steps with no other entry."""
    questions_asked = sessionised.events.is_any("activity", *questions)
    rows = (
        np.flatnonzero(questions_asked & silent[sessionised.steps.ids])
        if questions_asked.any()
        else np.zeros(0, int)
    )
    field = sessionised.events.coded("activity").rows(rows)
    size = len(rows)
    return Entries(
        rows, field, np.full(size, GIVEN), Categorical.nulls(size), np.full(size, INFERRED)
    )


def _asks(sessionised: SessionisedEvents, entries: Entries) -> Bools:
    """Return the entries that request: `asked`, or `given` without a request in that step.

    Neither a verification nor the answer to it is a request.
    """
    place = _place(sessionised, entries)
    order = sorted_by(place)
    places = Groups.of(place[order])
    asks = (entries.op == ASKED) | (entries.op == VERIFY)
    asked_here = np.empty(len(place), bool)
    asked_here[order] = places.broadcast(places.any(asks[order]))
    return np.asarray((entries.op == ASKED) | ((entries.op == GIVEN) & ~asked_here))


def _requests(sessionised: SessionisedEvents, entries: Entries, asks: Bools) -> Requests:
    """Group the entries that request by step and field."""
    step, place = sessionised.steps.ids[entries.row], _place(sessionised, entries)
    known = np.full(len(step), NULL, dtype=np.int64)
    basis = entries.basis.copy()
    for level in (OBSERVED, DECLARED, INFERRED):
        if not (entries.basis == level).any():
            continue
        before = _given_before(sessionised, entries, level)
        fresh = (known == NULL) & (before >= 0)
        known = np.where(fresh, before, known)
        basis = np.where(fresh, np.maximum(basis, level), basis)
    rows = np.flatnonzero(asks)
    rows = rows[sorted_by(place[rows], entries.row[rows])]
    groups = Groups.of(place[rows])
    again = groups.first_row(known[rows] >= 0)
    proof = rows[np.where(again >= 0, again, groups.starts)]
    return Requests(
        step[proof],
        entries.row[rows[groups.starts]],
        entries.field.rows(proof),
        entries.row[proof],
        known[proof],
        again >= 0,
        basis[proof],
        _agreement(sessionised, entries, proof, place),
    )


def _given_before(sessionised: SessionisedEvents, entries: Entries, level: int) -> Ints:
    """Return the event before each entry that first gave its field, -1 if none.

    Bases up to `level` count. An inferred entry is compared only with inferred ones of an earlier
    step.
    """
    inferred = level == INFERRED
    reads = entries.basis == INFERRED if inferred else entries.basis <= level
    gives = np.flatnonzero(reads & (entries.op == GIVEN))
    key = entry_keys(sessionised, entries)
    keys, first, _ = numbered(key[gives])
    at = np.searchsorted(keys, key)
    at = np.where((at < len(keys)) & reads, at, NULL)
    hit = (at >= 0) & (pick(keys, at) == key)
    source = pick(entries.row[gives][first], np.where(hit, at, NULL))
    own_step = sessionised.steps.starts[sessionised.steps.ids[entries.row]]
    earlier = source < (own_step if inferred else entries.row)
    return np.where(hit & earlier, source, NULL)


def _agreement(sessionised: SessionisedEvents, entries: Entries, asks: Ints, place: Ints) -> Ints:
    """Return 1 where the answer equals the last value given before, 0 where not, -1 unknown."""
    key = entry_keys(sessionised, entries)
    gives = np.flatnonzero((entries.op == GIVEN) & entries.value.known)
    order = gives[sorted_by(key[gives], entries.row[gives])]
    width = sessionised.events.n + 1
    stamp = key[order] * width + entries.row[order]
    wanted = key[asks] * width + entries.row[asks]
    before = np.searchsorted(stamp, wanted) - 1
    after = before + 1
    old = np.where((before >= 0) & (pick(key[order], before) == key[asks]), before, NULL)
    inside = after < len(order)
    new_at = np.where(inside, after, 0) if len(order) else after
    same = inside & (pick(place[order], np.where(inside, new_at, NULL)) == place[asks])
    new = np.where(same, after, NULL)
    both = (old >= 0) & (new >= 0)
    codes = entries.value.codes[order]
    return np.where(both, (pick(codes, old) == pick(codes, new)).astype(np.int64), NULL)


def given_since(
    sessionised: SessionisedEvents, entries: Entries, given_row: Ints, given_field: Ints
) -> Ints:
    """Return the event that first gave each entry's field; the number of events if none did."""
    width = len(entries.field.names) + 1
    keys = sessionised.journeys.ids[given_row] * width + given_field
    order = sorted_by(keys)
    wanted = entry_keys(sessionised, entries)
    at = np.searchsorted(keys[order], wanted)
    at = np.where(at < len(keys), at, NULL)
    hit = (at >= 0) & (pick(keys[order], at) == wanted)
    return pick(given_row[order], np.where(hit, at, NULL), sessionised.events.n)


def entry_keys(sessionised: SessionisedEvents, entries: Entries) -> Ints:
    """Return (journey, field) of each entry as one integer."""
    return (
        sessionised.journeys.ids[entries.row] * (len(entries.field.names) + 1) + entries.field.codes
    )


def _place(sessionised: SessionisedEvents, entries: Entries) -> Ints:
    """Return (step, field) of each entry as one integer."""
    return sessionised.steps.ids[entries.row] * (len(entries.field.names) + 1) + entries.field.codes


def _names_fields(steps: Steps, entries: Entries, sessionised: SessionisedEvents) -> Bools:
    mask = np.zeros(len(steps), dtype=bool)
    mask[sessionised.steps.ids[entries.row]] = True
    return mask


def _entries(rows: Ints, field: str, op: int, basis: int) -> Entries:
    size = len(rows)
    named = Categorical.named(np.zeros(size), [field])
    return Entries(rows, named, np.full(size, op), Categorical.nulls(size), np.full(size, basis))


def _none() -> Entries:
    none = np.zeros(0, np.int64)
    return Entries(none, Categorical.nulls(0), none, Categorical.nulls(0), none)


def _joined(parts: list[Entries]) -> Entries:
    """Concatenate entries over one dictionary of fields, in order of events."""
    filled = [p for p in parts if len(p.row)]
    if not filled:
        return _none()
    fields = pa.chunked_array([p.field.arrow() for p in filled])
    hashes = pa.chunked_array([p.value.arrow() for p in filled])
    row = np.concatenate([p.row for p in filled])
    op = np.concatenate([p.op for p in filled])
    basis = np.concatenate([p.basis for p in filled])
    joined = Entries(row, Categorical.of(fields), op, Categorical.of(hashes), basis)
    return joined.rows(sorted_by(row)) if len(filled) > 1 else joined
