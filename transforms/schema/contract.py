"""The data contract: the fields of an interaction, as one declared Arrow schema.

Field names follow CloudEvents 1.0 (`id`, `source`, `time`, `recordedtime`, `correlationid`,
`causationid`, `sequence`), Webex Journey (`identity`, `identitytype`, `previousidentity`), OCEL 2.0
(`objects`) and XES (`activity`, `lifecycle`). All times are UTC, in microseconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import pyarrow as pa

TIME = pa.timestamp("us", tz="UTC")
TEXT = pa.string()
CODED = pa.dictionary(pa.int32(), pa.string())

Need = Literal["R", "C", "O"]


@dataclass(frozen=True)
class Field:
    """One field of the contract.

    `need` is R (required), C (required where it applies) or O (optional); `values` is the closed
    list of an enum, whose unknown values become `other` (and are counted) where the list has one,
    and null elsewhere. `coded` fields have few distinct values and travel dictionary-encoded.
    """

    name: str
    type: pa.DataType
    need: Need
    description: str
    values: tuple[str, ...] = ()
    unit: str = ""
    coded: bool = False
    hashed: tuple[str, ...] = ()

    @property
    def arrow(self) -> pa.Field:
        """Field of the canonical schema, with description and unit in its metadata."""
        kind = CODED if self.coded else self.type
        about = {"description": self.description, "unit": self.unit, "need": self.need}
        return pa.field(self.name, kind, nullable=self.need != "R", metadata=about)


CHANNELS = (
    "web", "app", "chat", "chatbot", "ivr", "phone", "email", "sms", "letter", "branch", "visit",
    "social", "campaign", "partner", "device", "internal", "other",
)  # fmt: skip
DIRECTIONS = ("inbound", "outbound", "internal")
ACTOR_TYPES = ("customer", "human", "bot", "system", "partner")
IDENTITY_TYPES = ("customer", "account", "phone", "email", "cookie", "device", "case")
LIFECYCLES = ("schedule", "assign", "start", "suspend", "resume", "complete", "withdraw")
OUTCOMES = (
    "resolved", "partly", "unresolved", "transferred", "escalated", "abandoned", "declined",
    "error", "no_result", "informed", "sold", "other",
)  # fmt: skip
STAGES = ("before", "during", "after")
WAITS = ("customer", "company", "third_party")
HANDOFF_KINDS = ("warm", "cold", "queue")
MESSAGE_KINDS = ("service", "reminder", "marketing", "upsell", "survey")
BASES = ("due", "need", "preference", "none")
INFO_OPS = ("given", "asked", "verify", "passed", "shown")
PROMISE_KINDS = ("date", "sla", "callback", "price", "claim")
PROMISE_OPS = ("made", "moved", "delivered", "cancelled")

OBJECT = pa.struct([("type", TEXT), ("id", TEXT), ("qualifier", TEXT)])
INFO = pa.struct([("field", TEXT), ("op", TEXT), ("value_hmac", TEXT)])
PROMISE = pa.struct(
    [("id", TEXT), ("kind", TEXT), ("op", TEXT), ("due_time", TIME), ("value", TEXT),
     ("owner", TEXT),
     ("due_date", pa.date32())]  # where the day is known and no time: due until it ends
)  # fmt: skip
CLAIM = pa.struct([("topic", TEXT), ("value_hmac", TEXT), ("valid_to", TIME)])


def enum(name: str, need: Need, values: tuple[str, ...], about: str) -> Field:
    """Declare a field with a closed list of values."""
    return Field(name, TEXT, need, about, values=values, coded=True)


def code(name: str, about: str, need: Need = "O") -> Field:
    """Declare a text field with few distinct values."""
    return Field(name, TEXT, need, about, coded=True)


def _seconds(name: str, about: str) -> Field:
    return Field(name, pa.int32(), "O", about, unit="s")


ENVELOPE: tuple[Field, ...] = (
    Field("id", TEXT, "R", "Id of the event, unique within its source."),
    code("source", "System that logged the event; with `id` the duplicate key.", "R"),
    Field("time", TIME, "R", "When it happened; never defaulted to now.", unit="UTC"),
    Field("recordedtime", TIME, "O", "When the source recorded it.", unit="UTC"),
    Field("identity", TEXT, "R", "Who the customer is; only its keyed pseudonym is kept."),
    enum("identitytype", "R", IDENTITY_TYPES, "What kind of identity `identity` is."),
    Field("previousidentity", TEXT, "O", "Another identity of the same person."),
    enum("previousidentitytype", "O", IDENTITY_TYPES, "Kind of `previousidentity`."),
    Field("correlationid", TEXT, "O", "Conversation or thread the event belongs to."),
    Field("causationid", TEXT, "O", "Event that caused this one; of a correction, the corrected."),
    Field("sequence", pa.int64(), "O", "Order within a source at equal times."),
    code("dataclassification", "Confidentiality class of the event."),
    Field("expirytime", TIME, "O", "When the event must be forgotten.", unit="UTC"),
)

#: A row that says up to when its source is complete, and nothing else.
HEARTBEAT = Field(
    "is_heartbeat", pa.bool_(), "O",
    "The row is no event: its source is complete up to `time`. It needs nothing else.",
)  # fmt: skip

BODY: tuple[Field, ...] = (
    code("activity", "What was done (XES concept:name).", "R"),
    enum("channel", "R", CHANNELS, "Medium of the contact."),
    enum("direction", "R", DIRECTIONS, "Who turned to whom; internal = inside the company."),
    enum("actor_type", "R", ACTOR_TYPES, "Who acted."),
    code("touchpoint", "Place of contact; a row of the touchpoints table.", "C"),
    enum("lifecycle", "O", LIFECYCLES, "Point of the activity's life; null means complete."),
    Field("start_time", TIME, "O", "Start of the activity.", unit="UTC"),
    Field("end_time", TIME, "O", "End of the activity.", unit="UTC"),
    Field("activity_id", TEXT, "O", "Instance of an activity: its start and complete share it."),
    _seconds("wait_s", "How long the customer waited before this event."),
    _seconds("talk_s", "Talk time."),
    _seconds("hold_s", "Time on hold."),
    _seconds("wrap_s", "After-contact work."),
    enum("waiting_for", "O", WAITS, "Whom the wait after this event is for."),
    code("owner", "Department answerable; else the touchpoint's, as of `time`."),
    code("team", "Team within the owner."),
    code("actor_id", "Who acted, as a keyed pseudonym."),
    code("system", "System that asks or holds the information."),
    code("intent", "What the customer wanted."),
    code("product_id", "Product concerned."),
    code("journey_type", "Kind of journey; a row of the journey_types table."),
    enum("stage", "O", STAGES, "Before, during or after the service."),
    code("lifecycle_stage", "Stage of the customer's life cycle."),
    Field("case_id", TEXT, "O", "Case the event belongs to: its thread."),
    Field("objects", pa.list_(OBJECT), "O", "Other objects touched (OCEL 2.0)."),
    enum("outcome", "O", OUTCOMES, "How the event ended."),
    code("to_owner", "Hand-off: receiving owner.", "C"),
    code("to_team", "Hand-off: receiving team.", "C"),
    enum("to_channel", "C", CHANNELS, "Hand-off: receiving channel."),
    enum("handoff_kind", "C", HANDOFF_KINDS, "Hand-off: how it was made."),
    Field("info", pa.list_(INFO), "O", "Fields given, asked, passed; values only as keyed hashes.",
          hashed=("value_hmac",)),
    Field("promise", PROMISE, "O", "Promise made, moved, delivered or cancelled; `owner`: who must"
          " deliver it, as the event that makes it says."),
    enum("message_kind", "C", MESSAGE_KINDS, "Outbound: what kind of message."),
    code("campaign_id", "Outbound: campaign.", "C"),
    Field("message_id", TEXT, "C", "Outbound: message."),
    Field("claims", pa.list_(CLAIM), "O", "What was said to be so; values only as keyed hashes.",
          hashed=("value_hmac",)),
    code("error_code", "Technical error met."),
    Field("results_n", pa.int32(), "O", "Number of results a search gave.", unit="1"),
    Field("cost_amount", pa.decimal128(18, 4), "O", "Cost of the event.", unit="currency"),
    code("currency", "Currency of `cost_amount` (ISO 4217)."),
    _seconds("agent_s", "Working time of employees."),
    Field("fcr_flag", pa.bool_(), "O", "Agent says: resolved at first contact."),
    enum("relevance_basis", "O", BASES, "Why an outbound message was sent."),
    code("site_id", "Site (for weather and opening hours)."),
    code("tz", "Time zone of the site (IANA)."),
    code("language", "Language (BCP 47)."),
    Field("consent_purpose", pa.list_(TEXT), "O", "Purposes the customer consented to."),
    Field("attrs", pa.map_(TEXT, TEXT), "O", "Whatever else the source says."),
)  # fmt: skip

#: Fields of occasional facts. A source that maps one logs it whenever it happens: an event without
#: it says that it did not happen. In any other field a missing value is unknown.
LOGGED_WHEN_PRESENT = frozenset({
    "lifecycle", "activity_id", "wait_s", "talk_s", "hold_s", "wrap_s", "waiting_for", "outcome",
    "to_owner", "to_team", "to_channel", "handoff_kind", "info", "promise", "message_kind",
    "campaign_id", "message_id", "claims", "error_code", "results_n", "cost_amount", "agent_s",
    "fcr_flag", "relevance_basis",
})  # fmt: skip

#: Raw identities, which are never written; then the columns of their pseudonyms.
IDENTITY_FIELDS = ("identity", "previousidentity")
CUSTOMER_KEY = "customer_key"
BUCKET = "bucket"
#: The own identity of a row, where links say that another one owns it.
IDENTITY_KEY = "identity_key"


@dataclass(frozen=True)
class Contract:
    """A kind of input: its fields, and those that every mapping must give.

    Fields in `dropped` may be mapped, but are dropped during ingest and never written. Fields in
    `made` cannot be mapped: ingest computes them.
    """

    kind: str
    fields: tuple[Field, ...]
    needed: tuple[str, ...]
    dropped: tuple[str, ...] = ()
    made: tuple[Field, ...] = ()

    @cached_property
    def by_name(self) -> dict[str, Field]:
        """Fields by name."""
        return {field.name: field for field in self.fields}

    @cached_property
    def carried(self) -> dict[str, Field]:
        """Fields after ingest, by name: all but the dropped ones, and the computed ones."""
        fields = {field.name: field for field in (*self.fields, *self.made)}
        return {name: field for name, field in fields.items() if name not in self.dropped}

    @cached_property
    def required(self) -> tuple[str, ...]:
        """Names of the fields that no accepted row lacks."""
        return tuple(field.name for field in self.fields if field.need == "R")

    def canonical(self, present: set[str] | None = None) -> pa.Schema:
        """Return the schema of a batch before pseudonymisation; `present` limits the columns."""
        return _schema(self.fields, present)

    def pseudonymous(self, present: set[str] | None = None) -> pa.Schema:
        """Return the schema of an accepted, pseudonymous row.

        `identity` is replaced by `customer_key` (32 hex digits), `previousidentity` by
        `previous_key`; `bucket` (0..4095, the key's first 12 bits) is added, and `identity_key`,
        the pseudonym of the row's own identity, where links give it another owner.
        """
        fields = [
            pa.field(CUSTOMER_KEY, CODED, nullable=False,
                     metadata={"description": "Keyed pseudonym of the customer.", "unit": ""}),
            pa.field(BUCKET, pa.int16(), nullable=False,
                     metadata={"description": "Virtual bucket of the customer key.", "unit": ""}),
        ]  # fmt: skip
        if present is None or IDENTITY_KEY in present:
            fields.append(_ORIGINAL)
        names = {"previousidentity": "previous_key"}
        carried = _schema(self.carried.values(), present)
        given = [arrow for arrow in carried if arrow.name != "identity"]
        return pa.schema([*fields, *(a.with_name(names.get(a.name, a.name)) for a in given)])


_ORIGINAL = pa.field(IDENTITY_KEY, CODED, metadata={"unit": "", "description": (
    "Keyed pseudonym of the row's own identity, where identity_links give it to another"
    " customer; null: customer_key is its own.")})  # fmt: skip


def _schema(fields: Iterable[Field], present: set[str] | None) -> pa.Schema:
    return pa.schema(
        [f.arrow for f in fields if present is None or f.name in present or f.need == "R"]
    )


INTERACTIONS = Contract(
    "interaction",
    (*ENVELOPE, *BODY, HEARTBEAT),
    needed=("time", "identity", "activity", "channel"),
    dropped=(HEARTBEAT.name,),
)
INTERACTION: tuple[Field, ...] = INTERACTIONS.fields
BY_NAME: dict[str, Field] = INTERACTIONS.by_name
REQUIRED: tuple[str, ...] = INTERACTIONS.required


def event_schema(present: set[str] | None = None) -> pa.Schema:
    """Return the schema of an accepted, pseudonymous event (`Contract.pseudonymous`)."""
    return INTERACTIONS.pseudonymous(present)
