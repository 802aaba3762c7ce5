"""Events to threads, journeys, sessions and steps (docs/reference/journeys.md#splitting): the spine
of every metric.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rejse.transforms.columnar.arrays import Bools, Ints, arrow, take
from rejse.transforms.columnar.event_table import Categorical, Events, customers, total_order
from rejse.transforms.columnar.groups import Groups
from rejse.transforms.columnar.radix_sort import sorted_by
from rejse.transforms.columnar.string_arrays import hexadecimal
from rejse.transforms.dimensions.tables import Operational
from rejse.transforms.journeys import event_flags, needs
from rejse.transforms.journeys.case_assignment import threads
from rejse.transforms.journeys.ownership import Belonging, belonging
from rejse.transforms.journeys.split import Cut, cut
from rejse.transforms.schema import contract
from rejse.transforms.schema.parameters import Rules

DIGEST, ID_DIGITS = 32, 16


@dataclass(frozen=True)
class SessionisedEvents:
    """Events in journey order, and how they fall into journeys, sessions and steps.

    Every event row carries the journey it is in (`journeys.ids`), its step (`steps.ids`) and its
    session (`session`); sessions of several channel families may interleave, steps do not.
    `place` is the row of its touchpoint as of its time; `belongs` says whose each event is.
    """

    events: Events
    rank: Ints  # place in the total order of the customers
    cut: Cut
    case: Categorical
    kind: Categorical
    place: Ints
    belongs: Belonging
    session: Ints
    steps: Groups

    @property
    def owner(self) -> Categorical:
        """Effective owner of each event."""
        return self.belongs.owner

    @property
    def team(self) -> Categorical:
        """Effective team of each event."""
        return self.belongs.team

    @property
    def journeys(self) -> Groups:
        """Journeys over events."""
        return self.cut.journeys

    @cached_property
    def session_order(self) -> Ints:
        """Event rows sorted by session."""
        return sorted_by(self.session)

    @cached_property
    def sessions(self) -> Groups:
        """Sessions over events in `session_order`."""
        return Groups.of(self.session[self.session_order])

    @cached_property
    def session_journey(self) -> Ints:
        """Journey of each session."""
        return self.journeys.ids[self.session_order[self.sessions.starts]]

    @cached_property
    def by_time(self) -> Ints:
        """Rows in total order, journey by journey: what `earlier`, `later` and `last` mean.

        The events' own order differs where activity instances overlap: each stands where it began.
        """
        if not self.events.coded("activity_id").known.any():
            return np.arange(self.events.n)
        return sorted_by(self.journeys.ids, self.rank)

    @cached_property
    def moment(self) -> Ints:
        """Place of each row in `by_time`."""
        out = np.empty(self.events.n, np.int64)
        out[self.by_time] = np.arange(self.events.n)
        return out

    @cached_property
    def step_journey(self) -> Ints:
        """Journey of each step."""
        return self.journeys.ids[self.steps.starts]

    @cached_property
    def journey_steps(self) -> Groups:
        """Journeys over steps."""
        return Groups.of(self.step_journey)

    @cached_property
    def journey_sessions(self) -> Groups:
        """Journeys over sessions."""
        return Groups.of(self.session_journey)

    @cached_property
    def customer(self) -> Categorical:
        """Customer of each journey."""
        return self.events.coded(contract.CUSTOMER_KEY).rows(self.journeys.starts)

    @cached_property
    def journey_kind(self) -> Categorical:
        """Type of each journey: its first typed event's, null where none has one."""
        return self.kind.recode(self.journeys.first_valid(self.kind.codes))

    @cached_property
    def journey_case(self) -> Categorical:
        """Case of each journey, null in case-less threads."""
        return self.case.rows(self.journeys.starts)

    @cached_property
    def journey_id(self) -> pa.Array:
        """Hash of customer key, case or type, and first event."""
        starts = self.journeys.starts
        case = self.journey_case
        strand = Categorical.named(np.where(case.known, 0, 1), ["case", "none"])
        named = case.fallback(self.kind.rows(starts), Categorical.named(0 * starts, ["other"]))
        texts = [
            *(c.arrow().cast(pa.string()) for c in (self.customer, strand, named)),
            self.events.coded("source").rows(starts).arrow().cast(pa.string()),
            take(self.events.column("id"), starts),
        ]
        whole = pc.binary_join_element_wise(*texts, "\x1f").cast(pa.binary())
        digests = [hashlib.sha256(part).digest() for part in whole.to_pylist()]
        return hexadecimal(b"".join(digests), DIGEST, ID_DIGITS)

    @cached_property
    def step_id(self) -> pa.Array:
        """`<journey_id>-<seq>` of each step."""
        return _numbered(self.journey_id, self.step_journey, self.journey_steps, "-", 4)

    @cached_property
    def session_id(self) -> pa.Array:
        """`<journey_id>-s<seq>` of each session."""
        return _numbered(self.journey_id, self.session_journey, self.journey_sessions, "-s", 1)


