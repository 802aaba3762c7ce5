"""The published tables of journeys: grain and columns; metrics come from their declarations."""

from __future__ import annotations

from functools import cache

import pyarrow as pa

from rejse.transforms.schema import contract
from rejse.transforms.schema.registry import Column, Table
from rejse.transforms.schema.registry import metrics as declared
from rejse.transforms.scoring import metrics

TEXT, TIME, INT, LONG, REAL, FLAG = (
    pa.string(),
    contract.TIME,
    pa.int32(),
    pa.int64(),
    pa.float64(),
    pa.bool_(),
)
TEXTS = pa.list_(pa.string())
#: Where minutes come from.
MINUTE_BASES = ("measured", "assumed")


def _id(name: str, about: str) -> Column:
    return Column(name, TEXT, about, nullable=False)


def _text(name: str, about: str, values: tuple[str, ...] = ()) -> Column:
    return Column(name, TEXT, about, values=values)


def _time(name: str, about: str, nullable: bool = True) -> Column:
    return Column(name, TIME, about, unit="UTC", nullable=nullable)


def _count(name: str, about: str, unit: str = "1", nullable: bool = False) -> Column:
    return Column(name, INT, about, unit=unit, low=0, nullable=nullable)


def _share(name: str, about: str, nullable: bool = True) -> Column:
    return Column(name, REAL, about, unit="1", low=0, high=1, nullable=nullable)


def _flag(name: str, about: str, nullable: bool = False) -> Column:
    return Column(name, FLAG, about, nullable=nullable)


JOURNEY = _id("journey_id", "Journey: hash of customer key, case or type, and first event.")
CUSTOMER = _id(contract.CUSTOMER_KEY, "Keyed pseudonym of the customer.")
STEP = _id("step_id", "Step: its journey and place, `<journey_id>-<seq>`.")
FINAL = _flag("is_final", "No event can change this row within the allowed lateness.")

#: Columns that every published row carries besides its own.
STAMP: tuple[Column, ...] = (
    _time("known_at", "When this row was computed (run clock; no result depends on it).", False),
    Column("revision", INT, "Number of the row's revision, from 1.", "1", 1, nullable=False),
    _text(
        "revision_reason",
        "Why this revision exists.",
        ("first", "late event", "record", "answer", "identity", "erasure", "configuration"),
    ),
    _id("config_version", "Hash of the configuration that computed the row."),
    _id("run_id", "Run that computed the row."),
)

JOURNEY_BASE: tuple[Column, ...] = (
    JOURNEY,
    CUSTOMER,
    _text("journey_type", "Type of the first typed event, else `other`."),
    _text("case_id", "Case that makes the thread, else null."),
    _text("owner", "Owner of the journey type, else of the first step with an owner."),
    _text("product_id", "First product in total order: the event's, else its case's."),
    _text(
        "lifecycle_stage",
        "First life-cycle stage in total order: the event's, else the customer's at its time.",
    ),
    _text("segment", "First segment of the customer, as of the events' times."),
    _time("started_at", "First need-driven or internal event; without one the first event.", False),
    _time(
        "ended_at",
        "Last event, not before `started_at`: an activity may be logged early.",
        False,
    ),
    _text("state", "closed: its deadline has passed; open: it may still grow.", ("closed", "open")),
    _text(
        "close_reason",
        "Which deadline closed it; null while open.",
        ("silence", "start rule", "new need", "end rule", "cap", "superseded"),
    ),
    FINAL,
)

STEP_BASE: tuple[Column, ...] = (
    STEP,
    JOURNEY,
    CUSTOMER,
    Column("seq", INT, "Place in the journey, from 1.", "1", 1, nullable=False),
    _id("session_id", "Session the step belongs to, `<journey_id>-s<seq>`."),
    Column("event_ids", TEXTS, "Its events in order, as source/id.", nullable=False),
    _text("touchpoint", "Place of contact; null where none was logged."),
    _text("activity", "First activity."),
    _text("channel", "Channel of the first event."),
    _text("direction", "Direction of the first event.", contract.DIRECTIONS),
    _text("actor_type", "Who acted first.", contract.ACTOR_TYPES),
    _text("actor_id", "First actor, as a keyed pseudonym."),
    _text("stage", "Stage: logged, else the touchpoint's.", contract.STAGES),
    _text("owner", "Owner: logged, else the touchpoint's, else the team's, as of the first event."),
    _text("team", "Team: logged, else the agent's, else the touchpoint's, as of the first event."),
    _text("silo", "Silo: the touchpoint's, else the team's as of the first event, else the owner."),
    _text("system", "System of the first event, else owner, else channel."),
    _text("intent", "First intent."),
    _text("product_id", "First product: the event's, else its case's."),
    _text("site_id", "First site."),
    _time("started_at", "Start of the first event.", False),
    _time("ended_at", "End of the last event.", False),
    _count("n_events", "Number of events."),
    _text("outcome", "Last logged outcome.", contract.OUTCOMES),
    _flag("is_moment_of_truth", "The touchpoint is marked as a moment of truth.", nullable=True),
    _flag("is_pushed", "A message that the company pushed (marketing, upsell, survey)."),
    FINAL,
)

