"""Operational data: small tables with validity, which the installation maintains or exports.

Each is declared once, with its key and columns. What a missing table would say is null. Tables
keyed by customer are sources instead (`customer_records`): they may be large.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rejse.transforms.columnar.arrays import NULL, Ints, flat
from rejse.transforms.columnar.event_table import Categorical, Events
from rejse.transforms.dimensions import customer_records as records
from rejse.transforms.dimensions.validity import FAR, KEY_MARK, AsOf, pair_key
from rejse.transforms.dimensions.working_hours import Calendar
from rejse.transforms.schema.contract import CUSTOMER_KEY, TIME
from rejse.transforms.schema.parameters import HOUR

VALIDITY = {"valid_from": TIME, "valid_to": TIME}
#: Owner of the rows of the calendar that hold for all owners without their own; no real name.
ALL_OWNERS = "\0"
TEXT, REAL, INT, FLAG = pa.string(), pa.float64(), pa.int32(), pa.bool_()


@dataclass(frozen=True)
class Declared:
    """A declared table: its description, its columns, and those that no row may lack.

    The key is first among these.
    """

    about: str
    needed: tuple[str, ...]
    schema: pa.Schema


def _table(about: str, needed: tuple[str, ...], **columns: pa.DataType) -> Declared:
    return Declared(about, needed, pa.schema({**columns, **VALIDITY}))


TABLES: Mapping[str, Declared] = {
    "touchpoints": _table(
        "place of contact, with its owner", ("touchpoint",),
        touchpoint=TEXT, owner=TEXT, team=TEXT, silo=TEXT, channel=TEXT, stage=TEXT,
        expected_wait_s=REAL, expected_latency_s=REAL, is_moment_of_truth=FLAG,
        journey_type=TEXT, system=TEXT,
    ),
    "touchpoint_fields": _table(
        "field that a touchpoint asks, knows or passes", ("touchpoint", "field", "op"),
        touchpoint=TEXT, field=TEXT, op=TEXT,
    ),
    "journey_types": _table(
        "kind of journey, with its owner and rules", ("journey_type",),
        journey_type=TEXT, owner=TEXT, gap=TEXT, case_gap=TEXT, reopen_window=TEXT, cap=TEXT,
        handoff_due=TEXT, start_activities=TEXT, end_activities=TEXT, end_outcomes=TEXT,
        weak_end_outcomes=TEXT, is_problem=FLAG, expects_outcome=FLAG, horizon=TEXT,
    ),
    "agents": _table(
        "employee, by the id that the logs bear (hashed before anything is written)",
        ("actor_id",), actor_id=TEXT, team=TEXT,
    ),
    "teams": _table(
        "team, with its owner and its tier of support", ("team",),
        team=TEXT, owner=TEXT, silo=TEXT, tier=INT,
    ),
    "calendar": _table(
        "working hours of an owner (none: of everybody without rows), by weekday or by date",
        ("tz",), owner=TEXT, weekday=INT, date=TEXT, opens=TEXT, closes=TEXT, tz=TEXT,
    ),
    "weather": _table(
        "weather of a site in the hour that begins at valid_from", ("site_id", "valid_from"),
        site_id=TEXT, weather=TEXT, temperature_c=REAL,
    ),
    "slas": _table(
        "service level agreed for a kind of journey", ("sla", "journey_type", "kind", "due"),
        sla=TEXT, journey_type=TEXT, kind=TEXT, due=TEXT, to_owner=TEXT, is_working_time=FLAG,
    ),
    "cost_rates": _table(
        "minutes that a kind of friction takes, and what a minute costs", ("kind",),
        kind=TEXT, minutes_customer=REAL, minutes_company=REAL, rate_customer=REAL,
        rate_company=REAL, currency=TEXT,
    ),
    "products": _table(
        "product", ("product_id",), product_id=TEXT, name=TEXT, is_addon=FLAG, price=REAL,
        currency=TEXT,
    ),
    "campaigns": _table(
        "campaign, with what it promises", ("campaign_id",),
        campaign_id=TEXT, message_kind=TEXT, purpose=TEXT, topic=TEXT, claim=TEXT,
    ),
    "identity_links": _table(
        "link: from then on the previous identity is the other one's (both are hashed)",
        ("previous_key", "previous_type", "identity_key", "identity_type", "method"),
        previous_key=TEXT, previous_type=TEXT, identity_key=TEXT, identity_type=TEXT, method=TEXT,
        precedence=INT,
    ),
}  # fmt: skip


def conform(table: pa.Table | None, wanted: pa.Schema) -> pa.Table:
    """Return the table with exactly the wanted columns.

    Absent columns and empty texts are null; other columns are dropped.
    """
    if table is None:
        return pa.Table.from_arrays([pa.nulls(0, f.type) for f in wanted], schema=wanted)
    columns = []
    for declared in wanted:
        if declared.name not in table.column_names:
            columns.append(pa.nulls(table.num_rows, declared.type))
            continue
        column = flat(table.column(declared.name)).cast(declared.type)
        if declared.type == TEXT and pc.any(pc.equal(column, "")).as_py():
            column = pc.if_else(pc.equal(column, ""), pa.scalar(None, TEXT), column)
        columns.append(column)
    return pa.Table.from_arrays(columns, schema=wanted)


def check_touchpoints(table: pa.Table) -> None:
    """Raise ValueError, naming the row, where an expectation of `touchpoints` is invalid."""
    for name in ("expected_wait_s", "expected_latency_s"):
        for number, seconds in enumerate(table.column(name).to_pylist(), start=1):
            if seconds is not None and not 0 <= seconds < float("inf"):
                raise ValueError(f"row {number}: expected {name} of 0 or more, came {seconds}")


@dataclass(frozen=True)
class Operational:
    """The operational data (O-data) of an installation: those of `TABLES` that it has, by name."""

    tables: Mapping[str, pa.Table] = field(default_factory=dict)
    #: Records of the customers at hand, by kind, in the columns of `records.tables()`.
    records: Mapping[str, pa.Table] = field(default_factory=dict)
    #: Indexes of the tables, each built once; shared by copies with other records.
    _indexes: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def has(self, name: str) -> bool:
        """Return whether the installation has the table."""
        return name in self.tables

    def table(self, name: str) -> pa.Table:
        """Return a table in its declared columns, without rows where the installation has none."""
        return conform(self.tables.get(name), TABLES[name].schema)

    def with_records(self, known: Mapping[str, pa.Table]) -> Operational:
        """Return the same data with records of some customers."""
        return replace(self, records=known) if known else self

    @cached_property
    def cases(self) -> AsOf:
        """Cases by customer and case, as of a time."""
        return self._of_customers("cases", "case_id")

    @cached_property
    def customers(self) -> AsOf:
        """Customers by their keys, as of a time."""
        return self._of_customers("customers")

    def case_rows(self, events: Events, case: Categorical | None = None) -> Ints:
        """Return the row of `cases` valid for each event's case at its time, -1 if none.

        `case` replaces the events' own case.
        """
        if not len(self.cases.keys):  # avoids naming every pair of customer and case
            return np.full(events.n, NULL, np.int64)
        customer = events.coded(CUSTOMER_KEY)
        case = events.coded("case_id") if case is None else case
        return self.cases.rows(pair_key(customer, case), events.time)

    def customer_rows(self, events: Events) -> Ints:
        """Return the row of `customers` valid for each event's customer at its time, -1 if none."""
        return self.customers.rows(events.coded(CUSTOMER_KEY), events.time)

    def _of_customers(self, kind: str, *more: str) -> AsOf:
        table = conform(self.records.get(kind), records.of_events(kind))
        keys = [table.column(name) for name in (CUSTOMER_KEY, *more)]
        key = pc.binary_join_element_wise(*keys, KEY_MARK)
        return AsOf.of(table.append_column("key", key), "key")

    def cached(self, name: str, index: Callable[[], Any]) -> Any:
        """Return a value derived from the tables only, built on first use under this name."""
        if name not in self._indexes:
            self._indexes[name] = index()
        return self._indexes[name]

    def _by(self, name: str, key: str) -> AsOf:
        index: AsOf = self.cached(name, lambda: AsOf.of(self.table(name), key))
        return index

    @property
    def touchpoints(self) -> AsOf:
        """Touchpoints by name, as of a time."""
        return self._by("touchpoints", "touchpoint")

    @property
    def types(self) -> AsOf:
        """Journey types by name, as of a time."""
        return self._by("journey_types", "journey_type")

    @property
    def agents(self) -> AsOf:
        """Agents by their pseudonym, as of a time."""
        return self._by("agents", "actor_id")

    @property
    def teams(self) -> AsOf:
        """Teams by name, as of a time."""
        return self._by("teams", "team")

    @property
    def rates(self) -> AsOf:
        """Minutes and costs by kind of friction, as of a time."""
        return self._by("cost_rates", "kind")

    @property
    def campaigns(self) -> AsOf:
        """Campaigns by name, as of a time."""
        return self._by("campaigns", "campaign_id")

    @property
    def calendar(self) -> Calendar:
        """Working hours by owner. Raises ValueError, naming the row, where they are invalid."""
        calendar: Calendar = self.cached("calendar", lambda: Calendar.of(self.table("calendar")))
        return calendar

    @property
    def weather(self) -> AsOf:
        """Weather by site; a row without valid_to holds for an hour."""
        index: AsOf = self.cached("weather", self._hourly)
        return index

    def _hourly(self) -> AsOf:
        index = AsOf.of(self.table("weather"), "site_id")
        until = np.where(index.valid_to == FAR, index.valid_from + HOUR, index.valid_to)
        return replace(index, valid_to=until)

    def zone_of(self, owner: Categorical, time: Ints) -> Categorical:
        """Return the time zone of each owner by the calendar as of a time."""
        zones: AsOf = self.cached("zones", self._zones)
        return zones.text("tz", zones.rows(self.calendar.owners(owner, ALL_OWNERS), time))

    def _zones(self) -> AsOf:
        table = self.table("calendar")
        owner = pc.fill_null(flat(table.column("owner")), ALL_OWNERS)
        return AsOf.of(table.set_column(0, "owner", owner), "owner")

    @property
    def fields(self) -> pa.Table:
        """Which touchpoint asks, knows and passes which field."""
        fields: pa.Table = self.cached("fields", lambda: self.table("touchpoint_fields"))
        return fields
