"""Measure the accuracy of a scorer on texts labelled positive or negative."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from statistics import NormalDist

import numpy as np

from rejse.transforms.columnar.string_arrays import text
from rejse.transforms.errors import MisuseError
from rejse.transforms.feedback.sentiment import Scorer, checked

LABELS = ("negative", "positive")
#: The language of the labelled texts that come with rejse, and where they are from.
LANGUAGE = "en"
SOURCE = (
    "snippets of reviews of five products, rated by twenty people, of these the clear ones"
    " (Hu and Liu 2004; Hutto and Gilbert 2014, MIT)"
)


class LabelledError(MisuseError):
    """The file has no labelled texts."""


@dataclass(frozen=True)
class Labelled:
    """Texts with what they say: good (true) or bad."""

    texts: tuple[str, ...]
    is_good: tuple[bool, ...]

    @classmethod
    def of(cls, rows: list[tuple[str, str]], name: str) -> Labelled:
        """Build from (label, text) pairs. Raises LabelledError for no rows or another label.

        The message names the row but not its label: in swapped columns that is a text.
        """
        says = f"expected rows with a label, {' or '.join(LABELS)}, and a text"
        if not rows:
            raise LabelledError(f"{name}: {says}; came no row")
        strange = [row for row, (label, _) in enumerate(rows, 1) if label not in LABELS]
        if strange:
            swapped = all(content in LABELS for _, content in rows)
            do = "swap the names of the two columns" if swapped else "correct its label"
            raise LabelledError(
                f"{name}: {says}; came another label in {len(strange)} of {len(rows)} rows, first"
                f" in row {strange[0]} below the names; {do}"
            )
        return cls(
            tuple(content for _, content in rows), tuple(label == "positive" for label, _ in rows)
        )


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
        len(good),
        int((~np.isnan(value)).sum()),
        int(right.sum()),
        int(max(good.sum(), (~good).sum())),
    )


def shipped() -> Labelled:
    """The labelled texts that come with rejse, in `LANGUAGE`."""
    file = resources.files(__package__) / "labelled" / f"{LANGUAGE}.tsv"
    pairs = [line.split("\t", 1) for line in file.read_text(encoding="utf-8").splitlines()]
    return Labelled.of([(label, content) for label, content in pairs], file.name)


def read(path: Path) -> Labelled:
    """Labelled texts of a CSV file with the columns `text` and `label`.

    Raises LabelledError where it has other ones, a row is short or long, or it is not UTF-8; what
    stands in the file is not repeated, its first row may be a text.
    """
    wanted = f"{path.name}: expected a CSV file in UTF-8 with the columns text and label"
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            rows = csv.DictReader(lines, strict=True)
            names = list(rows.fieldnames or ())
            pairs = [(row.get("label"), row.get("text"), len(row), rows.line_num) for row in rows]
    except UnicodeDecodeError:
        raise LabelledError(f"{wanted}, came another encoding; save it as UTF-8") from None
    except csv.Error:
        raise LabelledError(
            f"{wanted}, came a quote that is not closed or doubled; save it as CSV anew"
        ) from None
    if names.count("text") != 1 or names.count("label") != 1:
        raise LabelledError(
            f"{wanted}, came {len(names)} columns without one of each name; name them in its"
            " first line, with commas between"
        )
    out: list[tuple[str, str]] = []
    for label, content, n, line in pairs:
        if label is None or content is None or n != len(names):
            raise LabelledError(
                f"{wanted}, came a row of fewer or more values in line {line}; put a text with"
                " commas in quotes"
            )
        out.append((label, content))
    return Labelled.of(out, path.name)
