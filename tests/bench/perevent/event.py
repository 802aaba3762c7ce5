"""An event of a customer, with what its touchpoint and its journey type say of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rejse.transforms.facts import FAMILIES, HUMAN_CHANNELS, PUSHED, SELF_SERVICE
from rejse.transforms.rules import JourneyType
from tests.bench.perevent.company import NOWHERE, Company, Place
from tests.bench.perevent.intake import Row

if TYPE_CHECKING:
    from tests.bench.perevent.step import Step
    from tests.bench.perevent.visit import Visit

SALES = ("marketing", "upsell")
RELEVANT = ("due", "need", "preference")


@dataclass(slots=True, eq=False)
class Event:
    """One event; `us` is its time in microseconds, `n` its place in the journey."""

    id: str
    us: int
    channel: str
    family: str
    activity: str
    direction: str
    actor_type: str
    touchpoint: str | None
    place: Place
    kind: JourneyType
    owner: str | None
    owner_from_table: bool
    intent: str | None
    outcome: str | None
    value: float | None
    to_owner: str | None
    wait_s: int | None
    talk_s: int | None
    message_kind: str | None
    relevance_basis: str | None
    info: list[Row]
    promise: Row | None
    n: int = 0
    step: Step | None = None
    visit: Visit | None = None
    last_end: Event | None = None

    @classmethod
    def of(cls, row: Row, company: Company) -> Event:
        """The event of a canonical row."""
        place = company.places.get(row["touchpoint"], NOWHERE)
        kind = company.kind(row["journey_type"] or place.journey_type or "other")
        channel, outcome, owner = row["channel"], row["outcome"], row["owner"]
        return cls(
            row["id"], row["time"], channel, FAMILIES.get(channel) or channel, row["activity"],
            row["direction"], row["actor_type"], row["touchpoint"], place, kind,
            owner or place.owner, owner is None and place.owner is not None, row["intent"],
            outcome, kind.outcome_map.get(outcome), row["to_owner"], row["wait_s"], row["talk_s"],
            row["message_kind"], row["relevance_basis"], row["info"] or [], row["promise"],
        )  # fmt: skip

    @property
    def order(self) -> tuple[int, str]:
        """The total order of a log of one source without sequences."""
        return self.us, self.id

    @property
    def name(self) -> str:
        """How published rows name it."""
        return f"events/{self.id}"

    @property
    def system(self) -> str:
        """System of its touchpoint, else its owner, else its channel."""
        return self.place.system or self.owner or self.channel

    @property
    def is_internal(self) -> bool:
        """Inside the company."""
        return self.direction == "internal"

    @property
    def is_need_driven(self) -> bool:
        """Inbound, or outbound with a relevance basis."""
        if self.direction == "outbound":
            return self.relevance_basis in RELEVANT
        return self.direction == "inbound"

    @property
    def is_message(self) -> bool:
        """Sent by bot or system: a contact of its own."""
        return self.is_sent_by_machine and self.message_kind is not None

    @property
    def is_sent_by_machine(self) -> bool:
        """Outbound by bot or system."""
        return self.direction == "outbound" and self.actor_type in ("bot", "system")

    @property
    def is_pushed(self) -> bool:
        """Outbound marketing, upsell or survey."""
        return self.direction == "outbound" and self.message_kind in PUSHED

    @property
    def is_sales(self) -> bool:
        """Outbound marketing or upsell."""
        return self.direction == "outbound" and self.message_kind in SALES

    @property
    def is_unasked(self) -> bool:
        """An outbound message without a relevance basis."""
        outbound = self.direction == "outbound" and self.message_kind is not None
        return outbound and self.relevance_basis not in RELEVANT

    @property
    def is_by_human(self) -> bool:
        """A human acted, or a human channel carried it."""
        return self.actor_type == "human" or self.channel in HUMAN_CHANNELS

    @property
    def is_by_machine(self) -> bool:
        """A machine acted, or a self-service channel carried it."""
        return self.actor_type in ("bot", "system") or self.channel in SELF_SERVICE

    @property
    def is_end(self) -> bool:
        """Its outcome ends journeys of its type."""
        return self.outcome in self.kind.end_outcomes

    @property
    def is_judgement(self) -> bool:
        """A mapped outcome that the company did not merely send."""
        return self.value is not None and self.direction != "outbound"
