"""Word a card for people: a section a question, each line with its evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import TypeVar

from rejse.pipelines.reporting import wording
from rejse.pipelines.reporting.card.card import (
    Advice,
    Card,
    Due,
    Evidence,
    Feeling,
    Friction,
    KnownFields,
    OpenJourney,
    Waiting,
)

T = TypeVar("T")
#: Lines of a section, and open journeys, at most; the rest is counted.
MOST_LINES, MOST_JOURNEYS = 8, 3
MOST_EVENTS = 3


def text(card: Card) -> str:
    """Return the card as plain text."""
    return "\n".join(lines(card)) + "\n"


def lines(card: Card) -> Iterator[str]:
    """Yield the lines of the card, in reading order."""
    until = card.complete_until
    known = f"sources complete until {_time(until)}" if until else "sources complete: not known"
    yield f"Card of customer {card.customer_key[:8]}, {_time(card.at)} UTC ({known})"
    if card.is_excluded:
        yield "  taken for no person: more events than `max_events`; nothing of them is kept"
        return
    yield from _section("Open journeys", card.journeys, _journey, _none_open(card), MOST_JOURNEYS)
    yield from _section("Said already", card.known, _fields, "no field is known to be given")
    yield from _section("Promised", card.due, _promise, "no promise is known to be open")
    yield from _section("Handed over, waits", card.waiting, _handoff, "nothing is known to wait")
    yield from _section("How they felt", card.felt, _feeling, "no answer of theirs is known")
    if card.n_unanswered:
        asked = wording.plural(card.n_unanswered, "question")
        yield f"  {asked} without an answer: how they felt about that is not known"
    yield from _section("Friction so far", card.friction, _friction, _no_friction(card))
    yield from _section("Do", [a for a in card.advice if a.is_do], _advice, "nothing in particular")
    yield from _section("Do not", [a for a in card.advice if not a.is_do], _advice, "-")


def _section(
    title: str, items: Sequence[T], worded: Callable[[T], tuple[str, Evidence]], nothing: str,
    most: int = MOST_LINES,
) -> Iterator[str]:  # fmt: skip
    yield title
    for words, evidence in map(worded, items[:most]):
        yield f"  {words} [{_cited(evidence)}]"
    if not items:
        yield f"  {nothing}"
    if len(items) > most:
        yield f"  … {len(items) - most} more, in --json"


def _cited(evidence: Evidence) -> str:
    more = len(evidence.events) - MOST_EVENTS
    cited = [*evidence.events[:MOST_EVENTS], *([f"{more} more"] if more > 0 else [])]
    journey = [f"journey {evidence.journey_id[:8]}"] if evidence.journey_id else []
    return "; ".join([*journey, *([", ".join(cited)] if cited else []), evidence.rule])


def _time(moment: datetime | None) -> str:
    return wording.minute(moment)


def _journey(journey: OpenJourney) -> tuple[str, Evidence]:
    place = journey.last_touchpoint or journey.last_channel
    last = f"last {_time(journey.last_at)}" + (f" at {place}" if place else "")
    counts = (
        "contacts not known" if journey.n_contacts is None
        else wording.plural(journey.n_contacts, "contact")
    )  # fmt: skip
    friction = (
        "friction not measured" if journey.friction_score is None
        else f"friction {journey.friction_score:.1f} of 100"
    )  # fmt: skip
    outcome = journey.outcome or "no outcome yet"
    return (
        f"{journey.journey_type or 'other'} of {journey.owner or 'nobody'}, since"
        f" {_time(journey.started_at)}; {last}; {outcome}; {counts}; {friction}",
        journey.evidence,
    )


def _none_open(card: Card) -> str:
    last = card.last_closed
    if last is None:
        return "none is known"
    return (
        f"none; the last, {last.journey_type or 'other'}, had its last event {_time(last.last_at)}"
    )


def _fields(known: KnownFields) -> tuple[str, Evidence]:
    have = "has it" if len(known.fields) == 1 else "has them"
    also = f"; {', '.join(known.also)} got {have[4:]} too" if known.also else ""
    differing = f"; differing values of {', '.join(known.differing)}" if known.differing else ""
    return (
        f"{', '.join(known.fields)}; {known.system or 'somebody'} {have} since"
        f" {_time(known.since)}{also}{differing}",
        known.evidence,
    )


_STATES = {
    "due": "",
    "overdue": ", overdue: no delivery is logged, and the sources are complete past it",
    "past due": ", past due by the clock; a delivery may not have been read yet",
    "undated": ", without a date",
    "broken": ", broken",
    "dropped": ", overdue: the sources are complete past it",
}


def _promise(promise: Due) -> tuple[str, Evidence]:
    due = f" until {_time(promise.due_at)}" if promise.due_at else ""
    by = f" by a {promise.made_by}" if promise.made_by else ""
    return (
        f"{promise.kind or 'something'} of {promise.owner or 'nobody known'}{due}, made{by}"
        f" {_time(promise.made_at)}{_STATES[promise.state]}",
        promise.evidence,
    )


def _handoff(hand: Waiting) -> tuple[str, Evidence]:
    due = f", due {_time(hand.due_at)}" if hand.due_at else ""
    return (
        f"{hand.giver or 'somebody'} to {hand.taker or 'somebody'} {_time(hand.asked_at)}{due}:"
        f" nobody took it up{_STATES[hand.state]}",
        hand.evidence,
    )


def _feeling(answer: Feeling) -> tuple[str, Evidence]:
    if answer.score is not None:
        most = "" if answer.most is None else f" of {answer.most:g}"
        words = f"{answer.score:g}{most}"
    else:
        words = "in words, without a score" if answer.is_written else "without a score"
    place = f" at {answer.touchpoint}" if answer.touchpoint else ""
    whole = " for the whole" if answer.level == "journey" else ""
    acted = "" if answer.acted_at is None else f"; acted on {_time(answer.acted_at)}"
    ignored = "; nobody acted on it in time" if answer.is_ignored else ""
    kind = answer.instrument or "answer"
    return f"{words} ({kind}{whole}){place} {_time(answer.at)}{acted}{ignored}", answer.evidence


def _friction(kind: Friction) -> tuple[str, Evidence]:
    between = ""
    if kind.owner and kind.owner_to and kind.owner != kind.owner_to:
        between = f" between {kind.owner} and {kind.owner_to}"
    elif kind.owner:
        between = f" in {kind.owner}"
    times = "" if kind.n == 1 else f", {kind.n} times"
    share = "" if kind.share is None else f", {wording.share(kind.share)} of its friction"
    return f"{kind.label}{between}{times}{share}; last {_time(kind.last_at)}", kind.evidence


def _no_friction(card: Card) -> str:
    if card.friction_measured is None:
        return "no journey is open"
    return "none was measured" if card.friction_measured else "not measured: too little is logged"


def _advice(advice: Advice) -> tuple[str, Evidence]:
    return f"{advice.action}: {advice.reason}", advice.evidence
