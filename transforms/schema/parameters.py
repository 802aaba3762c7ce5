"""The parameters of the core: windows, weights and thresholds, as small frozen values.

Durations are microseconds here (the unit of event time) and text such as `30d`, `30min`, `10s` in
the configuration file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

OUTCOME_MAP: Mapping[str, float] = {
    "resolved": 1.0, "sold": 1.0, "informed": 1.0, "partly": 0.5, "declined": 0.5,
    "unresolved": 0.0, "abandoned": 0.0, "error": 0.0, "no_result": 0.0,
}  # fmt: skip
END_OUTCOMES = ("resolved", "sold")
#: Bad outcomes: they end a journey that is not continued within the re-open window.
WEAK_END_OUTCOMES = ("unresolved", "abandoned", "declined")


@dataclass(frozen=True)
class JourneyType:
    """Rules of one journey type: a row of the `journey_types` table, or the defaults (`other`)."""

    name: str = "other"
    owner: str | None = None
    gap: int = 30 * DAY
    case_gap: int = 90 * DAY
    reopen_window: int = 14 * DAY
    cap: int = 365 * DAY
    handoff_due: int = 3 * DAY
    start_activities: tuple[str, ...] = ()
    end_activities: tuple[str, ...] = ()
    end_outcomes: tuple[str, ...] = END_OUTCOMES
    weak_end_outcomes: tuple[str, ...] = WEAK_END_OUTCOMES
    outcome_map: Mapping[str, float] = field(default_factory=lambda: dict(OUTCOME_MAP))
    expects_outcome: bool | None = None  # None: expected in threads with a case
    is_problem: bool = False
    horizon: int | None = None  # age at which views judge a journey; None: as measured


@dataclass(frozen=True)
class Windows:
    """Windows that apply to all journey types."""

    session_gap: int = 30 * MINUTE
    lateness: int = 1 * DAY
    identity_wait: int = 1 * DAY
    repeat: int = 7 * DAY
    promise_give_up: int = 30 * DAY
    max_events: int = 100_000
    short_abandon: int = 10 * SECOND
    pressure_window: int = 7 * DAY
    pressure_cap: int = 3
    quick_intents: tuple[str, ...] = ()
    coverage_floor: float = 0.2
    volatile_fields: tuple[str, ...] = ()
    question_activities: tuple[str, ...] = ("question",)
    x_touchpoint: int = 3 * DAY
    survey: int = 14 * DAY
    ignored: int = 7 * DAY
    follow_up: int = 90 * DAY
    relief_friction: float = 50.0


#: Weight of each kind of friction: priors, in (0, 0.95].
WEIGHTS: Mapping[str, float] = {
    "repeat_contact": 0.25, "channel_fallback": 0.20, "reasked_info": 0.45,
    "handoff_without_context": 0.30, "handoff_dropped": 0.50, "customer_wait": 0.30,
    "promise_broken": 0.45, "reopened": 0.35, "channel_switch": 0.05,
    "transfer": 0.10, "escalation": 0.20, "ping_pong": 0.30,
    "info_conflict": 0.30, "contradiction": 0.30, "dead_end": 0.30, "abandonment": 0.35,
    "self_rescue": 0.15, "internal_wait": 0.20, "rework": 0.10, "upsell_in_problem": 0.25,
    "over_pressure": 0.15,
}  # fmt: skip
LATE_PROMISE_WEIGHT = 0.25
REASK_CONFIDENCE: Mapping[str, float] = {"observed": 1.0, "declared": 0.6, "inferred": 0.3}
HEALTH_WEIGHTS: Mapping[str, float] = {"outcome": 0.35, "delivery": 0.40, "experience": 0.25}
COMPONENT_FLOOR = 0.10
#: Bands of health with their minimum, best first.
BANDS: tuple[tuple[str, float], ...] = (("good", 80.0), ("fair", 60.0), ("poor", 0.0))


@dataclass(frozen=True)
class Rules:
    """All parameters of the core; each part of the core gets only its own."""

    windows: Windows = field(default_factory=Windows)
    weights: Mapping[str, float] = field(default_factory=lambda: dict(WEIGHTS))
    late_promise_weight: float = LATE_PROMISE_WEIGHT
    types: Mapping[str, JourneyType] = field(default_factory=dict)
    default_type: JourneyType = field(default_factory=JourneyType)
    sources: Mapping[str, frozenset[str]] = field(
        default_factory=dict
    )  # source of interactions or X-records -> declared columns

    def type_of(self, name: str | None) -> JourneyType:
        """Return the rules of a journey type; those of `other` for an unknown or null name."""
        return self.types.get(name or "other", self.default_type)

    @property
    def largest_gap(self) -> int:
        """Largest gap of any type, in microseconds."""
        return max([self.default_type.gap, *(t.gap for t in self.types.values())])
