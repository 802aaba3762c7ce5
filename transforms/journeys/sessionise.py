"""Sort events into cases, journeys, sessions and steps (docs/reference/journeys.md#splitting)."""

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
from rejse.transforms.journeys.case_assignment import assign_cases
from rejse.transforms.journeys.ownership import Ownership, assign_owners
from rejse.transforms.journeys.split import JourneyBounds, split_journeys
from rejse.transforms.schema import contract
from rejse.transforms.schema.parameters import Rules

DIGEST, ID_DIGITS = 32, 16


@dataclass(frozen=True)
class SessionisedEvents:
    """Events in journey order with their journey, session and step.

    Each event has a journey (`journeys.ids`), a step (`steps.ids`) and a session (`session`).
    Sessions of several channel families may interleave, steps do not. `place` is the row of the
    touchpoint as of the event's time, -1 if none.
    """

    events: Events
    rank: Ints  # place in the total order of the customers
    bounds: JourneyBounds
    case: Categorical
    kind: Categorical
    place: Ints
    ownership: Ownership
    session: Ints
    steps: Groups

    @property
    def owner(self) -> Categorical:
        """Effective owner of each event."""
        return self.ownership.owner

    @property
    def team(self) -> Categorical:
        """Effective team of each event."""
        return self.ownership.team

    @property
    def journeys(self) -> Groups:
        """Journeys over events."""
        return self.bounds.journeys

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
        """Rows in total order, journey by journey: the order in which rules call events earlier.

        The order of `events` differs where activity instances overlap: each is at its begin.
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
        """Case of each journey, null where its events log none."""
        return self.case.rows(self.journeys.starts)

    @cached_property
    def journey_id(self) -> pa.Array:
        """Hash of customer key, case or type, and first event."""
        starts = self.journeys.starts
        case = self.journey_case
        origin = Categorical.named(np.where(case.known, 0, 1), ["case", "none"])
        named = case.fallback(self.kind.rows(starts), Categorical.named(0 * starts, ["other"]))
        texts = [
            *(c.arrow().cast(pa.string()) for c in (self.customer, origin, named)),
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

    assignment = assign_cases(events, customers(events), kinds, of_case, rules)
    product = needs.product(events, data).rows(assignment.order)
    events, place, rank = events.rows(assignment.order), place[assignment.order], assignment.order
    bounds = split_journeys(events, assignment, needs.Needs.of(events, product), rules)
    anchor = _instances(events, bounds.journeys)
    order = sorted_by(anchor)
    events, place, anchor = events.rows(order), place[order], anchor[order]
    rank = rank[order]
    session = _sessions(events, bounds.journeys, anchor, rules.windows.session_gap)
    ownership = assign_owners(events, place, data)
    return SessionisedEvents(
        events=events,
        rank=rank,
        bounds=bounds,
        case=assignment.case.rows(order),
        kind=bounds.kind.rows(order),
        place=place,
        ownership=ownership,
        session=session,
        steps=_steps(events, bounds.journeys, anchor, session, ownership),
    )


def _instances(events: Events, journeys: Groups) -> Ints:
    """Return the row at which each event's activity instance begins, else the event's own row."""
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
    """Return the session of each event, numbered by journey and first event.

    Silence counts from the latest time of the channel family. A silence of exactly the gap does not
    end a session, and an activity instance is never split.
    """
    family = event_flags.family(events.coded("channel"))
    message = event_flags.is_message(events)
    family_code = np.where(message, len(family.names), family.codes)
    key = journeys.ids * (len(family.names) + 1) + family_code
    order = sorted_by(key)
    families = Groups.of(key[order])
    time = events.time[order]
    latest = families.running_max(time) if events.coded("activity_id").known.any() else time
    silent = time - families.before(latest, 0) > gap
    begins = families.begins | (silent & ~_same_as_before(anchor[order])) | message[order]
    sessions = Groups.where(begins)
    first_row = order[sessions.starts]
    number = np.empty(len(sessions), np.int64)
    number[sorted_by(first_row)] = np.arange(len(sessions))
    out = np.empty(events.n, np.int64)
    out[order] = number[sessions.ids]
    return out


def _steps(
    events: Events, journeys: Groups, anchor: Ints, session: Ints, ownership: Ownership
) -> Groups:
    """Group consecutive events of one touchpoint, owner, team and session."""
    where = _stand_in(events)
    from_table = ownership.owner_from_table
    both_from_table = from_table & journeys.before(from_table, False)
    other_owner = journeys.changed(ownership.owner.codes) & ~both_from_table
    other = journeys.changed(where, ownership.team.codes, session) | other_owner
    return Groups.where(journeys.begins | (other & ~_same_as_before(anchor)))


def _stand_in(events: Events) -> Ints:
    """Return a code of the touchpoint, else of the activity (internal) or the channel."""
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
    """Return `<id><mark><place from 1>` for each row."""
    number = pc.utf8_lpad(arrow(places.row_number + 1, pa.int64()).cast(pa.string()), digits, "0")
    return pc.binary_join_element_wise(take(ids, owner), number, mark)