SESSIONS = Table("sessions", "visit: one channel family, silence within the gap, or one message",
                 ("session_id",), (
    _id("session_id", "Session, `<journey_id>-s<seq>`."), JOURNEY, CUSTOMER,
    Column("seq", INT, "Place in the journey by first event, from 1.", "1", 1, nullable=False),
    _text("channel_family", "digital, chat, voice, written, place, or the channel itself."),
    _text("channel", "First channel."),
    _text("source", "Source of the first event."),
    _flag("is_contact", "It has an event that is not internal."),
    _flag("is_message", "One outbound message of a bot or system."),
    _text("direction", "Direction of the first event that is not internal, else internal.",
          contract.DIRECTIONS),
    _flag("is_need_driven", "Inbound, or outbound with a relevance basis and consent."),
    _text("intent", "First intent."),
    _text("outcome", "Last outcome.", contract.OUTCOMES),
    _flag("has_human", "A human of the company acted, or a human channel carried it."),
    _flag("has_machine", "A bot or system acted, or a digital channel carried it."),
    _time("started_at", "First event.", False), _time("ended_at", "Last event.", False),
    _count("n_events", "Number of events."),
    _count("talk_s", "Talk time logged.", "s", True),
    _count("hold_s", "Hold time logged.", "s", True),
    _count("wrap_s", "After-contact work logged.", "s", True),
    _count("wait_s", "Waiting logged.", "s", True),
    _flag("fcr_flag", "Agent says: resolved at first contact.", True),
    FINAL,
))  # fmt: skip

EVIDENCE = Table("friction_evidence", "detected piece of friction", ("evidence_id",), (
    _id("evidence_id", "`<step_id>-<kind>-<detail>`."), JOURNEY, STEP, CUSTOMER,
    _text("prev_step_id", "Earlier step of an edge; null at a node."),
    _text("kind", "Kind of friction."),
    _text("locus", "node: within a step; edge: between two steps.", ("node", "edge")),
    _text("owner", "Owner; of an edge the earlier step's, of a promise who must deliver it."),
    _text("owner_to", "Owner of the later step of an edge."),
    _text("touchpoint", "Touchpoint of the anchor step."),
    _time("occurred_at", "When it happened.", False),
    _text("basis", "observed in the events, declared by a table, or inferred.",
          ("observed", "declared", "inferred")),
    Column("raw_value", REAL, "Amount x measured.", nullable=False),
    _text("unit", "Unit of the amount."),
    Column("expected_value", REAL, "Amount expected."),
    Column("base_weight", REAL, "Weight w of the kind.", "1", 0, 0.95, False),
    Column("intensity", REAL, "g(x).", "1", 0, 1, False),
    Column("confidence", REAL, "How sure.", "1", 0, 1, False),
    Column("severity", REAL, "s = w * g(x) * confidence, 12 decimals.", "1", 0, 0.95, False),
    _count("kind_rank", "Rank in its incident by falling severity, from 0."),
    Column("hazard", REAL, "h = 0.5^rank * -ln(1 - s).", "1", 0, None, False),
    _share("share", "h / H of the journey.", False),
    Column("minutes_customer", REAL, "Minutes of the customer: measured, else assumed; those of"
           " an incident stand with one of its pieces, the others have 0.", "min", 0),
    _text("minutes_customer_basis", "measured, or assumed from cost_rates.", MINUTE_BASES),
    Column("minutes_company", REAL, "Minutes of the company: measured, else assumed; once an"
           " incident, as minutes_customer.", "min", 0),
    _text("minutes_company_basis", "measured, or assumed from cost_rates.", MINUTE_BASES),
    Column("cost", REAL, "Minutes times rates; null without rates.", "currency", 0),
    _flag("is_cost_whole", "Whether customer and company are both in the cost; null: none.", True),
    _text("currency", "Currency of the cost (ISO 4217)."),
    Column("event_ids", TEXTS, "Events that prove it, as source/id.", nullable=False),
    _text("detail", "What exactly, in words."),
    _text("rule", "Rule that found it."), _text("rule_version", "Version of the rule."),
    FINAL,
))  # fmt: skip

