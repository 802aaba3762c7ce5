"""Count the truths planted in the survey answers of the synthetic company."""

from __future__ import annotations

import numpy as np

from rejse.pipelines.demo.journeys import NOTHING
from rejse.pipelines.demo.surveys import SurveyRecords, questions


class AnswerTally:
    """Counts over chunks of answers, from which the truths are computed."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}

    def _add(self, name: str, mask: np.ndarray, values: np.ndarray | None = None) -> None:
        more = mask.sum() if values is None else np.nan_to_num(values)[mask].sum()
        self._sums[name] = self._sums.get(name, 0.0) + float(more)

    def add(self, answers: SurveyRecords) -> None:
        """Count the answers of a chunk."""
        answered, hurt = answers.is_answered, answers.pain > 0
        acted = answers.acted_at != NOTHING

        def of(*names: str) -> np.ndarray:
            wanted = [q.number for q in questions() if q.name in names]
            return np.asarray(np.isin(answers.question, wanted))

        whole, colleague = of("claim_whole"), of("claim_colleague") & answered
        for name, mask in (("hurt", whole & hurt), ("calm", whole & ~hurt)):
            self._add(f"{name} asked", mask)
            self._add(f"{name} silent", mask & ~answered)
        for name, mask in (
            ("lost", colleague & hurt),
            ("kept", colleague & ~hurt),
            ("magic", of("installation_visit") & answered),
            ("usual", of("purchase_checkout", "claim_form") & answered),
        ):
            self._add(name, mask)
            self._add(f"{name} points", mask, answers.points)
        self._add("gaps", whole & hurt & answered)
        self._add("gaps sum", whole & hurt & answered, answers.pain)
        self._add("relief", of("support_relief") & answered)
        letters = of("purchase_letter", "installation_letter")
        self._add("letters", letters)
        self._add("unheard", letters & ~acted)

    def _n(self, name: str) -> int:
        return int(self._sums.get(name, 0))

    def _rate(self, part: str, whole: str, scale: float = 1.0) -> float:
        return self._sums.get(part, 0.0) / max(self._n(whole), 1) / scale

    def planted(self) -> dict[str, dict[str, object]]:
        """Return the truths by name: where, how much, and the same at the base."""
        return {
            "silence": {
                "about": "Who was hurt stays silent more often: questions on the whole of claims.",
                "where": {"journey_type": "claim"},
                "n": self._n("hurt asked"), "rate": self._rate("hurt silent", "hurt asked"),
                "base_n": self._n("calm asked"),
                "base_rate": self._rate("calm silent", "calm asked"),
            },
            "silo_gap": {
                "about": "No place feels what hurts the whole: its mean where context was lost.",
                "where": {"from_owner": "web", "to_owner": "claims"},
                "gap": self._rate("gaps sum", "gaps"), "base_gap": 0.0,
            },
            "relief": {
                "about": "The best answer after a forgotten callback: answers with it.",
                "where": {"journey_type": "support"}, "n": self._n("relief"),
            },
            "magic_moment": {
                "about": "Whatever went before, here they are glad: mean score.",
                "where": {"touchpoint": "technician_visit"}, "n": self._n("magic"),
                "mean": self._rate("magic points", "magic", 10),
                "base_mean": self._rate("usual points", "usual", 10),
            },
            "inside": {
                "about": "Assessors suffer from the lost context too: mean score.",
                "where": {"touchpoint": "claims_assessor"}, "n": self._n("lost"),
                "mean": self._rate("lost points", "lost", 10), "base_n": self._n("kept"),
                "base_mean": self._rate("kept points", "kept", 10),
            },
            "ignored": {
                "about": "Complaints that nobody acted on, among all.",
                "where": {"instrument": "complaint"}, "n": self._n("letters"),
                "hits": self._n("unheard"), "rate": self._rate("unheard", "letters"),
            },
        }  # fmt: skip
