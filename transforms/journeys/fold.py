"""The rule that cuts a thread into journeys, event by event: the reference for all cuts.

A deadline runs from the journey's last event, its end or its first event, and an event after it
begins a new journey; so does a new need after an end. All threads are cut at once
(`journeys.cut`); what looks back further than that can is cut here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rejse.transforms.columnar.event_table import Categorical, Events
from rejse.transforms.dimensions.validity import FAR
from rejse.transforms.journeys import event_flags
from rejse.transforms.journeys.case_assignment import Threads
from rejse.transforms.journeys.needs import Needs
from rejse.transforms.schema.parameters import JourneyType, Rules

#: Why a journey begins: nothing but time, a start activity, a new need.
LATE, START, NEED = range(3)
Begin = tuple[int, int, int]
Stated = Mapping[int, frozenset[int]]
_NONE: Stated = {}


@dataclass(frozen=True)
class _Type:
    """A journey type over the codes of a log's outcomes and activities."""

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
    """Each type by its code, at last (-1) that of events without a type."""

    def codes(column: Categorical, names: Iterable[str]) -> frozenset[int]:
        wanted = set(names)
        texts = column.names.to_pylist()
        return frozenset(code for code, name in enumerate(texts) if name in wanted)

    def of(rule: JourneyType) -> _Type:
        return _Type(
            rule.gap, rule.case_gap, rule.reopen_window, rule.cap,
            codes(outcome, rule.end_outcomes), codes(outcome, rule.weak_end_outcomes),
            codes(outcome, rule.outcome_map), codes(activity, rule.end_activities),
            codes(activity, rule.start_activities),
        )  # fmt: skip

    return [of(rules.type_of(name)) for name in (*kind.names.to_pylist(), None)]


@dataclass
class _Journey:
    """What is known of a journey at some event of it."""

    first: int
    last: int
    kind: int = -1
    end: int | None = None
    is_weak: bool = False
    closed: int | None = None  # its last good end, also where that was taken away
    is_sold: bool = False
    products: set[int] = field(default_factory=set)
    objects: dict[int, set[int]] = field(default_factory=dict)

    @property
    def last_end(self) -> int | None:
        """Its last end: one that stands, or a good one."""
        return max((end for end in (self.end, self.closed) if end is not None), default=None)

    def reaches(self, time: int, window: int) -> bool:
        """Is a time within the window of its last end?"""
        end = self.last_end
        return end is not None and time - end <= window

    def needs_other(self, product: int, objects: Stated) -> bool | None:
        """Is a need another one than those stated? None where that cannot be known."""
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
        """Did it state one of some objects?"""
        return any(ids & self.objects.get(kind, set()) for kind, ids in objects.items())

    def states(self, product: int, objects: Stated) -> None:
        """Take down what an event states."""
        if product >= 0:
            self.products.add(product)
        for kind, ids in objects.items():
            self.objects.setdefault(kind, set()).update(ids)


class Fold:
    """The events of threads, ready to be folded."""

    def __init__(self, events: Events, threads: Threads, needs: Needs, rules: Rules) -> None:
        outcome, activity = events.coded("outcome"), events.coded("activity")
        self.types = _types(threads.kind, outcome, activity, rules)
        self.session_gap = rules.windows.session_gap
        self.needs = needs
        self.columns: tuple[Any, ...] = (
            events.time, threads.kind.codes, outcome.codes, activity.codes,
            events.is_any("direction", "outbound"), event_flags.is_company_driven(events),
            event_flags.is_message(events), event_flags.family(events.coded("channel")).codes,
            events.is_any("outcome", "sold"), needs.product, ~threads.has_case,
        )  # fmt: skip

    def thread(self, start: int, stop: int) -> list[Begin]:
        """Journeys of a thread: first event, why it begins, and the time of the event that shows
        it.
        """
        rows = (column[start:stop].tolist() for column in self.columns)
        return _Thread(self, start, *rows).begins()


