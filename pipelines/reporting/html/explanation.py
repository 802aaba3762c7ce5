"""Shorten an explanation for the page: the steps with most hazard, the first and the last."""

from __future__ import annotations

from dataclasses import dataclass

from rejse.pipelines.reporting import wording
from rejse.pipelines.reporting.explain import feedback, text
from rejse.pipelines.reporting.explain.journey import Explanation, Journey, Step
from rejse.pipelines.runtime.text_safety import clean

#: Bounds of a journey's explanation, so that ten of them fit a page at any size of data.
MOST_STEPS, MOST_FACTS, MOST_PIECES, MOST_WHAT_IFS, LONGEST = 10, 5, 4, 6, 240
#: Bytes of HTML that the steps of a journey may take: names may be long, and longer when escaped.
MOST_BYTES = 14_000


@dataclass(frozen=True)
class ShortStep:
    """A step in words, or how many were left out before the next one."""

    seq: int
    title: str
    facts: list[str]
    evidence: list[str]
    left_out: str = ""


@dataclass(frozen=True)
class ShortExplanation:
    """An explanation in words, bounded."""

    journey: Journey
    band: str
    verdict: str
    kinds: str
    span: str
    steps: list[ShortStep]
    sums: list[str]
    felt: list[str]
    what_ifs: list[str]
    not_measured: list[str]


def shorten(explanation: Explanation) -> ShortExplanation:
    """Word an explanation with at most `MOST_STEPS` steps, those with most hazard."""
    journey = explanation.journey
    return ShortExplanation(
        journey=journey,
        band=text.band(journey.health_ops),
        verdict=text.verdict(journey),
        kinds=_kinds(explanation.steps),
        span=text.span(journey),
        steps=_bounded(explanation.steps),
        sums=_short(text.sums(explanation), 8),
        felt=_short(list(feedback.lines(explanation.felt)), 8) if explanation.felt else [],
        what_ifs=text.what_if_lines(explanation, MOST_WHAT_IFS),
        not_measured=[*explanation.not_measured, text.coverage(journey)],
    )


def _kinds(steps: tuple[Step, ...]) -> str:
    """Return the kinds of friction in the journey, most hazard first."""
    weight: dict[str, float] = {}
    for step in steps:
        for piece in step.evidence:
            weight[piece.kind] = weight.get(piece.kind, 0.0) + piece.hazard
    ranked = sorted(weight, key=lambda kind: (-weight[kind], kind))
    return (
        wording.listing((wording.kind_name(kind).lower() for kind in ranked), 4) if ranked else ""
    )


def _bounded(steps: tuple[Step, ...]) -> list[ShortStep]:
    bounded: list[ShortStep] = []
    for most in (MOST_STEPS, MOST_STEPS // 2, 2):
        bounded = _steps(steps, most)
        if sum(map(_size, bounded)) <= MOST_BYTES:
            break
    return bounded


def _size(step: ShortStep) -> int:
    from markupsafe import escape

    return sum(len(escape(words).encode()) for words in (step.title, *step.facts, *step.evidence))


def _steps(steps: tuple[Step, ...], most: int) -> list[ShortStep]:
    ends = {0, len(steps) - 1}
    ranked = sorted(range(len(steps)), key=lambda i: (i not in ends, -steps[i].hazard, i))
    listed: list[ShortStep] = []
    last = -1
    for index in sorted(ranked[:most]):
        if index - last > 1:
            listed.append(_gap(steps[last + 1 : index]))
        listed.append(_step(steps[index], steps[index - 1] if index else None))
        last = index
    return listed


def _gap(steps: tuple[Step, ...]) -> ShortStep:
    hazard = sum(step.hazard for step in steps)
    weight = f"hazard {hazard:.3f}" if hazard else "no friction"
    return ShortStep(0, "", [], [], f"… {wording.plural(len(steps), 'step')} left out, {weight} …")


def _step(step: Step, before: Step | None) -> ShortStep:
    evidence = [text.evidence_line(piece) for piece in step.evidence]
    return ShortStep(
        seq=step.seq,
        title=text.title(step, before),
        facts=_short(text.facts(step), MOST_FACTS),
        evidence=_short(evidence, MOST_PIECES),
    )


def _short(words: list[str], most: int) -> list[str]:
    shown = [clean(line, LONGEST) for line in words[:most]]
    return [*shown, f"… {len(words) - most} more …"] if len(words) > most else shown
