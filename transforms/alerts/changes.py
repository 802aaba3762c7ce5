"""What a look at live rows changes: which alerts fire, are withdrawn, hold again, or have moved."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from rejse.transforms.alerts.ledger import Alert, Entry, Match, fired

CLOSED = "the journey has closed"
GONE = "the journey is no longer there"
NO_LONGER = "it no longer holds"


@dataclass(frozen=True)
class Ends:
    """How alerts of a rule end: in words, and whether a journey has at most one at a time."""

    because: str = NO_LONGER
    is_of_journey: bool = False


@dataclass(frozen=True)
class Look:
    """What was looked at.

    Attributes:
        at: The clock, microseconds.
        base: Publication that the rows are laid over.
        rules: Rules that were asked.
        matches: What they match now, `holds_from` having passed.
        journeys: State of each journey that was looked at, with all its rows.
        partly: Journeys by rule of which only the rows were looked at that the rule is about.
        lost: Journeys that neither were looked at nor are published.
    """

    at: int
    base: int
    rules: Mapping[str, Ends]
    matches: Sequence[Match]
    journeys: Mapping[str, str]
    partly: Mapping[str, Collection[str]] = field(default_factory=dict)
    lost: Collection[str] = ()

    def has_seen(self, alert: Alert) -> bool:
        """Return whether what the alert is about was looked at."""
        journey = alert.journey_id
        partly = self.partly.get(alert.rule, ())
        return journey in self.journeys or journey in partly or journey in self.lost


def changes(look: Look, alerts: Mapping[str, Alert]) -> Iterator[Entry]:
    """Yield the entries that a look adds to the ledger.

    An alert fires once. One of a journey that was looked at and matches no longer is withdrawn.
    One that matches again after it was withdrawn is restored. Where a rule is of the whole journey
    and matches another event of it than before, the first alert still stands.

    Args:
        alerts: The alerts of the ledger, those of others too.
    """
    matches = {match.key: match for match in look.matches}
    ended = [
        alert
        for alert in alerts.values()
        if alert.is_standing
        and alert.rule in look.rules
        and alert.key not in matches
        and look.has_seen(alert)
    ]
    standing: dict[tuple[str, str], str] = {}
    for alert in ended:
        if look.rules[alert.rule].is_of_journey:
            standing.setdefault((alert.rule, alert.journey_id), alert.key)
    carried = set()
    for key, match in sorted(matches.items()):
        if key not in alerts:
            heir = standing.pop((match.rule, match.journey_id), None)
            if heir is None:
                yield fired(match, look.at, look.base)
            else:
                carried.add(heir)
    for alert in ended:
        if alert.key not in carried:
            because = _because(alert, look)
            yield {"kind": "withdrawn", "key": alert.key, "at": look.at, "because": because}
    for key, match in matches.items():
        known = alerts.get(key)
        if known is None or known.closed_at is not None:
            continue
        same = {"key": key, "at": look.at}
        if known.withdrawn_at is not None:
            yield {"kind": "restored", **same, "base": look.base}
        if known.journey_id != match.journey_id:
            yield {"kind": "moved", **same, "journey_id": match.journey_id}


def _because(alert: Alert, look: Look) -> str:
    if alert.journey_id in look.lost:
        return GONE
    if look.journeys.get(alert.journey_id) == "closed":
        return CLOSED
    return look.rules[alert.rule].because
