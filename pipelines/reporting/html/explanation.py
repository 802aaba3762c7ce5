"""An explanation made short enough for a page: the steps that hurt, and the first and last."""

from __future__ import annotations

from dataclasses import dataclass

from rejse.pipelines.reporting import wording
from rejse.pipelines.reporting.explain import feedback, text
from rejse.pipelines.reporting.explain.journey import Explanation, Journey, Step

#: Bounds of what is told of one journey, so that ten of them fit a page at any size of data.
MOST_STEPS, MOST_FACTS, MOST_PIECES, MOST_WHAT_IFS, LONGEST = 10, 5, 4, 6, 240
#: Bytes of HTML that the steps of one journey may take: names may be long and dear to escape.
MOST_BYTES = 14_000


@dataclass(frozen=True)
class ToldStep:
    """A step in words, or how many were left out before the next one."""

    seq: int
    title: str
    facts: list[str]
    found: list[str]
    left_out: str = ""


@dataclass(frozen=True)
class Told:
    """An explanation in words, bounded."""

    journey: Journey
    band: str
    verdict: str
    kinds: str
    span: str
    steps: list[ToldStep]
    sums: list[str]
    felt: list[str]
    what_ifs: list[str]
    not_measured: list[str]


def tell(explanation: Explanation) -> Told:
    """The explanation in words; at most `MOST_STEPS` steps, those with most hazard kept."""
    journey = explanation.journey
    return Told(
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
    """The kinds of friction in the journey, heaviest first."""
    weight: dict[str, float] = {}
    for step in steps:
        for piece in step.evidence:
            weight[piece.kind] = weight.get(piece.kind, 0.0) + piece.hazard
    ranked = sorted(weight, key=lambda kind: (-weight[kind], kind))
    return (
        wording.listing((wording.kind_name(kind).lower() for kind in ranked), 4) if ranked else ""
    )


def _bounded(steps: tuple[Step, ...]) -> list[ToldStep]:
    told: list[ToldStep] = []
    for most in (MOST_STEPS, MOST_STEPS // 2, 2):
        told = _steps(steps, most)
        if sum(map(_size, told)) <= MOST_BYTES:
            break
    return told


def _size(step: ToldStep) -> int:
    from markupsafe import escape

    return sum(len(escape(said).encode()) for said in (step.title, *step.facts, *step.found))


def _steps(steps: tuple[Step, ...], most: int) -> list[ToldStep]:
    ends = {0, len(steps) - 1}
    ranked = sorted(range(len(steps)), key=lambda i: (i not in ends, -steps[i].hazard, i))
    told: list[ToldStep] = []
    last = -1
    for index in sorted(ranked[:most]):
        if index - last > 1:
            told.append(_gap(steps[last + 1 : index]))
        told.append(_step(steps[index], steps[index - 1] if index else None))
        last = index
    return told


def _gap(steps: tuple[Step, ...]) -> ToldStep:
    hazard = sum(step.hazard for step in steps)
    weight = f"hazard {hazard:.3f}" if hazard else "no friction"
    return ToldStep(0, "", [], [], f"… {wording.plural(len(steps), 'step')} left out, {weight} …")


def _step(step: Step, before: Step | None) -> ToldStep:
    found = [text.told(piece) for piece in step.evidence]
    return ToldStep(
        seq=step.seq,
        title=text.title(step, before),
        facts=_short(text.facts(step), MOST_FACTS),
        found=_short(found, MOST_PIECES),
    )


def _short(words: list[str], most: int) -> list[str]:
    shown = [wording.clean(said, LONGEST) for said in words[:most]]
    return [*shown, f"… {len(words) - most} more …"] if len(words) > most else shown
