"""Word kinds, times and amounts for people, for `explain` and the report alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rejse.pipelines.runtime.text_safety import DASH, clean

if TYPE_CHECKING:
    from rejse.transforms.scoring.friction.kinds import Kind


def kind_name(kind: str | None) -> str:
    """Return the label of a kind of friction; an unknown kind is named after itself."""
    declared = _declared(kind)
    return declared.label if declared else clean(kind).replace("_", " ").capitalize()


def kind_story(kind: str | None) -> str:
    """Return what a kind of friction means for the customer, as a clause without subject."""
    declared = _declared(kind)
    return declared.story if declared else f"met {clean(kind).replace('_', ' ')}"


def _declared(kind: str | None) -> Kind | None:
    from rejse.transforms.scoring.friction import KINDS

    return KINDS.get(kind or "")


def accounted(counts: Mapping[str, int]) -> dict[str, int]:
    """Return the counts of a run as they are shown.

    A repair counts the rows that it takes out of `late` as negative; here they are `repaired`:
    read + repaired = kept + duplicate + late + rejected + erased + heartbeat.
    """
    late = counts.get("late", 0)
    return {**counts, "late": max(late, 0), "repaired": max(-late, 0)}


def received(counts: Mapping[str, int]) -> str:
    """Word the received rows of the counts of `accounted`."""
    repaired = f" + repaired {counts['repaired']:,}" if counts["repaired"] else ""
    return f"read {counts.get('read', 0):,}{repaired}"


_SPANS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def duration(seconds: float | None) -> str:
    """Word seconds in the two largest units that matter: `1 d 5 h`, `24 min`, `40 s`."""
    if seconds is None:
        return DASH
    whole = round(abs(seconds))
    for place, (size, name) in enumerate(_SPANS):
        if whole >= size:
            rest, smaller = whole % size, _SPANS[place + 1 : place + 2]
            more = rest // smaller[0][0] if smaller and name != "min" else 0
            tail = f" {more} {smaller[0][1]}" if more else ""
            return f"{'−' if seconds < 0 else ''}{whole // size} {name}{tail}"
    return "0 s"


def amount(value: float | None, digits: int = 1) -> str:
    """Format a number with a fixed count of decimals; null is a dash."""
    return DASH if value is None else f"{value:,.{digits}f}".replace("-", "−")


def count(value: float | None) -> str:
    """Format a whole number with thousands separated, from 10,000 on as `12.3 k`."""
    if value is None:
        return DASH
    for size, name in ((1e9, "bn"), (1e6, "m"), (1e4, "k")):
        if value >= size:
            return f"{value / (1e3 if name == 'k' else size):.3g} {name}"
    return f"{value:,.0f}"


def share(value: float | None) -> str:
    """Format a share of one as a percentage; small ones keep a decimal.

    A share above 0 is never shown as 0 %, nor one below 1 as 100 %.
    """
    if value is None:
        return DASH
    if 0 < value < 0.001:
        return "<0.1 %"
    if 0.995 <= value < 1:
        return f"{100 * value:.1f} %" if value < 0.9995 else ">99.9 %"
    return f"{100 * value:.1f} %" if 0 < value < 0.1 else f"{100 * value:.0f} %"


def day(moment: datetime | None) -> str:
    """Format the date in UTC, as `4 May 2025`."""
    return DASH if moment is None else f"{moment.astimezone(UTC):%-d %b %Y}"


def minute(moment: datetime | None) -> str:
    """Format date and time of day in UTC, as `4 May 2025 14:40`."""
    return DASH if moment is None else f"{moment.astimezone(UTC):%-d %b %Y %H:%M}"


def listing(words: Iterable[object], most: int = 8) -> str:
    """List words with `and` before the last; the rest beyond `most` is counted."""
    shown = [clean(word, 40) for word in words]
    if len(shown) > most:
        shown = [*shown[:most], f"{len(shown) - most} more"]
    return " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1]))) if shown else DASH


def plural(number: int, noun: str) -> str:
    """Join number and noun: `1 step`, `3 steps`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def note(name: str, n: int) -> str:
    """Word a run's note on kept rows: `empty_owner: 3 values became other or null`."""
    from rejse.pipelines.sources.kafka import topics
    from rejse.transforms.incremental.merge_rows import EXCLUDED_LATER

    of_topics = {
        topics.EXPIRED: f"{plural(n, 'offset')} gone by retention before they were read",
        topics.TRUNCATED: f"{plural(n, 'offset')} that were read, and that the broker has lost",
        topics.ANEW: f"{plural(n, 'partition')} of a topic made anew, read from the start",
    }
    if name in of_topics:
        return f"{name}: {of_topics[name]}"
    if name == EXCLUDED_LATER:
        return f"{name}: {plural(n, 'event')} kept before, of customers who now crossed the cap"
    if name.startswith("unread_"):
        column = name.removeprefix("unread_")
        return f"{name}: {plural(n, 'value')} that the mapping could not read: {column} is null"
    if name == "score_outside_scale":
        return f"{name}: {plural(n, 'answer')} outside its scale, without a score"
    if name == "text_without_sentiment":
        return f"{name}: {plural(n, 'text')} in no language that is scored, or without judgement"
    return f"{name}: {n:,} values became other or null"
