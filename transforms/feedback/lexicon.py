"""Sentiment by words: the default scorers of English, Danish and Polish.

A text's words of judgement are looked up in a list, turned by a negation within three words,
strengthened or weakened by the word before, and weighted around a `but`; their sum s becomes
s / sqrt(s² + 15) (Hutto and Gilbert 2014, VADER; the rules here are ours and fewer). The lists lie
in `lexica/` with their licences. How often they are right: `rejse sentiment`.
"""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources

import numpy as np
import pyarrow as pa

from rejse.transforms.feedback.sentiment import Sentiment

LANGUAGES = ("en", "da", "pl")
#: Version of the rules below; part of the model's name, as the word list is.
RULES = 1
#: What a negation leaves of a word, with the other sign; what a booster adds; VADER's numbers.
TURNED, STRENGTHENED, NORMAL = -0.74, 0.293, 15.0
BEFORE_BUT, AFTER_BUT = 0.5, 1.5
REACH = 3
LEAST_STEM = 3
#: Characters of a text that are looked at: no opinion is longer.
MOST = 20_000
BREAKS = frozenset(".,;:!?")
MARKS = ("negator", "after", "booster", "dampener", "contrast")
_TOKEN = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*|[\u2600-\u27bf\U0001f300-\U0001faff]|[.,;:!?]")


@dataclass(frozen=True)
class Lexicon:
    """Words of a language with their valence, and the words that change others."""

    name: str
    words: dict[str, float]
    stems: dict[str, float]
    marks: dict[str, frozenset[str]]
    digest: str

    @property
    def model_id(self) -> str:
        """Name, rules and word list."""
        return f"rejse-words-{self.name}-{RULES}-{self.digest[:8]}"

    @cached_property
    def _modifiers(self) -> frozenset[str]:
        return frozenset().union(*(self.marks[mark] for mark in MARKS))

    def valence(self, token: str) -> float:
        """Valence of a word, 0 where it is in no list; of several stems the longest counts."""
        if token in self.words:
            return self.words[token]
        for size in range(len(token), LEAST_STEM - 1, -1):
            if token[:size] in self.stems:
                return self.stems[token[:size]]
        return 0.0

    def score(self, texts: pa.StringArray) -> Sentiment:
        """Sentiment of each text; NaN where it has no word of judgement.

        Confidence = n / (n + 1) × |sum| / sum of sizes of its n words: many that agree. It is not
        calibrated.
        """
        scored = [self._score_text(text) for text in texts.to_pylist()]
        pairs = np.array(scored, np.float64).reshape(len(scored), 2)
        return Sentiment(pairs[:, 0], pairs[:, 1])

    def _score_text(self, text: str) -> tuple[float, float]:
        hits = self._weighted(tokens(text, self.words))
        if not hits:
            return math.nan, math.nan
        total, size = math.fsum(hits), math.fsum(map(abs, hits))
        value = (1.0 + total / math.sqrt(total * total + NORMAL)) / 2.0
        return value, len(hits) / (len(hits) + 1) * abs(total) / size

    def _weighted(self, words: list[str]) -> list[float]:
        """Valence of each word of judgement as its neighbours leave it."""
        valences = [self.valence(token) for token in words]
        buts = [place for place, token in enumerate(words) if token in self.marks["contrast"]]
        last = max(buts, default=-1)
        hits = []
        for place, valence in enumerate(valences):
            modifies = words[place] in self._modifiers and any(valences[place + 1 : place + 2])
            if valence and not modifies:
                weight = 1.0 if last < 0 else (BEFORE_BUT if place < last else AFTER_BUT)
                hits.append(weight * self._changed(words, place, valence))
        return hits

    def _changed(self, words: list[str], place: int, valence: float) -> float:
        before = _back_to_break(words, place)
        sign = math.copysign(1.0, valence)
        if before and before[-1] in self.marks["booster"]:
            valence += sign * STRENGTHENED
        elif before and before[-1] in self.marks["dampener"]:
            valence -= sign * min(STRENGTHENED, abs(valence) / 2)
        turns = sum(self._negates(token) for token in before)
        turns += any(token in self.marks["after"] for token in words[place + 1 : place + 2])
        return valence * TURNED if turns % 2 else valence

    def _negates(self, token: str) -> bool:
        return token in self.marks["negator"] or token.endswith(("n't", "n’t"))


def _back_to_break(words: list[str], place: int) -> list[str]:
    """Up to three words before, not beyond a punctuation mark."""
    before: list[str] = []
    for token in reversed(words[max(0, place - REACH) : place]):
        if token in BREAKS:
            break
        before.insert(0, token)
    return before


def tokens(text: str, known: dict[str, float]) -> list[str]:
    """Words, emoji, punctuation marks, and whatever else between blanks the lexicon knows."""
    words: list[str] = []
    for part in text[:MOST].casefold().split():
        words += [part] if part in known else _TOKEN.findall(part)
    return words


@cache
def lexicon(language: str) -> Lexicon:
    """The default scorer of a language. Raises KeyError where there is none."""
    if language not in LANGUAGES:
        raise KeyError(language)
    raw = (resources.files(__package__) / "lexica" / f"{language}.txt").read_bytes()
    words: dict[str, float] = {}
    stems: dict[str, float] = {}
    marks = dict.fromkeys(MARKS, frozenset[str]())
    for line in raw.decode().splitlines():
        mark, _, listed = line.partition("\t")
        if mark in MARKS:
            marks[mark] = frozenset(listed.split())
        elif not mark.startswith("# "):
            for word in listed.split():  # an emoticon may end in * too
                is_stem = word.endswith("*") and word[:-1].isalpha()
                (stems if is_stem else words)[word[:-1] if is_stem else word] = float(mark)
    return Lexicon(language, words, stems, marks, hashlib.sha256(raw).hexdigest())
