"""What detectors and metrics read, each part computed once."""

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
from rejse.transforms.features.field_requests import FieldRequests, field_requests
from rejse.transforms.features.handoffs import (
    HandoffRequests,
    Handoffs,
    escalations,
    handoff_requests,
    handoffs,
)
from rejse.transforms.features.local_conditions import LocalConditions, local_conditions
from rejse.transforms.features.promises import Promises, promises
from rejse.transforms.features.slas import SlaResults, latest, sla_results
from rejse.transforms.features.steps import Steps, steps
from rejse.transforms.journeys import event_flags, needs
from rejse.transforms.journeys.journey_times import JourneyTimes, journey_times
from rejse.transforms.journeys.needs import Needs
from rejse.transforms.journeys.sessionise import SessionisedEvents
from rejse.transforms.journeys.watermarks import least, passed
from rejse.transforms.schema.parameters import Rules


@dataclass(frozen=True)
class JourneyContext:
    """Sessionised events of whole customers, with operational tables, rules and watermarks."""

    sessionised: SessionisedEvents
    data: Operational
    rules: Rules
    watermarks: Mapping[str, int]

    @property
    def journeys(self) -> Groups:
        """Journeys over events."""
        return self.sessionised.journeys

    @cached_property
    def watermark(self) -> int:
        """Least watermark of all sources, microseconds."""
        return least(self.watermarks)

    @cached_property
    def steps(self) -> Steps:
        """Steps, one row each."""
        return steps(self.sessionised, self.data)

    @cached_property
    def product(self) -> Categorical:
        """Product of each event: logged, else that of its case at its time."""
        return needs.product(self.sessionised.events, self.data)

    @cached_property
    def needs(self) -> Needs:
        """Customers' needs as events state them."""
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
    def local_conditions(self) -> LocalConditions:
        """Local time and weather of the steps."""
        return local_conditions(self.sessionised, self.steps, self.data)

    @cached_property
    def contacts(self) -> Contacts:
        """Sessions, one row each."""
        return contacts(self.sessionised)

    @cached_property
    def repeats(self) -> Ints:
        """For each session the earlier contact of its intent in the repeat window, -1 if none."""
        return earlier_same_intent(self.sessionised, self.contacts, self.rules.windows.repeat)

    @cached_property
    def field_requests(self) -> FieldRequests:
        """Fields requested, given and passed."""
        windows = self.rules.windows
        return field_requests(
            self.sessionised,
            self.steps,
            self.data,
            windows.volatile_fields,
            windows.question_activities,
        )

    @cached_property
    def handoffs(self) -> Handoffs:
        """Hand-offs between steps."""
        return handoffs(self.sessionised, self.steps, self.field_requests)

    @cached_property
    def escalations(self) -> tuple[Ints, Ints]:
        """Hand-offs (giver, receiver) to a team of a higher tier."""
        return escalations(self.sessionised, self.steps)

    @cached_property
    def handoff_requests(self) -> HandoffRequests:
        """Requested hand-offs."""
        return handoff_requests(self.sessionised, self.data, self.rules, self.watermark)

    @cached_property
    def promises(self) -> Promises:
        """Promises of the customers."""
        windows = self.rules.windows
        return promises(
            self.sessionised, self.watermark, windows.lateness, windows.promise_give_up, self.data
        )

    @cached_property
    def journey_times(self) -> JourneyTimes:
        """Start, end and busy time of each journey."""
        return journey_times(self.sessionised)

    @cached_property
    def type_owner(self) -> Categorical:
        """Owner of each journey's type: the table's when the journey starts, else the settings'."""
        types, kind = self.data.types, self.sessionised.journey_kind
        kind = kind.fallback(Categorical.named(np.zeros(len(self.journeys)), ["other"]))
        by_table = types.text("owner", types.rows(kind, self.journey_times.started))
        names = kind.names.to_pylist()
        owners = [self.rules.type_of(name).owner for name in names]
        named = sorted({owner for owner in owners if owner})
        codes = [named.index(owner) if owner else NULL for owner in owners]
        return by_table.fallback(Categorical.named(kind.lookup(codes, NULL), named))

    def owed_by(self, row: Ints, stated: Categorical | None = None) -> Categorical:
        """Return the owner of what the events `row` promise.

        It is the stated owner, else that of the journey's type, else that of the step.
        """
        of_type = self.type_owner.rows(self.journey_of(row))
        of_step = self.steps.owner.rows(self.sessionised.steps.ids[row] if len(row) else row)
        return (of_type if stated is None else stated.fallback(of_type)).fallback(of_step)

    @cached_property
    def slas(self) -> SlaResults:
        """Service levels of the journeys."""
        return sla_results(
            self.sessionised,
            self.data,
            step_owner=self.steps.owner,
            held_end=self.held_end,
            closed=self.closed,
            watermark=self.watermark,
            lateness=self.rules.windows.lateness,
        )

    @cached_property
    def is_end(self) -> Bools:
        """Events that end their journey, by its type."""
        return event_flags.is_end(self.sessionised.events, self.sessionised.kind, self.rules)

    @cached_property
    def is_weak_end(self) -> Bools:
        """Bad outcomes that end their journey, by its type, if the customer does not return."""
        return event_flags.is_weak_end(self.sessionised.events, self.sessionised.kind, self.rules)

    @cached_property
    def value(self) -> Reals:
        """Mapped outcome of each event in [0, 1]; 0 for an unmapped bad end, else NaN."""
        mapped = event_flags.outcome01(self.sessionised.events, self.sessionised.kind, self.rules)
        return np.where(self.is_weak_end & np.isnan(mapped), 0.0, mapped)

    @cached_property
    def deciding(self) -> Ints:
        """Event that decides each journey's outcome, -1 if none.

        The last end or mapped outcome; after an end outbound events do not count
        (docs/reference/scores.md#outcome).
        """
        in_time = self.sessionised.by_time
        outbound = self.sessionised.events.is_one("direction", "outbound")[in_time]
        end, mapped = self.is_end[in_time], ~np.isnan(self.value[in_time])
        after_end = self.journeys.last_row_before(end) >= 0
        return pick(in_time, self.journeys.last_row(end | (mapped & ~(outbound & after_end))))

    @cached_property
    def is_recorded(self) -> Bools:
        """Journeys whose outcome is recorded.

        By an end, or by an outcome that only company-driven messages follow.
        """
        time, row = self.sessionised.events.time, self.deciding
        goes_on = np.where(event_flags.is_company_driven(self.sessionised.events), -FAR, time)
        alone = self.journeys.max(goes_on) <= pick(time, row, -FAR)
        return (row >= 0) & (pick(self.is_end, row, False) | alone)

    @cached_property
    def held_end(self) -> Ints:
        """Event that ended each journey for good, -1 if none.

        An end, or a recorded bad end of a value above 0 (such as declined).
        """
        row = self.deciding
        settled = self.is_recorded & pick(self.is_weak_end, row, False)
        settled &= np.nan_to_num(pick(self.value, row, 0.0)) > 0
        return np.where(settled | pick(self.is_end, row, False), row, NULL)

    @cached_property
    def closed(self) -> Bools:
        """Journeys whose deadline has passed."""
        return passed(self.sessionised.bounds.deadline, self.watermark, self.rules.windows.lateness)

    @cached_property
    def final_after(self) -> Ints:
        """Time, in microseconds, after which each journey can be final.

        The latest of its deadline, its promises, requested hand-offs and service levels, and the
        wait for identity links (docs/reference/journeys.md#finality).
        """
        windows, journeys = self.rules.windows, self.journeys
        final_after: Ints = np.maximum(
            self.sessionised.bounds.deadline,
            journeys.max(self.sessionised.events.time) + self.rules.largest_gap,
        )
        np.maximum.at(final_after, self.journey_of(self.promises.made), self.promises.latest)
        np.maximum.at(
            final_after, self.journey_of(self.handoff_requests.row), self.handoff_requests.due
        )
        np.maximum.at(final_after, self.slas.journey, latest(self.slas, windows.promise_give_up))
        return final_after + windows.identity_wait

    @cached_property
    def final(self) -> Bools:
        """Journeys that no event within the allowed lateness can change
        (docs/reference/journeys.md#finality).
        """
        return passed(self.final_after, self.watermark, self.rules.windows.lateness)

    def journey_of(self, rows: Ints) -> Ints:
        """Return the journey of each event row."""
        return self.journeys.ids[rows] if len(rows) else rows
