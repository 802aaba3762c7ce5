"""Answers for the stores of `report_fixture`, scored once more by the design's formulas."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

from tests.support.report_fixture import Store


def asked(
    store: Store,
    journey_id: str,
    places: dict[int, float | None],
    whole: float | None = None,
    **own: Any,
) -> None:
    """Ask the customer at the places (by seq; None: silent) and, with `whole`, about all of it."""
    journey = next(row for row in store.rows["journeys"] if row["journey_id"] == journey_id)
    answers = {seq: u for seq, u in places.items() if u is not None}
    for seq, u in places.items():
        _answer(store, journey, seq, u)
    if whole is not None:
        _answer(store, journey, None, whole)
    scores = [*(answers[seq] for seq in sorted(answers)), *([] if whole is None else [whole])]
    mean = sum(answers.values()) / len(answers) if answers else None
    felt, health = _scored(journey, scores)
    keys = ("journey_id", "customer_key", "journey_type", "owner", "started_at", "ended_at",
            "state", "outcome01", "delivery01", "friction_score")  # fmt: skip
    store.add(
        "journey_experience",
        **{
            **{key: journey.get(key) for key in keys},
            "n_records": len(places) + (whole is not None),
            "n_invited": len(places) + (whole is not None),
            "n_answered": len(scores), "n_scores": len(scores), "n_ignored": 0, "n_emotions": 0,
            "n_emotions_unasked": 0, "n_pending": 0, "n_uninvited": 0,
            "experience01": felt, "touchpoint_score_mean": mean,
            "journey_score": whole, "health": health, "health_lo": health, "health_hi": health,
            "silo_gap": None if whole is None or mean is None else mean - whole,
            "is_relief": _relief(journey, scores), "is_final": True,
            **own,
        },
    )  # fmt: skip


def _scored(journey: dict[str, Any], scores: list[float]) -> tuple[float | None, float | None]:
    """X of at most two scores, and the weighted harmonic mean of the three components."""
    if not scores:
        return None, None
    felt = 0.4 * min(scores) + 0.4 * scores[-1] + 0.2 * sum(scores) / len(scores)
    outcome, delivery = journey["outcome01"], journey["delivery01"]
    if outcome is None or delivery is None:
        return felt, None
    lost = 0.35 / max(outcome, 0.1) + 0.40 / max(delivery, 0.1) + 0.25 / max(felt, 0.1)
    return felt, 100 / lost


def _relief(journey: dict[str, Any], scores: list[float]) -> bool | None:
    friction = journey["friction_score"]
    return None if friction is None or not scores else scores[-1] >= 0.9 and friction >= 50


def _answer(store: Store, journey: dict[str, Any], seq: int | None, u: float | None) -> None:
    """The answer about a place, or (no seq) about the whole."""
    name, is_whole = journey["journey_id"], seq is None
    store.add(
        "experience", x_id=f"surveys/{name}-{seq}", customer_key=journey["customer_key"],
        journey_id=name, step_id=None if is_whole else f"{name}-{seq}",
        respondent_type="customer", instrument="nps",
        level="journey" if is_whole else "touchpoint", raw_score=u,
        occurred_at=journey["ended_at"] + timedelta(hours=99 if seq is None else seq),
        score01=u, is_solicited=True, is_answered=u is not None, is_final=True,
        is_invited=True, is_in_time=u is not None,
        scored_as=None if u is None else "whole" if is_whole else "step",
    )  # fmt: skip


def answered(store: Store, seed: int = 11) -> Store:
    """Every third journey is asked at some places and as a whole; a third of these stay silent."""
    made = random.Random(seed)
    for journey in list(store.rows["journeys"])[::3]:
        seqs = made.sample(range(1, journey["n_steps"] + 1), min(2, journey["n_steps"]))
        hurt = (journey["friction_score"] or 0) / 200
        places = {
            seq: round(max(0.0, made.uniform(0.5, 1) - hurt), 1) if made.random() < 0.7 else None
            for seq in seqs
        }
        whole = None if made.random() < 0.5 else made.choice((0.3, 0.5, 0.7, 0.9))
        asked(store, journey["journey_id"], places, whole)
    return store
