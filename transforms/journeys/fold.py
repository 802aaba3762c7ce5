"""Split one case into journeys event by event: the reference for `split.split_journeys`.

A deadline runs from the journey's last event, its end or its first event. An event after the
deadline begins a new journey, and so does a new need after an end. `split_journeys` splits all
cases at once; cases in which a rule looks back further are split here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rejse.transforms.columnar.event_table import Categorical, Events
from rejse.transforms.dimensions.validity import FAR
from rejse.transforms.journeys import event_flags
from rejse.transforms.journeys.case_assignment import CaseAssignment
from rejse.transforms.journeys.needs import Needs
from rejse.transforms.schema.parameters import JourneyType, Rules

#: Why a journey begins: the deadline passed, a start activity, a new need.
LATE, START, NEED = range(3)
Begin = tuple[int, int, int]
Stated = Mapping[int, frozenset[int]]
_NONE: Stated = {}


@dataclass(frozen=True)
class _Type:
    """Rules of a journey type, with outcomes and activities as codes."""

    gap: int
    case_gap: int
    window: int
    cap: int
    ends: frozenset[int]
    weak: frozenset[int]
    mapped: frozenset[int]
    end_activities: frozenset[int]
    starts: frozenset[int]


def _types(
    kind: Categorical, outcome: Categorical, activity: Categorical, rules: Rules
) -> list[_Type]:
    """Return the rules of each type by code; the last (-1) is for events without a type."""

    def codes(column: Categorical, names: Iterable[str]) -> frozenset[int]:
        wanted = set(names)
        texts = column.names.to_pylist()
        return frozenset(code for code, name in enumerate(texts) if name in wanted)

    def of(rule: JourneyType) -> _Type:
        return _Type(
            rule.gap,
            rule.case_gap,
            rule.reopen_window,
            rule.cap,
            codes(outcome, rule.end_outcomes),
            codes(outcome, rule.weak_end_outcomes),
            codes(outcome, rule.outcome_map),
            codes(activity, rule.end_activities),
            codes(activity, rule.start_activities),
        )

    return [of(rules.type_of(name)) for name in (*kind.names.to_pylist(), None)]


@dataclass
class _Journey:
    """State of a journey at one of its events."""

    first: int
    last: int
    kind: int = -1
    end: int | None = None
    is_weak: bool = False
    closed: int | None = None  # its last good end, even if taken back
    is_sold: bool = False
    products: set[int] = field(default_factory=set)
    objects: dict[int, set[int]] = field(default_factory=dict)

    @property
    def last_end(self) -> int | None:
        """Last end that was not taken back, or last good end."""
        return max((end for end in (self.end, self.closed) if end is not None), default=None)

    def reaches(self, time: int, window: int) -> bool:
        """Return whether a time is within the window of the last end."""
        end = self.last_end
        return end is not None and time - end <= window

    def needs_other(self, product: int, objects: Stated) -> bool | None:
        """Return whether a need differs from those stated; None where that cannot be known."""
        same = False
        for kind, ids in objects.items():
            if kind in self.objects:
                if not ids & self.objects[kind]:
                    return True
                same = True
        if same:
            return False
        return product not in self.products if product >= 0 and self.products else None

    def shares(self, objects: Stated) -> bool:
        """Return whether the journey stated one of some objects."""
        return any(ids & self.objects.get(kind, set()) for kind, ids in objects.items())

    def states(self, product: int, objects: Stated) -> None:
        """Add what an event states."""
        if product >= 0:
            self.products.add(product)
        for kind, ids in objects.items():
            self.objects.setdefault(kind, set()).update(ids)


class Fold:
    """Columns of sorted cases as `split_case` reads them."""

    def __init__(
        self, events: Events, assignment: CaseAssignment, needs: Needs, rules: Rules
    ) -> None:
        outcome, activity = events.coded("outcome"), events.coded("activity")
        self.types = _types(assignment.kind, outcome, activity, rules)
        self.session_gap = rules.windows.session_gap
        self.needs = needs
        self.columns: tuple[Any, ...] = (
            events.time, assignment.kind.codes, outcome.codes, activity.codes,
            events.is_any("direction", "outbound"), event_flags.is_company_driven(events),
            event_flags.is_message(events), event_flags.family(events.coded("channel")).codes,
            events.is_any("outcome", "sold"), needs.product, ~assignment.has_case,
        )  # fmt: skip

    def split_case(self, start: int, stop: int) -> list[Begin]:
        """Return the journeys of a case.

        Each is its first event, the reason why it begins, and the time of the event that shows it.
        """
        rows = (column[start:stop].tolist() for column in self.columns)
        return _CaseEvents(self, start, *rows).begins()


@dataclass(frozen=True)
class _CaseEvents:
    fold: Fold
    start: int
    time: list[int]
    kind: list[int]
    outcome: list[int]
    activity: list[int]
    outbound: list[bool]
    company: list[bool]
    message: list[bool]
    family: list[int]
    sold: list[bool]
    product: list[int]
    caseless: list[bool]

    def begins(self) -> list[Begin]:
        begins: list[Begin] = []
        begin, reason, shown_at = 0, LATE, FAR
        i, journey = 0, _Journey(0, 0)
        earlier: list[_Journey] = []
        while i < len(self.time):
            if i == begin:
                begins.append((self.start + i, reason, shown_at))
                journey = _Journey(self.time[i], self.time[i])
            else:
                new_reason = self._begin_reason(i, journey, earlier)
                if new_reason is not None:
                    earlier.append(journey)
                    reason, shown_at = new_reason, FAR if new_reason == LATE else self.time[i]
                    begin = i = self._visit(i, journey) if new_reason == NEED else i
                    continue
            self._add(i, journey)
            i += 1
        return begins

    def _objects(self, i: int) -> Stated:
        return self.fold.needs.objects.get(self.start + i, _NONE)

    def _begin_reason(self, i: int, journey: _Journey, earlier: list[_Journey]) -> int | None:
        """Return why the event begins a new journey; None where it continues the present one."""
        time, of = self.time[i], self.fold.types[journey.kind]
        as_of = self.fold.types[journey.kind if journey.kind >= 0 else self.kind[i]]
        has_end = journey.end is not None or journey.reaches(time, of.window)
        after_end = journey.last_end is not None and time > journey.last_end and has_end
        if self.activity[i] in as_of.starts and (self.caseless[i] or after_end):
            return START
        if journey.end is None:
            deadline = journey.last + (of.gap if self.caseless[i] else of.case_gap)
        else:
            deadline = journey.end + of.window
        # No deadline separates events of one instant.
        if time > journey.last and time > min(deadline, journey.first + of.cap):
            return LATE
        if after_end and not self.company[i]:
            product, objects = self.product[i], self._objects(i)
            is_other_need, late = journey.needs_other(product, objects), self._late(i, earlier)
            bought_again = self.sold[i] and journey.is_sold
            same_order = is_other_need is False and journey.shares(objects)
            same_order |= any(other.shares(objects) for other in late)
            if (is_other_need and not late) or (bought_again and not same_order):
                return NEED
        return None

    def _late(self, i: int, earlier: list[_Journey]) -> list[_Journey]:
        """Return earlier journeys whose window covers the event and whose need it states.

        Journeys do not interleave: such a late event stays in the present journey.
        """
        windows = ((journey, self.fold.types[journey.kind].window) for journey in earlier)
        reached = [journey for journey, window in windows if journey.reaches(self.time[i], window)]
        stated_need = self.product[i], self._objects(i)
        return [journey for journey in reached if journey.needs_other(*stated_need) is False]

    def _visit(self, i: int, journey: _Journey) -> int:
        """Return the first event, after the end, of the visit in which an event states a new need.

        Events of its instant belong to the visit. Events that state another need do not.
        """
        begin = row = i
        near_time = self.time[i]
        end = journey.last_end
        need = _Journey(0, 0)
        need.states(self.product[i], self._objects(i))
        while (row := row - 1) >= 0 and (end is None or self.time[row] > end):
            if near_time - self.time[row] > self.fold.session_gap:
                break
            if not self.company[row] and need.needs_other(self.product[row], self._objects(row)):
                break
            in_family = self.family[row] == self.family[i]
            in_family &= not (self.message[row] or self.message[i])
            if not self.company[row] and (in_family or self.time[row] == self.time[i]):
                begin = row
                near_time = self.time[row] if in_family else near_time
        return begin

    def _add(self, i: int, journey: _Journey) -> None:
        """Add the event to the journey."""
        time, outcome = self.time[i], self.outcome[i]
        if journey.kind < 0:
            journey.kind = self.kind[i]
        of = self.fold.types[journey.kind]
        if outcome in of.ends or self.activity[i] in of.end_activities:
            journey.end, journey.is_weak = time, False
            journey.closed = time
            journey.is_sold |= self.sold[i]
        elif outcome in of.weak and not (
            self.outbound[i] and journey.end is not None and not journey.is_weak
        ):
            journey.end, journey.is_weak = time, True
        elif (outcome in of.mapped and not self.outbound[i]) or (
            journey.is_weak
            and not self.company[i]
            and journey.end is not None
            and time > journey.end
        ):
            journey.end, journey.is_weak = None, False
        if not self.company[i]:
            journey.states(self.product[i], self._objects(i))
        journey.last = time
