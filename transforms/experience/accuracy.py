"""How often a scorer is right: against texts that people have labelled good or bad."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from statistics import NormalDist

import numpy as np

from rejse.transforms.experience.sentiment import Scorer, checked
from rejse.transforms.texts import text

LABELS = ("negative", "positive")
#: Where the labelled texts that come with rejse are from.
SETS = {
    "en": "snippets of reviews of five products, rated by twenty people, of these the clear ones"
    " (Hu and Liu 2004; Hutto and Gilbert 2014, MIT)",
    "da": "written for rejse before its word list, by the same hand: no customer wrote them",
    "pl": "written for rejse before its word list, by the same hand: no customer wrote them",
}


class LabelledError(ValueError):
    """The file has no labelled texts."""

    exit_code = 2


@dataclass(frozen=True)
class Labelled:
    """Texts with what they say: good (true) or bad."""

    texts: tuple[str, ...]
    is_good: tuple[bool, ...]

    @classmethod
    def of(cls, rows: list[tuple[str, str]], name: str) -> Labelled:
        """Of (label, text) pairs. Raises LabelledError for no rows or another label."""
        strange = sorted({label for label, _ in rows} - set(LABELS))
        if strange or not rows:
            came = f"the label {strange[0][:40]!r}" if strange else "no row"
            says = f"expected rows with a label, {' or '.join(LABELS)}, and a text"
            raise LabelledError(f"{name}: {says}; came {came}")
        return cls(tuple(said for _, said in rows), tuple(label == "positive" for label, _ in rows))


@dataclass(frozen=True)
class Accuracy:
    """Of n labelled texts: how many were scored at all, and how many on the right side of .5."""

    n: int
    n_scored: int
    n_right: int
    n_majority: int

    @property
    def share(self) -> float:
        """Right of all: a text without a score, or of exactly .5, is wrong."""
        return self.n_right / self.n

    @property
    def share_scored(self) -> float | None:
        """Right of those that were scored; None where none was."""
        return self.n_right / self.n_scored if self.n_scored else None

    @property
    def coverage(self) -> float:
        """Scored of all."""
        return self.n_scored / self.n

    @property
    def majority(self) -> float:
        """What always saying the more frequent label would reach."""
        return self.n_majority / self.n

    @cached_property
    def interval(self) -> tuple[float, float]:
        """Wilson's interval of `share`, 95 %."""
        z = NormalDist().inv_cdf(0.975)
        middle = self.share + z * z / (2 * self.n)
        half = z * ((self.share * (1 - self.share) + z * z / (4 * self.n)) / self.n) ** 0.5
        scale = 1 + z * z / self.n
        return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)


def measure(scorer: Scorer, labelled: Labelled) -> Accuracy:
    """Accuracy of a scorer. Raises ScorerError where it does not score."""
    value = checked(scorer, text(list(labelled.texts))).value
    good = np.array(labelled.is_good)
    right = np.where(good, value > 0.5, value < 0.5)
    return Accuracy(
        len(good), int((~np.isnan(value)).sum()), int(right.sum()),
        int(max(good.sum(), (~good).sum())),
    )  # fmt: skip


def shipped(language: str) -> Labelled:
    """The labelled texts of a language that come with rejse."""
    file = resources.files(__package__) / "lexica" / f"{language}.labelled.tsv"
    pairs = [line.split("\t", 1) for line in file.read_text(encoding="utf-8").splitlines()]
    return Labelled.of([(label, said) for label, said in pairs], file.name)


def read(path: Path) -> Labelled:
    """Labelled texts of a CSV file with the columns `text` and `label`.

    Raises LabelledError where it has other ones.
    """
    with path.open(encoding="utf-8-sig", newline="") as lines:
        rows = csv.DictReader(lines)
        if not {"text", "label"} <= set(rows.fieldnames or ()):
            raise LabelledError(
                f"{path.name}: expected the columns text and label, came"
                f" {', '.join(rows.fieldnames or ()) or 'none'}"
            )
        return Labelled.of([(row["label"], row["text"]) for row in rows], path.name)
