"""The worked examples of the scores' definition, to their printed digits."""

from __future__ import annotations

import numpy as np
import pytest

from rejse.transforms.feedback.answers import Scores
from rejse.transforms.feedback.metrics import experience
from rejse.transforms.schema.parameters import WEIGHTS
from rejse.transforms.scoring.friction.score import rank_hazards, severity, total
from rejse.transforms.scoring.metrics.health import delivery_of, friction_of, health_of, losses

#: Steps of the worked journey, each with the severities of its evidence.
JOURNEY = ((0.15,), (0.20,), (0.25,), (0.20, 0.30), (0.45,))
RATINGS = [0.8, 0.7, 0.3, 0.9]


def hazard_of(steps: tuple[tuple[float, ...], ...]) -> float:
    """H of a journey told as severities by step."""
    pairs = [(step, s) for step, severities in enumerate(steps) for s in severities]
    incident = np.array([step for step, _ in pairs], dtype=np.int64)
    severities = np.array([s for _, s in pairs])
    hazards = rank_hazards(severities, incident, np.arange(len(pairs)))
    return float(total(hazards.hazard, np.zeros(len(pairs), np.int64), 1)[0])


def experience_of(scores: list[float]) -> float:
    """X of one journey's scores, in their order."""
    rows = np.zeros(len(scores), np.int64)
    return float(
        experience.experience_of(
            Scores(rows, np.array(scores), rows, np.zeros(len(rows), bool), 1)
        )[0]
    )


def friction(steps: tuple[tuple[float, ...], ...]) -> float:
    return float(friction_of(np.array([hazard_of(steps)]))[0])


def delivery(steps: tuple[tuple[float, ...], ...]) -> float:
    return float(delivery_of(np.array([hazard_of(steps)]))[0])


def health(**components: float) -> float:
    return float(health_of(**{name: np.array([c]) for name, c in components.items()})[0])


def test_the_worked_journey() -> None:
    assert f"{hazard_of(JOURNEY):.4f}" == "1.7394"
    assert f"{friction(JOURNEY):.1f}" == "82.4"
    assert f"{delivery(JOURNEY):.4f}" == "0.1756"
    assert f"{health(outcome=1.0, delivery=delivery(JOURNEY)):.1f}" == "28.5"


def test_experience_and_health_of_the_worked_journey() -> None:
    x = experience_of(RATINGS)
    assert f"{x:.4f}" == "0.6807"
    assert f"{health(outcome=1.0, delivery=delivery(JOURNEY), experience=x):.1f}" == "33.4"


@pytest.mark.parametrize(
    ("steps", "f", "h"),
    [
        pytest.param(JOURNEY[:4], "68.1", "50.8", id="without the broken promise"),
        pytest.param((*JOURNEY[:3], (0.20,), JOURNEY[4]), "77.6", "40.0", id="context passed"),
    ],
)
def test_the_worked_journey_without_an_incident(
    steps: tuple[tuple[float, ...], ...], f: str, h: str
) -> None:
    assert f"{friction(steps):.1f}" == f
    x = experience_of(RATINGS)
    assert f"{health(outcome=1.0, delivery=delivery(steps), experience=x):.1f}" == h


@pytest.mark.parametrize(("s", "expected"), [(0.2, "89"), (0.5, "70"), (0.8, "38")])
def test_one_bad_step_spoils_the_whole(s: float, expected: str) -> None:
    score = health(outcome=1.0, delivery=delivery(((s,),)), experience=0.9)
    assert f"{score:.0f}" == expected


def test_the_claim() -> None:
    reasked = float(
        severity(
            np.array([WEIGHTS["reasked_info"]]), 1 - np.exp(-np.array([5.0]) / 4), np.array([1.0])
        )[0]
    )
    assert f"{reasked:.3f}" == "0.321"
    step = (reasked, WEIGHTS["handoff_without_context"], WEIGHTS["channel_switch"])
    assert f"{friction((step,)):.1f}" == "43.9"
    assert f"{friction((step[:2],)):.1f}" == "43.2"
    x = experience_of([0.8, 0.7, 0.7])
    assert f"{x:.2f}" == "0.71"
    assert f"{health(outcome=1.0, delivery=delivery((step,)), experience=x):.1f}" == "70.7"


@pytest.mark.parametrize(
    ("n", "b"),
    # Harter 1961, table 1 (Biometrika 48:151), to the digits that Blom's formula keeps.
    [(2, 0.56), (3, 0.85), (5, 1.16), (10, 1.54)],
)
def test_blom_comes_close_to_the_expected_extreme(n: int, b: float) -> None:
    assert experience.blom(n) == pytest.approx(b, abs=0.04)


def test_more_answers_around_one_mean_are_not_worse_by_noise_alone() -> None:
    few, many = experience_of([0.5, 0.9]), experience_of([0.5, 0.9] * 8)
    assert many > few, "the lowest of sixteen lies further out than the lowest of two"


def test_repetition_inside_a_step_is_bounded_and_over_steps_it_is_not() -> None:
    assert f"{friction(((0.1,) * 40,)):.0f}" == "19"
    assert f"{friction(((0.05,),) * 19):.0f}" == "62"


def test_losses_name_the_weakest_component() -> None:
    shares = losses(outcome=np.array([1.0]), delivery=np.array([delivery(JOURNEY)]))
    assert shares[:, 0] == pytest.approx([0.0, 1.0], abs=1e-12)


def test_a_component_of_nothing_is_floored() -> None:
    assert health(outcome=0.0, delivery=1.0) == health(outcome=0.1, delivery=1.0)
    assert health(outcome=0.0, delivery=0.0) == pytest.approx(10.0)