def sessionise(table: pa.Table, data: Operational, rules: Rules) -> SessionisedEvents:
    """Sessionise events of whole customers (columns of `schema.event_schema`, any order)."""
    events = total_order(table)
    place = data.touchpoints.rows(events.coded("touchpoint"), events.time)
    kinds = data.touchpoints.text("journey_type", place)

    def of_case(case: Categorical) -> Categorical:
        return data.cases.text("journey_type", data.case_rows(events, case))

    found = threads(events, customers(events), kinds, of_case, rules)
    product = needs.product(events, data).rows(found.order)
    events, place, rank = events.rows(found.order), place[found.order], found.order
    pieces = cut(events, found, needs.Needs.of(events, product), rules)
    anchor = _instances(events, pieces.journeys)
    order = sorted_by(anchor)
    events, place, anchor = events.rows(order), place[order], anchor[order]
    rank = rank[order]
    session = _sessions(events, pieces.journeys, anchor, rules.windows.session_gap)
    belongs = belonging(events, place, data)
    return SessionisedEvents(
        events=events, rank=rank, cut=pieces,
        case=found.case.rows(order), kind=pieces.kind.rows(order), place=place,
        belongs=belongs, session=session,
        steps=_steps(events, pieces.journeys, anchor, session, belongs),
    )  # fmt: skip


def _instances(events: Events, journeys: Groups) -> Ints:
    """Row at which each event's activity instance begins; an event without one stands alone."""
    row = np.arange(events.n)
    instance = events.coded("activity_id")
    if not instance.known.any():
        return row
    width = len(instance.names) + 1
    rows = np.flatnonzero(instance.known)
    key = journeys.ids[rows] * width + instance.codes[rows]
    by_key = sorted_by(key)
    groups = Groups.of(key[by_key])
    anchor = row.copy()
    anchor[rows[by_key]] = groups.broadcast(rows[by_key][groups.starts])
    return anchor


def _sessions(events: Events, journeys: Groups, anchor: Ints, gap: int) -> Ints:
    """Session of each event, numbered by journey and first event.

    Silence counts from the latest time seen in the family; a silence of exactly the gap still
    belongs, and an activity instance is never split.
    """
    family = event_flags.family(events.coded("channel"))
    message = event_flags.is_message(events)
    strand = np.where(message, len(family.names), family.codes)
    key = journeys.ids * (len(family.names) + 1) + strand
    order = sorted_by(key)
    strands = Groups.of(key[order])
    time = events.time[order]
    latest = strands.running_max(time) if events.coded("activity_id").known.any() else time
    silent = time - strands.before(latest, 0) > gap
    begins = strands.begins | (silent & ~_same_as_before(anchor[order])) | message[order]
    sessions = Groups.where(begins)
    first_row = order[sessions.starts]
    number = np.empty(len(sessions), np.int64)
    number[sorted_by(first_row)] = np.arange(len(sessions))
    out = np.empty(events.n, np.int64)
    out[order] = number[sessions.ids]
    return out


def _steps(
    events: Events, journeys: Groups, anchor: Ints, session: Ints, belongs: Belonging
) -> Groups:
    """Consecutive events of one touchpoint, owner, team and session."""
    where = _stand_in(events)
    from_table = belongs.owner_from_table
    both_from_table = from_table & journeys.before(from_table, False)
    other_owner = journeys.changed(belongs.owner.codes) & ~both_from_table
    other = journeys.changed(where, belongs.team.codes, session) | other_owner
    return Groups.where(journeys.begins | (other & ~_same_as_before(anchor)))


def _stand_in(events: Events) -> Ints:
    """Touchpoint; without one the activity (internal) or the channel stands in."""
    touchpoint, activity = events.coded("touchpoint"), events.coded("activity")
    channel = events.coded("channel")
    internal = events.is_any("channel", "internal")
    base = len(touchpoint.names)
    inner = base + activity.codes.astype(np.int64)
    outer = base + len(activity.names) + channel.codes.astype(np.int64)
    return np.where(touchpoint.known, touchpoint.codes, np.where(internal, inner, outer))


def _same_as_before(x: Ints) -> Bools:
    same = np.zeros(len(x), dtype=bool)
    same[1:] = x[1:] == x[:-1]
    return same


def _numbered(ids: pa.Array, owner: Ints, places: Groups, mark: str, digits: int) -> pa.Array:
    """`<id><mark><place from 1>` of each row."""
    number = pc.utf8_lpad(arrow(places.row_number + 1, pa.int64()).cast(pa.string()), digits, "0")
    return pc.binary_join_element_wise(take(ids, owner), number, mark)
