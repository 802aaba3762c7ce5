"""Word the page's sentences and head figures from the totals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rejse.pipelines.reporting import wording
from rejse.pipelines.runtime.text_safety import clean

Row = dict[str, Any]


@dataclass(frozen=True)
class Card:
    """A head figure: its value, its meaning, and whether it was not measured."""

    value: str
    label: str
    absent: bool = False


def _card(value: str | None, label: str, why_not: str) -> Card:
    return Card(value, label) if value is not None else Card("not measured", why_not, True)


def subtitle(totals: Row) -> str:
    """Return how many journeys of which time the page shows."""
    if not totals["n_journeys"]:
        return "The store holds no journeys: run rejse run first."
    n_open = totals["n_journeys"] - totals["n_closed"]
    still = f"; {n_open:,} still open" if n_open else ""
    return (
        f"{wording.plural(totals['n_journeys'], 'journey')} of"
        f" {wording.plural(totals['n_types'], 'type')} and"
        f" {wording.plural(totals['n_owners'], 'owner')},"
        f" {wording.day(totals['started_at'])} to {wording.day(totals['ended_at'])}{still}."
    )


def head_figures(totals: Row, felt: Row) -> list[Card]:
    """Return the cards on top: components before the health, absent figures marked."""
    return [_resolved(totals), _friction(totals), _between(totals), *_health(totals),
            _continuity(totals), _duration(totals), _answered(felt), _relief(felt)]  # fmt: skip


def _resolved(totals: Row) -> Card:
    n, whole = totals["n_resolved"], totals["n_judged"]
    value = wording.share(n / whole) if whole else None
    label = f"resolved in time, {wording.count(n)} of {wording.count(whole)} old enough"
    if totals["n_undecided"]:
        label += f"; {wording.count(totals['n_undecided'])} undecided"
    absent = "outcome: no journey is old enough to be judged, or no event says how one ended"
    return _card(value, label, absent)


def _friction(totals: Row) -> Card:
    n, whole = totals["n_with_evidence"], totals["n_friction"]
    value = wording.share(n / whole) if whole else None
    label = f"of the journeys met friction, {wording.count(n)} of {wording.count(whole)}"
    why = "no journey is old enough" if totals["n_scored"] else "too little was logged to see any"
    return _card(value, label, f"friction: {why}")


def _between(totals: Row) -> Card:
    hazard, edges = totals["hazard"], totals["edge_hazard"]
    value = wording.share((edges or 0.0) / hazard) if hazard else None
    return _card(value, "of the friction lies between steps, not in them", "no friction to divide")


def _health(totals: Row) -> list[Card]:
    if not totals["health_ops"]:
        return [_card(None, "", "health: needs closed journeys with an outcome")]
    low, middle, high = totals["health_ops"]
    label = f"median health_ops; middle half {wording.amount(low, 0)} to {wording.amount(high, 0)}"
    band = f"{totals['band'].capitalize()}, " if totals["band"] else ""
    if not band:
        label += f"; {wording.plural(totals['n_health'], 'journey')}, too few for a band"
    return [Card(f"{band}{wording.amount(middle, 0)}", label)]


def _continuity(totals: Row) -> Card:
    kept = totals["data_continuity"]
    value = None if kept is None else wording.share(1 - kept)
    label = "of what customers had told, and was needed again, was asked again"
    return _card(value, label, "asking again: no fields asked or given were logged")


def _duration(totals: Row) -> Card:
    value = totals["throughput_s"]
    words = None if value is None else wording.duration(value)
    return _card(words, "median time from the first need to the last event", "duration")


def _answered(answers: Row) -> Card:
    n, whole = answers["n_answered"], answers["n_invited"]
    value = wording.share(n / whole) if whole else None
    label = f"of the customers' invitations were answered in time, {wording.count(n)} of {whole:,}"
    return _card(value, label, "answers: no invitation is logged whose window has passed")


def _relief(answers: Row) -> Card:
    n, whole = answers["n_relief"], answers["n_relief_known"]
    label = f"of {wording.plural(whole, 'journey')}: top rating after a long failure, so no health"
    return _card(f"{n:,}" if whole else None, label, "relief: needs answers and friction")


def felt(totals: Row, answers: Row) -> list[str]:
    """Return what the answers on the page represent, and what they do not."""
    sentences = [
        f"{wording.count(answers['n_felt'])} of {wording.plural(totals['n_journeys'], 'journey')}"
        f" ({wording.share(answers['n_felt'] / totals['n_journeys'])}) have answers that score; the"
        " silent are no neutral part."
    ] if totals["n_journeys"] else []  # fmt: skip
    if answers["n_relief"]:
        sentences.append(
            f"Relief: {wording.plural(answers['n_relief'], 'journey')} whose last answer is in the"
            " top box although friction is 50 or more. That is gratitude, not health."
        )
    if answers["n_ignored"]:
        is_single = answers["n_ignored"] == 1
        pieces = "complaint or low answer" if is_single else "complaints or low answers"
        sentences.append(
            f"{answers['n_ignored']:,} {pieces} that nobody acted on within the window for it."
        )
    return sentences


def stability(ranks: Row) -> str:
    """Return how far the list of the worst depends on the weights, which are priors."""
    if not ranks["n_worst"]:
        return ""
    return (
        f"of these {ranks['n_worst']}, {ranks['n_at_hi']} stay among the worst with all weights at"
        f" half, {ranks['n_at_lo']} with all at 1.5"
    )


def cost(rows: list[Row]) -> list[str]:
    """Return what friction costs, as far as minutes are known; `rows` are those of `cost.sql`."""
    n = sum(row["n_evidence"] for row in rows)
    if not n:
        return []
    sides = [
        (
            side,
            sum(row[f"minutes_{side}"] or 0.0 for row in rows),
            n - sum(row[f"n_{side}_unknown"] for row in rows),
        )
        for side in ("customer", "company")
    ]
    minutes = sum(of for _, of, _ in sides)
    if not any(known for _, _, known in sides):
        return [
            "Minutes and money: no piece of friction has its minutes logged, and cost_rates has"
            " none for its kind; so nothing is said of what friction costs."
        ]
    spent = " and ".join(
        f"{wording.count(of / 60)} h of the {side} (known for {wording.share(known / n)} of the"
        " pieces)"
        for side, of, known in sides
        if known
    )
    measured = sum(row["minutes_measured"] for row in rows)
    how = f"; {wording.share(measured / minutes)} measured, the rest from cost_rates" * bool(
        minutes
    )
    priced = [row for row in rows if row["cost"] is not None]
    money = wording.listing(
        f"{wording.count(row['cost'])} {clean(row['currency'], 8)}" for row in priced
    )
    price = f"; {money} at the rates of cost_rates" if priced else "; cost_rates has no rates"
    return [
        f"Minutes and money: friction took {spent}{how}{price}. v_friction_cost has it by kind."
    ]


def not_measured(totals: Row, felt: Row) -> list[str]:
    """Return what the page cannot show, and why."""
    whole = totals["n_journeys"]
    gaps = (
        ("n_scored", "friction: the logs carry too little of what the detectors need"),
        ("n_health", "health: the journey is open or no event says how it ended"),
        ("n_continuity", "data continuity: no field given and needed again was logged"),
        ("n_wait", "waiting of the customer: no waiting was logged"),
    )
    sentences = [
        f"{wording.share(1 - totals[column] / whole)} of the journeys have no {why}."
        for column, why in gaps
        if whole and totals[column] < whole
    ]
    return [
        *sentences,
        *_not_felt(totals, felt),
        "Causes: shares say where friction lies, not why; drivers are not analysed yet.",
    ]


def _not_felt(totals: Row, felt: Row) -> list[str]:
    whole, n = totals["n_journeys"], felt["n_felt"]
    if whole and n:
        return [f"{wording.share(1 - n / whole)} of the journeys have no answers that score."] * (
            n < whole
        )
    return [
        "Experience: no surveys, ratings or complaints are joined. So there is no emotion curve, no"
        " silo gap, no relief flag, and no health with experience."
    ]


def stamp(publication: Row | None) -> list[tuple[str, str]]:
    """Return publication, run and configuration of the page, and the run's balance."""
    if publication is None:
        return [("Publication", "none yet")]
    entries = [
        ("Publication", clean(publication["publication"], 20)),
        ("Published", f"{wording.minute(publication['published_at'])} UTC"),
        ("Run", clean(publication["run_id"], 40)),
        ("Configuration", clean(publication["config_version"], 32)),
        ("Audit", clean(publication["audit"], 20)),
    ]
    if publication["n_read"] is not None:
        names = [*OUTCOMES_OF_A_ROW, *(["heartbeat"] if publication["n_heartbeat"] else [])]
        counts = wording.accounted({name: publication[f"n_{name}"] for name in names})
        parts = " + ".join(f"{counts[name]:,} {name}" for name in names)
        repaired = f" + {counts['repaired']:,} repaired" if counts["repaired"] else ""
        entries.append(("Rows read by the run", f"{publication['n_read']:,}{repaired} = {parts}"))
    return entries


OUTCOMES_OF_A_ROW = ("kept", "duplicate", "late", "rejected", "erased")
