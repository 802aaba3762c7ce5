"""Which alerts a receiver is told of now: not in quiet hours, and at most so many an hour an owner.

What quiet hours held back is told in one summary for each owner when they end. Where more is to be
told than the hour has room for, the last message that fits is a summary of the rest; where there is
no room left it waits. What was withdrawn before anybody heard of it is never told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, tzinfo

from rejse.transforms.alerts.ledger import Alert

HOUR = 3_600_000_000


@dataclass(frozen=True)
class Pace:
    """When, and how often, an owner is told.

    Attributes:
        quiet: Begin and end of the quiet hours, times on the wall; equal: none.
        zone: Time zone of the quiet hours.
        wakes: Severities that are told in quiet hours too.
        per_owner_per_hour: Messages on alerts that an owner gets in any hour at most.
    """

    quiet: tuple[time, time] = (time(), time())
    zone: tzinfo = UTC
    wakes: frozenset[str] = frozenset()
    per_owner_per_hour: int | None = None

    def is_quiet(self, at: int, severity: str) -> bool:
        """Return whether nobody is told of an alert of this severity at this time."""
        if severity in self.wakes:
            return False
        clock = datetime.fromtimestamp(at / 1_000_000, UTC).astimezone(self.zone).time()
        begin, end = self.quiet
        if begin <= end:
            return begin <= clock < end
        return clock >= begin or clock < end


@dataclass(frozen=True)
class Parcel:
    """What is told at once: one alert, or a summary of several of one owner."""

    alerts: tuple[Alert, ...]
    is_summary: bool = False


def is_pending(alert: Alert, channel: str) -> bool:
    """Return whether a receiver has not heard of the state of an alert: it stands, or not."""
    if alert.closed_at is not None:
        return False
    settled = [n for name, n in (*alert.delivered, *alert.undelivered) if name == channel]
    # Announced entries take turns: odd ones say that it stands, even ones that it is withdrawn.
    return alert.n_announced % 2 != max(settled, default=0) % 2


def parcels(alerts: Iterable[Alert], channel: str, now: int, pace: Pace) -> Iterator[Parcel]:
    """Yield what a channel tells now, in the order in which it became so."""
    by_owner: dict[str, list[Alert]] = {}
    used: dict[str, set[int]] = {}
    for alert in alerts:
        owner = alert.owner or ""
        if is_pending(alert, channel) and not pace.is_quiet(now, alert.severity):
            by_owner.setdefault(owner, []).append(alert)
        used.setdefault(owner, set()).update(
            at  # all alerts of a summary were delivered at one time
            for (name, n), at in alert.delivered.items()
            if name == channel and n % 2 and at > now - HOUR
        )
    for owner, pending in sorted(by_owner.items()):
        pending.sort(key=lambda alert: (alert.changed_at, alert.key))
        yield from (Parcel((alert,)) for alert in pending if not alert.is_standing)
        standing = [alert for alert in pending if alert.is_standing]
        most = pace.per_owner_per_hour
        room = len(standing) + 1 if most is None else most - len(used[owner])
        yield from _fitting(standing, room, pace)


def _fitting(standing: Sequence[Alert], room: int, pace: Pace) -> Iterator[Parcel]:
    held = [alert for alert in standing if pace.is_quiet(alert.changed_at, alert.severity)]
    fresh = [alert for alert in standing if alert not in held]
    if len(fresh) + bool(held) > room:
        fresh, held = fresh[: max(room - 1, 0)], [*fresh[max(room - 1, 0) :], *held]
    yield from (Parcel((alert,)) for alert in fresh)
    if held and room > 0:
        yield Parcel(tuple(held), is_summary=len(held) > 1)