HANDOFFS = Table("handoffs", "change of owner or team between steps, or a promised one",
                 ("handoff_id",), (
    _id("handoff_id", "`<to step>` of a seen hand-off, `<from step>-to-<receiver>-<event>`"
        " of one asked for."),
    JOURNEY, CUSTOMER,
    _text("from_step", "Giving step."), _text("to_step", "Receiving step; null if none came."),
    _text("from_owner", "Giving owner."), _text("to_owner", "Receiving owner."),
    _text("from_team", "Giving team."), _text("to_team", "Receiving team."),
    _text("from_channel", "Channel of the giving step."),
    _text("to_channel", "Channel of the receiving step."),
    _time("occurred_at", "Start of the receiving step, or the request.", False),
    Column("latency_s", LONG, "From the giving step's end to the receiving step's start.", "s"),
    Column("n_fields_known", INT, "Fields the customer had given before.", "1", 0),
    Column("n_fields_passed", INT, "Known fields that were passed or shown.", "1", 0),
    Column("n_fields_reasked", INT, "Known fields the receiver asked again.", "1", 0),
    _text("context", "How much context went over.", ("none", "part", "full", "unknown")),
    _text("basis", "observed or declared.", ("observed", "declared")),
    _flag("is_dropped", "Asked for: true if dropped, false if taken up; null if not asked for, or"
          " not known yet.", True),
    _flag("is_ping_pong", "Back to the owner it came from.", False),
    _time("due_at", "When a hand-off asked for was due."),
    FINAL,
))  # fmt: skip

INFO_REQUESTS = Table("info_requests", "field asked of a customer in a step",
                      ("step_id", "field"), (
    JOURNEY, STEP, CUSTOMER, _id("field", "Field asked."),
    _text("touchpoint", "Touchpoint that asked."),
    _text("owner", "Owner that asked."),
    _text("system_asking", "System that asked."),
    _text("system_known", "First system that got it."),
    _text("known_step_id", "Step in which it was first given."),
    _time("known_since", "When it was first given."),
    _time("occurred_at", "When it was asked.", False),
    _flag("is_reask", "It had been given before in this journey."),
    _flag("value_agrees", "The answer equals the last one; null: not answered.", True),
    _text("basis", "observed, declared or inferred.", ("observed", "declared", "inferred")),
    FINAL,
))  # fmt: skip

PROMISES = Table("promises", "promise to a customer", (contract.CUSTOMER_KEY, "promise_id"), (
    _id("promise_id", "Promise, unique for its customer."), JOURNEY, STEP, CUSTOMER,
    _text("kind", "Kind of promise.", contract.PROMISE_KINDS),
    _text("made_by", "Actor that made it."),
    _text("owner", "Who must deliver it: as said, else the owner of the journey's type, else of the"
          " step."),
    _time("made_at", "When it was made.", False),
    _time("due_at", "Due, after valid moves."),
    _time("delivered_at", "When it was delivered, before it ended."),
    _text("status", "State of the promise.", ("kept", "late", "broken", "open", "cancelled")),
    Column("lateness_s", LONG, "Delivered after due by.", "s"),
    _count("n_moves", "How often it was moved before it ended (due_at + give-up)."),
    FINAL,
))  # fmt: skip

SLA_RESULTS = Table("sla_results", "service level of a journey", ("journey_id", "sla", "kind"), (
    JOURNEY, CUSTOMER, _id("sla", "Service level, as in slas."),
    _text("kind", "response: first answer; resolution: the end that holds.",
          ("response", "resolution")),
    _text("owner", "Owner of the journey's type, else of the step in which the clock started."),
    _time("started_at", "First need-driven event.", False),
    _time("due_at", "When it is due; null while the clock is stopped, or without known hours."),
    _time("met_at", "First answer, or the end that holds; null if none came."),
    Column("elapsed_s", LONG, "On the clock until met, without waiting for the customer.", "s", 0),
    _text("status", "open until the watermark has passed what decides; null: hours not known.",
          ("achieved", "breached", "open")),
    FINAL,
))  # fmt: skip


assert metrics.__all__  # importing the package has declared them


@cache
def tables() -> dict[str, Table]:
    """All tables that the core publishes, by name (without stamps and `_live` twins)."""
    by_grain = {g: tuple(m.column for m in declared(g)) for g in ("journey", "step")}
    journeys = Table("journeys", "journey", ("journey_id",), JOURNEY_BASE + by_grain["journey"])
    steps = Table(
        "steps",
        "touchpoint visit or internal task of a journey",
        ("step_id",),
        STEP_BASE + by_grain["step"],
    )
    declared_tables = (
        journeys,
        steps,
        SESSIONS,
        EVIDENCE,
        HANDOFFS,
        INFO_REQUESTS,
        PROMISES,
        SLA_RESULTS,
    )
    return {table.name: table for table in declared_tables}
