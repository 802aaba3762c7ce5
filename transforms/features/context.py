"""Everything that detectors and metrics may look at, each part computed once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rejse.transforms.columnar.arrays import NULL, Bools, Ints, Reals
from rejse.transforms.columnar.event_table import Categorical
from rejse.transforms.columnar.groups import Groups, pick
from rejse.transforms.dimensions.tables import Operational
from rejse.transforms.dimensions.validity import FAR
from rejse.transforms.features.contacts import Contacts, contacts, earlier_same_intent
from rejse.transforms.features.field_requests import Information, information
from rejse.transforms.features.handoffs import Asked, Handoffs, asked_for, handoffs, rises
from rejse.transforms.features.local_conditions import Surroundings, surroundings
from rejse.transforms.features.promises import Promises, promises
from rejse.transforms.features.slas import SlaResults, latest, sla_results
from rejse.transforms.features.steps import Steps, steps
from rejse.transforms.journeys import event_flags, needs
from rejse.transforms.journeys import watermarks as frontier
from rejse.transforms.journeys.journey_times import Clock, clock
from rejse.transforms.journeys.needs import Needs
from rejse.transforms.journeys.sessionise import SessionisedEvents
from rejse.transforms.schema.parameters import Rules


@dataclass(frozen=True)
class JourneyContext:
    """Sessionised events of some customers with the O-data, rules and frontiers that judge them."""

    sessionised: SessionisedEvents
    data: Operational
    rules: Rules
    frontiers: Mapping[str, int]

    @property
    def journeys(self) -> Groups:
        """Journeys over events."""
        return self.sessionised.journeys

    @cached_property
    def frontier(self) -> int:
        """Frontier of all sources together."""
        return frontier.least(self.frontiers)

    @cached_property
    def steps(self) -> Steps:
        """Steps, one row each."""
        return steps(self.sessionised, self.data)

    @cached_property
    def product(self) -> Categorical:
        """Product of each event: its own, else that of its case at its time."""
        return needs.product(self.sessionised.events, self.data)

    @cached_property
    def needs(self) -> Needs:
        """What events state of the customer's need."""
        return Needs.of(self.sessionised.events, self.product)

    @cached_property
    def lifecycle_stage(self) -> Categorical:
        """Life-cycle stage of each event's customer: logged, else as of its time."""
        return self.sessionised.events.coded("lifecycle_stage").fallback(
            self._customer("lifecycle_stage")
        )

    @cached_property
    def segment(self) -> Categorical:
        """Segment of each event's customer as of its time."""
        return self._customer("segment")

    def _customer(self, name: str) -> Categorical:
        return self.data.customers.text(name, self.data.customer_rows(self.sessionised.events))

    @cached_property
    def around(self) -> Surroundings:
        """Local time and weather of the steps."""
        return surroundings(self.sessionised, self.steps, self.data)

    @cached_property
    def contacts(self) -> Contacts:
        """Sessions, one row each."""
        return contacts(self.sessionised)

    @cached_property
    def repeats(self) -> Ints:
        """For each session the earlier contact of the same intent within W, -1 if none."""
        return earlier_same_intent(self.sessionised, self.contacts, self.rules.windows.repeat)

    @cached_property
    def told(self) -> Information:
        """Fields asked, given and passed."""
        windows = self.rules.windows
        return information(
            self.sessionised,
            self.steps,
            self.data,
            windows.volatile_fields,
            windows.question_activities,
        )

    @cached_property
    def handoffs(self) -> Handoffs:
        """Hand-offs seen."""
        return handoffs(self.sessionised, self.steps, self.told)

    @cached_property
    def rises(self) -> tuple[Ints, Ints]:
        """Links (giver, receiver) up to a team of a higher tier."""
        return rises(self.sessionised, self.steps)

    @cached_property
    def asked(self) -> Asked:
        """Hand-offs asked for and not taken up."""
        return asked_for(self.sessionised, self.data, self.rules, self.frontier)

    @cached_property
    def promises(self) -> Promises:
        """Promises of the customers."""
        windows = self.rules.windows
        return promises(
            self.sessionised, self.frontier, windows.lateness, windows.promise_give_up, self.data
        )

    @cached_property
    def clock(self) -> Clock:
        """Start, end and busy time of each journey."""
        return clock(self.sessionised)

    @cached_property
    def type_owner(self) -> Categorical:
        """Owner of each journey's type: the table's when the journey starts, else the settings'."""
        types, kind = self.data.types, self.sessionised.journey_kind
        kind = kind.fallback(Categorical.named(np.zeros(len(self.journeys)), ["other"]))
        by_table = types.text("owner", types.rows(kind, self.clock.started))
        names = kind.names.to_pylist()
        owners = [self.rules.type_of(name).owner for name in names]
        named = sorted({owner for owner in owners if owner})
        codes = [named.index(owner) if owner else NULL for owner in owners]
        return by_table.fallback(Categorical.named(kind.lookup(codes, NULL), named))

    def owed_by(self, row: Ints, said: Categorical | None = None) -> Categorical:
        """Who owes what the events `row` promise: the one said, else the owner of the journey's
        type, else of the step."""
        of_type = self.type_owner.rows(self.journey_of(row))
        of_step = self.steps.owner.rows(self.sessionised.steps.ids[row] if len(row) else row)
        return (of_type if said is None else said.fallback(of_type)).fallback(of_step)

    @cached_property
    def slas(self) -> SlaResults:
        """Service levels of the journeys."""
        return sla_results(self)

    @cached_property
    def is_end(self) -> Bools:
        """Events that end their journey, by its type."""
        return event_flags.is_end(self.sessionised.events, self.sessionised.kind, self.rules)

    @cached_property
    def is_weak_end(self) -> Bools:
        """Bad outcomes that end their journey, by its type, if nobody comes back."""
        return event_flags.is_weak_end(self.sessionised.events, self.sessionised.kind, self.rules)

    @cached_property
    def value(self) -> Reals:
        """Mapped outcome of each event in [0, 1], 0 of a bad end that is not mapped, else NaN."""
        mapped = event_flags.outcome01(self.sessionised.events, self.sessionised.kind, self.rules)
        return np.where(self.is_weak_end & np.isnan(mapped), 0.0, mapped)

    @cached_property
    def deciding(self) -> Ints:
        """Event that decides each journey's outcome, -1 if none: the last end or mapped outcome,
        after an end only of events that are not outbound (docs/reference/scores.md#outcome).
        """
        in_time = self.sessionised.by_time
        outbound = self.sessionised.events.is_any("direction", "outbound")[in_time]
        end, mapped = self.is_end[in_time], ~np.isnan(self.value[in_time])
        after_end = self.journeys.last_row_before(end) >= 0
        return pick(in_time, self.journeys.last_row(end | (mapped & ~(outbound & after_end))))

    @cached_property
    def is_recorded(self) -> Bools:
        """Journeys whose outcome is recorded: by an end, or by an outcome after which nothing but
        company-driven messages followed.
        """
        time, row = self.sessionised.events.time, self.deciding
        goes_on = np.where(event_flags.is_company_driven(self.sessionised.events), -FAR, time)
        alone = self.journeys.max(goes_on) <= pick(time, row, -FAR)
        return (row >= 0) & (pick(self.is_end, row, False) | alone)

    @cached_property
    def held_end(self) -> Ints:
        """Event that ended each journey for good, -1 if none: an end, or a bad end that held and
        yet settled something (declined).
        """
        row = self.deciding
        settled = self.is_recorded & pick(self.is_weak_end, row, False)
        settled &= np.nan_to_num(pick(self.value, row, 0.0)) > 0
        return np.where(settled | pick(self.is_end, row, False), row, NULL)

    @cached_property
    def closed(self) -> Bools:
        """Journeys whose deadline has passed."""
        return frontier.passed(
            self.sessionised.cut.deadline, self.frontier, self.rules.windows.lateness
        )

    @cached_property
    def until(self) -> Ints:
        """When nothing of each journey waits for anything any more
        (docs/reference/journeys.md#finality).
        """
        windows, journeys = self.rules.windows, self.journeys
        until: Ints = np.maximum(
            self.sessionised.cut.deadline,
            journeys.max(self.sessionised.events.time) + self.rules.largest_gap,
        )
        np.maximum.at(until, self.journey_of(self.promises.made), self.promises.latest)
        np.maximum.at(until, self.journey_of(self.asked.row), self.asked.due)
        np.maximum.at(until, self.slas.journey, latest(self.slas, windows.promise_give_up))
        return until + windows.identity_wait

    @cached_property
    def final(self) -> Bools:
        """Journeys that no event within the allowed lateness can change any more
        (docs/reference/journeys.md#finality).
        """
        return frontier.passed(self.until, self.frontier, self.rules.windows.lateness)

    def journey_of(self, rows: Ints) -> Ints:
        """Journey of each of some events."""
        return self.journeys.ids[rows] if len(rows) else rows
