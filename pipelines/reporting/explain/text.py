"""Word an explanation: the same sentences for the terminal and for the report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rejse.pipelines.reporting import wording
from rejse.pipelines.reporting.explain import context, feedback
from rejse.pipelines.reporting.explain.journey import (
    Explanation,
    FieldRequest,
    Handoff,
    Journey,
    Promise,
    Step,
)
from rejse.pipelines.reporting.explain.what_if import Evidence, WhatIf
from rejse.pipelines.runtime.text_safety import clean
from rejse.transforms.schema.parameters import COMPONENT_FLOOR, HEALTH_WEIGHTS

#: Most steps that are shown; the rest is counted.
MOST_STEPS = 200
RULE = (
    "Hazard of a piece of evidence: −ln(1 − severity), halved for each stronger sign of the same"
    " incident (a step with the way into it). The span is all weights at half and at 1.5."
)
BANDS = ((80.0, "good"), (60.0, "fair"), (-1.0, "poor"))


@dataclass(frozen=True)
class Line:
    """A line of the text: its words, style (a rich style, or nothing) and indent."""

    words: str
    style: str = ""
    indent: int = 0


def band(health_ops: float | None) -> str:
    """Return the band of a health: good from 80, fair from 60, else poor; null is not measured."""
    if health_ops is None:
        return "not measured"
    return next(name for least, name in BANDS if health_ops >= least)


def text(explanation: Explanation) -> str:
    """Return the explanation as plain text."""
    return "\n".join("  " * line.indent + line.words for line in lines(explanation)) + "\n"


def lines(explanation: Explanation) -> Iterator[Line]:
    """Yield all lines of the explanation, in reading order."""
    if explanation.note:
        yield Line(f"{explanation.note}.", "dim")
    yield from _head(explanation.journey)
    before = None
    for step in explanation.steps[:MOST_STEPS]:
        yield Line("")
        yield from _step(step, before)
        before = step
    left = len(explanation.steps) - MOST_STEPS
    if left > 0:
        yield Line(f"… {wording.plural(left, 'more step')}, in --json", "dim")
    yield Line("")
    yield from _sums(explanation)
    if explanation.felt is not None:
        yield Line("")
        yield Line("What was felt", "bold")
        yield from (Line(sentence, indent=1) for sentence in feedback.lines(explanation.felt))
        yield from (Line(sentence, indent=1) for sentence in moments(explanation.steps))
    context_lines = () if explanation.around is None else (*context.lines(explanation.around),)
    if context_lines:
        yield Line("")
        yield Line("Around it (what followed, not what was caused)", "bold")
        yield from (Line(sentence, indent=1) for sentence in context_lines)
    if explanation.what_ifs:
        yield Line("")
        yield Line("What if (arithmetic of the score, not a causal claim)", "bold")
        yield from (Line(sentence, indent=1) for sentence in what_if_lines(explanation))
    yield Line("")
    yield Line(f"Not measured ({coverage(explanation.journey)})", "bold")
    yield from (Line(sentence, "dim", 1) for sentence in explanation.not_measured)


def coverage(journey: Journey) -> str:
    """Return how much of what the launch detectors need was logged for the journey."""
    return f"coverage of the evidence {wording.share(journey.evidence_coverage)}"


def _head(journey: Journey) -> Iterator[Line]:
    case = f", case {clean(journey.case_id, 40)}" if journey.case_id else ""
    yield Line(
        f"Journey {journey.journey_id}: {clean(journey.journey_type or 'other', 40)}{case},"
        f" owned by {clean(journey.owner or 'nobody', 40)}",
        "bold",
    )
    yield Line(span(journey))
    yield Line(verdict(journey), _STYLES[band(journey.health_ops)])


def span(journey: Journey) -> str:
    """Return the time of the journey, how it closed, and its counts."""
    how = f"closed by {journey.close_reason}" if journey.state == "closed" else "still open"
    counts = [
        wording.plural(number, noun)
        for number, noun in (
            (journey.n_steps, "step"),
            (journey.n_contacts, "contact"),
            (journey.n_channels, "channel"),
            (journey.n_silos, "silo"),
        )
        if number is not None
    ]
    when = f"{wording.minute(journey.started_at)} to {wording.minute(journey.ended_at)} UTC"
    return f"{when}; {how}; {', '.join(counts)}"


def verdict(journey: Journey) -> str:
    """Return outcome and friction, then the band, then the health with its span."""
    end = clean(journey.outcome, 20) if journey.outcome else "no outcome yet"
    friction = _span(journey.friction_score, journey.friction_score_lo, journey.friction_score_hi)
    if journey.health_ops is None:
        return f"{end}; friction {friction}; health not measured"
    health = _span(journey.health_ops, journey.health_ops_lo, journey.health_ops_hi)
    weak = f", limited by {journey.limiting_component}" if journey.limiting_component else ""
    return f"{end}; friction {friction}; {band(journey.health_ops)}: health_ops {health}{weak}"


def _span(value: float | None, first: float | None, second: float | None) -> str:
    if value is None:
        return "not measured"
    if first is None or second is None:
        return wording.amount(value)
    low, high = sorted((first, second))
    return f"{wording.amount(value)} ({wording.amount(low)} to {wording.amount(high)})"


_STYLES = {"good": "green", "fair": "yellow", "poor": "red", "not measured": "dim"}


def _step(step: Step, before: Step | None) -> Iterator[Line]:
    yield Line(f"{step.seq:>2}  {title(step, before)}", "bold" if step.evidence else "")
    yield from (Line(fact, "dim", 2) for fact in facts(step))
    yield from (Line(evidence_line(piece), "red", 2) for piece in step.evidence)


def title(step: Step, before: Step | None = None) -> str:
    """Return a sentence that names the step: time, delay after the last step, actor and place."""
    place = clean(step.touchpoint or step.activity, 40)
    did = clean(step.activity, 40).replace("_", " ")
    doing = f", {did}," if step.touchpoint and step.activity not in (None, step.touchpoint) else ""
    about = [clean(part, 40) for part in (step.channel, step.owner, step.stage) if part]
    later = ""
    if before is not None and step.started_at > before.ended_at:
        later = f", {wording.duration((step.started_at - before.ended_at).total_seconds())} later"
    return (
        f"{wording.minute(step.started_at)}{later}: {actor(step)}{doing} at {place}"
        f" ({', '.join(dict.fromkeys(about))})"
    )


def actor(step: Step) -> str:
    """Return the first actor of the step."""
    if step.is_pushed:
        return "a message of the company"
    agent = f" {clean(step.actor_id, 8)}" if step.actor_id else ""
    names = {
        "customer": "the customer",
        "human": f"an employee{agent}",
        "bot": "a bot",
        "system": "a system",
        "partner": f"a partner{agent}",
    }
    return names.get(step.actor_type or "", "somebody")


def facts(step: Step) -> list[str]:
    """Return sentences on waiting, fields, hand-offs, promises, answers and outcome of a step."""
    sentences = []
    if step.wait_before_s and step.wait_cause:
        cause = step.wait_cause.replace("_", " ")
        sentences.append(
            f"{wording.duration(step.wait_before_s)} of waiting before it, for the {cause}"
        )
    if step.queue_s:
        sentences.append(f"waited {wording.duration(step.queue_s)} to be served")
    sentences += _field_requests(step.asked)
    sentences += [_handoff(hand) for hand in step.handoffs]
    sentences += [_promise(promise) for promise in step.promises]
    sentences += [feedback.answered(answer) for answer in step.answers]
    if step.processing_s:
        sentences.append(f"took {wording.duration(step.processing_s)}")
    if step.outcome:
        sentences.append(f"ended {step.outcome}")
    return sentences


def moments(steps: tuple[Step, ...]) -> Iterator[str]:
    """Yield the best and the worst step of the emotion curve, where it has both."""
    curve = [(step, felt) for step in steps if (felt := feedback.emotion(step.answers)) is not None]
    for name, best in (("best moment", max), ("worst moment", min)):
        if len({felt for _, felt in curve}) > 1:
            step, felt = best(curve, key=lambda moment: moment[1])
            place = clean(step.touchpoint or step.activity, 40)
            yield f"{name}: step {step.seq}, {place} ({felt:.2f})"


def _field_requests(asked: tuple[FieldRequest, ...]) -> Iterator[str]:
    fresh = [request.field for request in asked if not request.is_reask]
    if fresh:
        yield f"asked for {wording.listing(fresh)}"
    known: dict[tuple[str, int | None], list[str]] = {}
    for request in asked:
        if request.is_reask:
            place = (request.system_known or "somebody", request.known_step_seq)
            known.setdefault(place, []).append(request.field)
    for (system, seq), names in known.items():
        since = f" since step {seq}" if seq is not None else ""
        verb = "had it" if len(names) == 1 else f"had these {len(names)}"
        yield f"asked again for {wording.listing(names)}: {clean(system, 40)} {verb}{since}"


def _handoff(hand: Handoff) -> str:
    giver = clean(hand.from_owner or hand.from_team, 40)
    taker = clean(hand.to_owner or hand.to_team, 40)
    if hand.is_dropped:
        due = f" by {wording.minute(hand.due_at)}" if hand.due_at else ""
        return f"handed from {giver} to {taker}, who did nothing{due}"
    if hand.context == "unknown" or hand.n_fields_known is None:
        went = "whether context went along is not known"
    else:
        went = f"{hand.n_fields_passed or 0} of {hand.n_fields_known} known fields went along"
    back = ", back to where it came from" if hand.is_ping_pong else ""
    late = f" after {wording.duration(hand.latency_s)}" if hand.latency_s else ""
    return f"handed from {giver} to {taker}{late}: {went}{back}"


def _promise(promise: Promise) -> str:
    due = f" for {wording.minute(promise.due_at)}" if promise.due_at else ""
    moved = f", moved {wording.plural(promise.n_moves, 'time')}" if promise.n_moves else ""
    late = f" by {wording.duration(promise.lateness_s)}" if promise.status == "late" else ""
    return f"promised {promise.kind or 'something'}{due}{moved}: {promise.status or 'open'}{late}"


def evidence_line(piece: Evidence) -> str:
    """Describe a piece of evidence: severity, hazard at its rank, share of the whole."""
    known = {None, piece.owner, piece.owner_to}
    detail = "" if piece.detail in known else f" ({clean(piece.detail)})"
    return (
        f"{wording.kind_name(piece.kind)}{between(piece)}{detail}: severity {piece.severity:.3f}"
        f" {_severity(piece)}; hazard {hazard(piece)}; {wording.share(piece.share)} of all;"
        f" {piece.basis}"
    )


def between(piece: Evidence) -> str:
    """Return the two owners of a piece of evidence on an edge; nothing at a node."""
    if piece.locus != "edge" or not piece.owner or not piece.owner_to:
        return ""
    if piece.owner == piece.owner_to:
        return f" within {clean(piece.owner, 32)}"
    return f" between {clean(piece.owner, 32)} and {clean(piece.owner_to, 32)}"


def hazard(piece: Evidence) -> str:
    """Return the hazard h = -ln(1 - s), halved for each stronger sign of the same incident."""
    if piece.kind_rank == 0:
        return f"{piece.hazard:.3f}"
    whole, parts = piece.hazard * 2.0**piece.kind_rank, 2**piece.kind_rank
    return f"{whole:.3f}/{parts} = {piece.hazard:.3f}"


def _severity(piece: Evidence) -> str:
    factors = [f"{piece.base_weight:g}"]
    if piece.intensity != 1:
        factors.append(f"{piece.intensity:.3f} for {_amount(piece)}")
    if piece.confidence != 1:
        factors.append(f"confidence {piece.confidence:g}")
    return f"= {' × '.join(factors)}" if len(factors) > 1 else "(its weight)"


def _amount(piece: Evidence) -> str:
    """Return the amount that determines the intensity, in its unit."""
    if piece.unit == "s/s":
        over = f"{wording.share(piece.raw_value)} over the expected"
        known = piece.expected_value
        return over if known is None else f"{over} {wording.duration(known)}"
    if piece.unit == "n/n":
        over = f"{wording.share(piece.raw_value)} over the most that is borne"
        return over if piece.expected_value is None else f"{over}, {piece.expected_value:g}"
    return f"{piece.raw_value:.3g} {clean(piece.unit, 16)}"


def _sums(explanation: Explanation) -> Iterator[Line]:
    yield Line("How the score adds up", "bold")
    yield from (Line(sentence, indent=1) for sentence in sums(explanation))
    yield Line(RULE, "dim", 1)


def sums(explanation: Explanation) -> list[str]:
    """Return the arithmetic of H over the incidents, then of F, D, O and health_ops."""
    score = explanation.score
    if explanation.journey.friction_score is None:
        return ["nothing to add up: see what is not measured"]
    incidents = [(step.seq, step.hazard) for step in explanation.steps if step.evidence]
    terms = _terms(incidents)
    sentences = [
        f"H = {terms} = {score.hazard:.4f}",
        f"F = 100 × (1 − e^−H) = {score.friction_score:.1f}",
        f"D = e^−H = {score.delivery01:.3f}",
    ]
    if score.outcome01 is None or score.health_ops is None:
        return [*sentences, "O is not known, so there is no health_ops"]
    what, how = HEALTH_WEIGHTS["outcome"], HEALTH_WEIGHTS["delivery"]
    outcome, delivery = (_floored(score.outcome01, 2), _floored(score.delivery01, 3))
    sentences.append(f"O = {score.outcome01:g} ({explanation.journey.outcome or 'no end'})")
    sentences.append(
        f"health_ops = 100 × ({what:g} + {how:g}) / ({what:g}/{outcome} + {how:g}/{delivery})"
        f" = {score.health_ops:.1f}"
    )
    if not explanation.adds_up:
        published = explanation.journey.friction_hazard
        sentences.append(f"The published H is {published:.6f}: the evidence does not add up to it.")
    return sentences


def _terms(incidents: Iterable[tuple[int, float]]) -> str:
    listed = [f"{hazard:.3f} (step {seq})" for seq, hazard in incidents]
    if not listed:
        return "0 (no evidence)"
    return " + ".join(
        [*listed[:12], *([f"{len(listed) - 12} more terms"] if len(listed) > 12 else [])]
    )


def _floored(component: float, digits: int) -> str:
    floored = max(component, COMPONENT_FLOOR)
    return f"{floored:.{digits}f}" + (" (floor)" if component < COMPONENT_FLOOR else "")


def what_if_lines(explanation: Explanation, most: int = 12) -> list[str]:
    """Return what friction and health would be without each incident, best first."""
    seqs = {step.step_id: step.seq for step in explanation.steps}
    sentences = [_what_if(condition, seqs) for condition in explanation.what_ifs]
    if len(sentences) <= most + 1:
        return sentences
    left = wording.plural(len(sentences) - most, "smaller one")
    return [*sentences[: most - 1], f"… {left} …", sentences[-1]]


def _what_if(condition: WhatIf, seqs: dict[str, int]) -> str:
    name = condition.condition
    if condition.step_id is not None:
        name = f"without the incident of step {seqs.get(condition.step_id, '?')}"
    health = ""
    if condition.score.health_ops is not None:
        more = wording.amount(condition.health_more)
        health = f", health_ops {condition.score.health_ops:.1f} (+{more})"
    less = wording.amount(condition.friction_less)
    return f"{name}: F {condition.score.friction_score:.1f} (−{less}){health}"