@dataclass(frozen=True)
class _Thread:
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
        found: list[Begin] = []
        begin, why, shown = 0, LATE, FAR
        i, now = 0, _Journey(0, 0)
        before: list[_Journey] = []
        while i < len(self.time):
            if i == begin:
                found.append((self.start + i, why, shown))
                now = _Journey(self.time[i], self.time[i])
            else:
                reason = self._begins_anew(i, now, before)
                if reason is not None:
                    before.append(now)
                    why, shown = reason, FAR if reason == LATE else self.time[i]
                    begin = i = self._visit(i, now) if reason == NEED else i
                    continue
            self._add(i, now)
            i += 1
        return found

    def _objects(self, i: int) -> Stated:
        return self.fold.needs.objects.get(self.start + i, _NONE)

    def _begins_anew(self, i: int, now: _Journey, before: list[_Journey]) -> int | None:
        """Why the event begins a new journey; None where it belongs to the one before."""
        time, of = self.time[i], self.fold.types[now.kind]
        as_of = self.fold.types[now.kind if now.kind >= 0 else self.kind[i]]
        stands = now.end is not None or now.reaches(time, of.window)
        after_end = now.last_end is not None and time > now.last_end and stands
        if self.activity[i] in as_of.starts and (self.caseless[i] or after_end):
            return START
        if now.end is None:
            deadline = now.last + (of.gap if self.caseless[i] else of.case_gap)
        else:
            deadline = now.end + of.window
        # No deadline parts events of one instant.
        if time > now.last and time > min(deadline, now.first + of.cap):
            return LATE
        if after_end and not self.company[i]:
            product, objects = self.product[i], self._objects(i)
            other, late = now.needs_other(product, objects), self._late(i, before)
            bought_again = self.sold[i] and now.is_sold
            same_order = other is False and now.shares(objects)
            same_order |= any(one.shares(objects) for one in late)
            if (other and not late) or (bought_again and not same_order):
                return NEED
        return None

    def _late(self, i: int, before: list[_Journey]) -> list[_Journey]:
        """Earlier journeys to which an event comes late: their window reaches it, and it states
        their need. Journeys do not interleave: it stays in the one at hand.
        """
        windows = ((one, self.fold.types[one.kind].window) for one in before)
        reached = [one for one, window in windows if one.reaches(self.time[i], window)]
        need = self.product[i], self._objects(i)
        return [one for one in reached if one.needs_other(*need) is False]

    def _visit(self, i: int, now: _Journey) -> int:
        """First event after the end of the visit in which an event states a new need; events of
        its instant are of its visit. What states another need is not drawn along.
        """
        begin = r = i
        near = self.time[i]
        end = now.last_end
        asked = _Journey(0, 0)
        asked.states(self.product[i], self._objects(i))
        while (r := r - 1) >= 0 and (end is None or self.time[r] > end):
            if near - self.time[r] > self.fold.session_gap:
                break
            if not self.company[r] and asked.needs_other(self.product[r], self._objects(r)):
                break
            in_family = self.family[r] == self.family[i]
            in_family &= not (self.message[r] or self.message[i])
            if not self.company[r] and (in_family or self.time[r] == self.time[i]):
                begin = r
                near = self.time[r] if in_family else near
        return begin

    def _add(self, i: int, now: _Journey) -> None:
        """Take the event into the journey."""
        time, outcome = self.time[i], self.outcome[i]
        if now.kind < 0:
            now.kind = self.kind[i]
        of = self.fold.types[now.kind]
        if outcome in of.ends or self.activity[i] in of.end_activities:
            now.end, now.is_weak = time, False
            now.closed = time
            now.is_sold |= self.sold[i]
        elif outcome in of.weak and not (
            self.outbound[i] and now.end is not None and not now.is_weak
        ):
            now.end, now.is_weak = time, True
        elif (outcome in of.mapped and not self.outbound[i]) or (
            now.is_weak and not self.company[i] and now.end is not None and time > now.end
        ):
            now.end, now.is_weak = None, False
        if not self.company[i]:
            now.states(self.product[i], self._objects(i))
        now.last = time
