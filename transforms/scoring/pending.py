"""What waits for a frontier: when each customer must be looked at again though nothing came.

A row of a journey, a promise or an answer changes without an event too: its deadline passes. So
each customer has the earliest deadline that no frontier has passed yet; an increment looks again
at those whose deadline has now passed, and at nobody else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from rejse.transforms.columnar.arrays import Bools, Ints, arrow, flat, values
from rejse.transforms.columnar.event_table import Coded
from rejse.transforms.columnar.string_arrays import constant
from rejse.transforms.dimensions.validity import FAR
from rejse.transforms.features.slas import latest
from rejse.transforms.journeys.watermarks import least, passed
from rejse.transforms.schema import contract
from rejse.transforms.schema.registry import Column, Table
from rejse.transforms.scoring.output_tables import CUSTOMER, TEXT, TIME

if TYPE_CHECKING:
    from rejse.transforms.features.context import Scene
    from rejse.transforms.feedback.answers import Answers

PENDING = Table(
    "pending", "deadline that something of a customer waits for",
    ("customer_key", "source", "until"), (
        CUSTOMER,
        Column("source", TEXT, "Source of answers whose frontier is waited for; null: that of all"
               " sources of interactions."),
        Column("until", TIME, "Earliest deadline that has not passed.", "UTC", nullable=False),
    ),
)  # fmt: skip


def of_journeys(scene: Scene) -> pa.Table:
    """Earliest deadline of each customer with one, over his journeys, promises, hand-offs, SLAs."""
    windows, journeys = scene.rules.windows, scene.journeys
    made, asked, levels = scene.promises, scene.asked, scene.slas
    every = np.arange(len(journeys))
    waits = (
        (every, scene.spine.cut.deadline),
        (every, scene.until),
        (scene.journey_of(made.made), made.due),
        (scene.journey_of(made.made), made.latest),
        (scene.journey_of(asked.row), asked.due),
        (levels.journey, levels.due),
        (levels.journey, latest(levels, windows.promise_give_up)),
    )
    who = scene.spine.customer.rows(np.concatenate([journey for journey, _ in waits]))
    until = np.concatenate([deadline for _, deadline in waits])
    return _earliest(who, until, ~passed(until, scene.frontier, windows.lateness))


def of_answers(answers: Answers, frontier: int) -> pa.Table:
    """The same of the answers: what their join waits for, and what their own source may tell."""
    events, lateness = answers.events, answers.windows.lateness
    who = events.coded(contract.CUSTOMER_KEY)
    known = events.time + answers.windows.identity_wait
    parts = [_earliest(who, known, ~passed(known, frontier, lateness))]
    source = events.coded("source")
    for code, name in enumerate(source.names.to_pylist()):
        mine = source.codes == code
        for until in (answers.ignored_due, answers.answer_due):
            open_ = mine & ~passed(until, answers.complete_until, lateness)
            parts.append(_earliest(who, until, open_, name))
    return pa.concat_tables(parts)


def due(
    rows: pa.Table,
    frontiers: Mapping[str, int],
    x_frontiers: Mapping[str, int],
    lateness: int,
) -> pa.Array:
    """Customers of `pending` rows whose deadline has passed."""
    source = Coded.of(rows.column("source"))
    names = [x_frontiers.get(name, least({})) for name in source.names.to_pylist()]
    clock = np.array([*names, least(frontiers)], np.int64)[source.codes]
    over = passed(values(rows.column("until")), clock, lateness)
    return flat(rows.column("customer_key").filter(arrow(over))).cast(pa.string())


def _earliest(who: Coded, until: Ints, open_: Bools, source: str | None = None) -> pa.Table:
    at = np.flatnonzero(open_ & (until < FAR))
    first = np.full(len(who.names), FAR)
    np.minimum.at(first, who.codes[at], until[at])
    found = np.flatnonzero(first < FAR)
    columns = [
        who.names.take(arrow(found, pa.int64())),
        constant(source, len(found)).cast(TEXT),
        arrow(first[found], TIME),
    ]  # fmt: skip
    return pa.Table.from_arrays(columns, names=[c.name for c in PENDING.columns])
