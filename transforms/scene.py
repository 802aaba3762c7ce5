"""Everything that detectors and metrics may look at, each part computed once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rejse.transforms import facts, frontier
from rejse.transforms.arrays import Bools, Ints, Reals
from rejse.transforms.contacts import Contacts, contacts, earlier_same_intent
from rejse.transforms.events import Coded
from rejse.transforms.handoffs import Asked, Handoffs, asked_for, handoffs, rises
from rejse.transforms.information import Information, information
from rejse.transforms.operational import Operational
from rejse.transforms.promises import Promises, promises
from rejse.transforms.rules import Rules
from rejse.transforms.segments import Segments, pick
from rejse.transforms.sessionise import Spine
from rejse.transforms.slas import SlaResults, latest, sla_results
from rejse.transforms.steps import Steps, steps
from rejse.transforms.surroundings import Surroundings, surroundings


@dataclass(frozen=True)
class Scene:
    """Sessionised events of some customers with the O-data, rules and frontiers that judge them."""

    spine: Spine
    data: Operational
    rules: Rules
    frontiers: Mapping[str, int]

    @property
    def journeys(self) -> Segments:
        """Journeys over events."""
        return self.spine.journeys

    @cached_property
    def frontier(self) -> int:
        """Frontier of all sources together."""
        return frontier.least(self.frontiers)

    @cached_property
    def steps(self) -> Steps:
        """Steps, one row each."""
        return steps(self.spine, self.data)

    @cached_property
    def product(self) -> Coded:
        """Product of each event: its own, else that of its case at its time."""
        events, cases = self.spine.events, self.data.cases
        return events.coded("product_id").fallback(
            cases.text("product_id", self.data.case_rows(events))
        )

    @cached_property
    def lifecycle_stage(self) -> Coded:
        """Life-cycle stage of each event's customer: logged, else as of its time."""
        return self.spine.events.coded("lifecycle_stage").fallback(
            self._customer("lifecycle_stage")
        )

    @cached_property
    def segment(self) -> Coded:
        """Segment of each event's customer as of its time."""
        return self._customer("segment")

    def _customer(self, name: str) -> Coded:
        return self.data.customers.text(name, self.data.customer_rows(self.spine.events))

    @cached_property
    def around(self) -> Surroundings:
        """Local time and weather of the steps."""
        return surroundings(self.spine, self.steps, self.data)

    @cached_property
    def contacts(self) -> Contacts:
        """Sessions, one row each."""
        return contacts(self.spine)

    @cached_property
    def repeats(self) -> Ints:
        """For each session the earlier contact of the same intent within W, -1 if none."""
        return earlier_same_intent(self.spine, self.contacts, self.rules.windows.repeat)

    @cached_property
    def told(self) -> Information:
        """Fields asked, given and passed."""
        windows = self.rules.windows
        return information(
            self.spine, self.steps, self.data, windows.volatile_fields, windows.question_activities
        )

    @cached_property
    def handoffs(self) -> Handoffs:
        """Hand-offs seen."""
        return handoffs(self.spine, self.steps, self.told)

    @cached_property
    def rises(self) -> tuple[Ints, Ints]:
        """Links (giver, receiver) up to a team of a higher tier."""
        return rises(self.spine, self.steps)

    @cached_property
    def asked(self) -> Asked:
        """Hand-offs asked for and not taken up."""
        return asked_for(self.spine, self.data, self.rules, self.frontier)

    @cached_property
    def promises(self) -> Promises:
        """Promises of the customers."""
        windows = self.rules.windows
        return promises(
            self.spine, self.frontier, windows.lateness, windows.promise_give_up, self.data
        )

    @cached_property
    def slas(self) -> SlaResults:
        """Service levels of the journeys."""
        return sla_results(self)

    @cached_property
    def is_end(self) -> Bools:
        """Events that end their journey, by its type."""
        return facts.is_end(self.spine.events, self.spine.kind, self.rules)

    @cached_property
    def value(self) -> Reals:
        """Mapped outcome of each event in [0, 1], NaN where none is mapped."""
        return facts.outcome01(self.spine.events, self.spine.kind, self.rules)

    @cached_property
    def deciding(self) -> Ints:
        """Event that decides each journey's outcome, -1 if none: the last end or mapped outcome,
        after an end only of events that are not outbound (9-rules).
        """
        in_time = self.spine.by_time
        outbound = self.spine.events.is_one("direction", "outbound")[in_time]
        end, mapped = self.is_end[in_time], ~np.isnan(self.value[in_time])
        after_end = self.journeys.last_row_before(end) >= 0
        return pick(in_time, self.journeys.last_row(end | (mapped & ~(outbound & after_end))))

    @cached_property
    def closed(self) -> Bools:
        """Journeys whose deadline has passed."""
        return frontier.passed(self.spine.cut.deadline, self.frontier, self.rules.windows.lateness)

    @cached_property
    def until(self) -> Ints:
        """When nothing of each journey waits for anything any more (9-rules, Closing)."""
        windows, journeys = self.rules.windows, self.journeys
        until: Ints = np.maximum(
            self.spine.cut.deadline,
            journeys.max(self.spine.events.time) + self.rules.largest_gap,
        )
        np.maximum.at(until, self.journey_of(self.promises.made), self.promises.latest)
        np.maximum.at(until, self.journey_of(self.asked.row), self.asked.due)
        np.maximum.at(until, self.slas.journey, latest(self.slas, windows.promise_give_up))
        return until + windows.identity_wait

    @cached_property
    def final(self) -> Bools:
        """Journeys that no event within the allowed lateness can change any more (9-rules)."""
        return frontier.passed(self.until, self.frontier, self.rules.windows.lateness)

    def journey_of(self, rows: Ints) -> Ints:
        """Journey of each of some events."""
        return self.journeys.ids[rows] if len(rows) else rows
