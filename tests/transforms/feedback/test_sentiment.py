"""Sentiment of texts: VADER as the scorer of English, its accuracy, and the scorers of others."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rejse.pipelines.cli.main import main
from rejse.pipelines.config import texts
from rejse.pipelines.config.field_types import SettingsError
from rejse.pipelines.config.texts import TextSettings
from rejse.pipelines.reporting import sentiment_accuracy
from rejse.transforms.feedback import sentiment_accuracy as accuracy
from rejse.transforms.feedback.schema import EXPERIENCE
from rejse.transforms.feedback.sentiment import (
    Scorer,
    ScorerError,
    Sentiment,
    checked,
    language_of,
    sentiments,
)
from rejse.transforms.feedback.sentiment_accuracy import Accuracy, Labelled, LabelledError
from rejse.transforms.feedback.text_scoring import TextScoring, score_texts
from rejse.transforms.feedback.vader import MOST, Vader

LAWS = settings(max_examples=150)
TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=200)


@pytest.mark.parametrize(("text", "value"), [
    ("good", 0.7202), ("not good", 0.3294), ("terrible", 0.26165), ("nice agony", 0.5),
    ("delivered on Tuesday", None), ("elendig", None), ("", None), ("\x00", None),
    ("x " * (MOST // 2) + "good", None), ("good" + " x" * MOST, 0.7202),
])  # fmt: skip
def test_vader_scores_a_text(text: str, value: float | None) -> None:
    scores = Vader().score(pa.array([text]))
    assert scores.value.tolist() == pytest.approx([np.nan if value is None else value], nan_ok=True)
    assert np.isnan(scores.confidence).all(), "VADER gives none"


@LAWS
@given(st.lists(TEXT, max_size=20), st.randoms(use_true_random=False))
def test_scores_are_bounded_and_each_text_stands_alone(texts: list[str], chance: Any) -> None:
    scores = checked(Vader(), pa.array(texts, pa.string()))
    order = list(range(len(texts)))
    chance.shuffle(order)
    mixed = Vader().score(pa.array([texts[n] for n in order], pa.string()))
    np.testing.assert_array_equal(mixed.value, scores.value[order])


def test_hostile_texts_have_an_answer() -> None:
    hostile = ["\u202e" * 50, "a" * 1_000_000, "not " * 400_000, "n't" * 300_000, "🙂" * 100_000,
               "good but the " * 200_000, "' OR 1=1 --", "=cmd|' /C calc'!A0"]  # fmt: skip
    assert len(checked(Vader(), pa.array(hostile)).value) == len(hostile)


def test_a_language_is_not_guessed() -> None:
    rows = [("good", "en-GB"), ("good", None), ("good", "da"), ("good", "EN_us"), (None, "en"),
            (" ", "en"), ("xyz", "en"), ("good", "")]  # fmt: skip
    scores, models = sentiments([t for t, _ in rows], [tag for _, tag in rows], texts.load({}))
    known = [not np.isnan(value) for value in scores.value]
    assert known == [True, False, False, True, False, False, False, False]
    assert [model is not None for model in models] == known
    assert language_of("DA-dk") == "da" and language_of(None) is None


class Told:
    """A scorer that says what it was told to."""

    model_id = "told-1"

    def __init__(self, value: Any, confidence: Any = None) -> None:
        self.value, self.confidence = value, value if confidence is None else confidence

    def score(self, texts: pa.StringArray) -> Sentiment:
        return Sentiment(np.array(self.value), np.array(self.confidence))


@pytest.mark.parametrize("wrong", [[1.5], [-0.1], [0.5, 0.5], [], [float("inf")]])
def test_a_scorer_that_says_nonsense_is_told_so(wrong: list[float]) -> None:
    with pytest.raises(ScorerError, match=r"told-1: expected a value from 0 to 1"):
        checked(Told(wrong), pa.array(["one"]))
    with pytest.raises(ScorerError, match="confidence"):
        checked(Told([0.5], wrong or [2.0]), pa.array(["one"]))
    assert isinstance(Told([0.5]), Scorer)


def test_a_scorer_that_fails_is_named_and_its_words_are_not() -> None:
    class Fails(Told):
        def score(self, texts: pa.StringArray) -> Sentiment:
            raise KeyError(texts[0].as_py())

    with pytest.raises(ScorerError, match=r"told-1: .* came KeyError") as failed:
        checked(Fails([]), pa.array(["a canary"]))
    assert "canary" not in str(failed.value) and failed.value.__suppress_context__


class Refuses:
    """Neither its numbers nor its name can be had."""

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise SystemExit("a canary")

    @property
    def value(self) -> Any:
        raise RuntimeError("a canary")


@pytest.mark.parametrize("answer", [
    Sentiment(["a canary"], np.array([0.5])), Sentiment(np.array([0.5]), ["a canary"]),  # type: ignore[arg-type]
    Sentiment(Refuses(), np.array([0.5])), Refuses(), "a canary", None, SystemExit("a canary"),
    {"value": "a canary"}, Sentiment([["a canary"], []], np.array([0.5])),  # type: ignore[arg-type]
])  # fmt: skip
def test_whatever_a_scorer_answers_no_text_is_repeated(answer: Any) -> None:
    class Answers(Told):
        def score(self, texts: pa.StringArray) -> Any:
            if isinstance(answer, BaseException):
                raise answer
            return answer

    with pytest.raises(ScorerError, match="told-1: expected a ") as failed:
        checked(Answers([]), pa.array(["a canary"]))
    assert "canary" not in str(failed.value)
    assert failed.value.__cause__ is None and failed.value.__context__ is None


class Named(Told):
    """A scorer whose name is what it was told, or a fault."""

    def __init__(self, name: Any) -> None:
        super().__init__([0.5])
        self.name = name

    @property
    def model_id(self) -> Any:  # type: ignore[override]
        if isinstance(self.name, BaseException):
            raise self.name
        return self.name


@pytest.mark.parametrize(
    "name", [None, 7, " ", ["a canary"], KeyError("a canary"), SystemExit("a canary")]
)
def test_a_scorer_needs_a_name(name: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ScorerError, match="scorer Named: expected a model_id") as failed:
        checked(Named(name), pa.array(["a canary"]))
    assert "canary" not in str(failed.value)
    monkeypatch.setitem(sys.modules, "own", SimpleNamespace(scorer=Named(name)))
    with pytest.raises(SettingsError, match=r"own:scorer.* model_id"):
        texts.load({"de": "own:scorer"})


def test_a_scorer_that_cannot_be_imported_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "leaving_scorer.py").write_text("raise SystemExit(3)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(SettingsError, match="importable, came SystemExit: 3"):
        texts.load({"de": "leaving_scorer:scorer"})


def test_no_text_reaches_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Echoes(Told):
        def score(self, texts: pa.StringArray) -> Any:
            return Sentiment(texts.to_pylist(), texts.to_pylist())

    (tmp_path / "labels.csv").write_text("label,text\npositive,a canary\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sentiment_accuracy, "scorers", lambda _: {"en": Echoes([])})
    with pytest.raises(SystemExit) as left:
        main(["sentiment", "labels.csv", "--language", "en"])
    err = capsys.readouterr().err
    assert left.value.code == 1 and "told-1" in err and "canary" not in err


# What is made at the edge -----------------------------------------------------------------


def batch(*rows: Mapping[str, Any]) -> pa.RecordBatch:
    base = {
        "id": "x1", "source": "s", "time": 0, "identity": "C-4711", "identitytype": "customer",
        "respondent_type": "customer", "instrument": "review", "level": "touchpoint",
    }  # fmt: skip
    return pa.RecordBatch.from_pylist([{**base, **r} for r in rows], EXPERIENCE.canonical())


def test_a_text_leaves_a_sentiment_and_no_more() -> None:
    rows = [
        {"text": "Really good", "language": "en"},
        {"text": None, "language": "en"},
        {"text": "godt", "language": "da"},
    ]
    scored = score_texts(batch(*rows), TextScoring({"en": Vader()}, frozenset(["en", "da"])))
    assert "text" not in scored.schema.names and "text_redacted" not in scored.schema.names
    first, second, third = scored.to_pylist()
    assert first["sentiment01"] > 0.5 and first["sentiment_validated"] is True
    assert first["sentiment_model_id"] == Vader().model_id == "vader-3.3.2"
    assert (second["sentiment01"], second["has_text"]) == (None, False)
    assert (third["sentiment01"], third["sentiment_validated"], third["has_text"]) == (
        None,
        None,
        True,
    )
    assert "Really" not in str(scored.to_pylist())


def test_records_without_texts_are_untouched() -> None:
    bare = batch({}).drop_columns(["text"])
    assert score_texts(bare, TextScoring()) is bare


# Configuration ----------------------------------------------------------------------------


def test_a_scorer_of_ones_own_is_named_by_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "german_scorer.py").write_text(
        "class S:\n    model_id = 'g-1'\n    def score(self, texts): ...\nscorer = S()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    scorers = texts.load({"de": "german_scorer:scorer", "da": "none"})
    assert sorted(scorers) == ["de", "en"]
    assert sorted(texts.load({"en": "none"})) == []
    assert scorers["de"].model_id == "g-1"
    for place, why in (
        ("german_scorer:S", "expected german_scorer:S to have model_id"),
        ("german_scorer:other", "to be importable"),
        ("no_such:x", "importable"),
        ("json:dumps", "to have model_id and score"),
    ):
        with pytest.raises(SettingsError, match=why):
            texts.load({"de": place})


@pytest.mark.parametrize("given", [
    {"scorers": {"da": "nowhere"}}, {"scorers": {"da-DK": "a:b"}}, {"validated": ["Danish!", "DA"]},
    {"keep": "raw"}, {"keep_for": "long"}, {"keeps": 1},
])  # fmt: skip
def test_wrong_settings_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        TextSettings(**given)


def test_what_is_kept_moves_once_a_day() -> None:
    day = 86_400_000_000
    kept = TextSettings(keep="redacted", keep_for="2d")
    assert TextSettings().kept_from(10 * day) is None
    assert kept.kept_from(10 * day) == kept.kept_from(11 * day - 1) == 9 * day
    assert kept.kept_from(11 * day) == 10 * day
    # at no moment of a day is an older text kept than keep_for says
    assert kept.kept_from(11 * day - 1) >= 11 * day - 1 - 2 * day


# Accuracy ---------------------------------------------------------------------------------


def test_english_is_scored_better_than_by_the_more_frequent_label() -> None:
    labelled = accuracy.shipped()
    measured = accuracy.measure(Vader(), labelled)
    print(
        f"n {measured.n}, right {measured.share:.3f}, interval {measured.interval},"
        f" scored {measured.coverage:.3f}, majority {measured.majority:.3f}"
    )
    assert measured.n >= 100 and len(set(labelled.texts)) == measured.n
    assert measured.interval[0] > measured.majority, "no default without a measured gain"


def test_accuracy_counted_by_hand() -> None:
    some = Labelled.of([("positive", "a"), ("positive", "b"), ("negative", "c"), ("negative", "d"),
                        ("positive", "e")], "hand")  # fmt: skip
    measured = accuracy.measure(Told([0.9, 0.1, 0.2, np.nan, 0.5]), some)
    assert measured == Accuracy(n=5, n_scored=4, n_right=2, n_majority=3)
    assert (measured.share, measured.share_scored, measured.coverage) == (0.4, 0.5, 0.8)
    # Wilson at 95 % of 2 of 5, from the formula
    assert measured.interval == pytest.approx((0.11762, 0.76928), abs=1e-5)


def test_a_file_of_labels_is_read_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text('label,text\npositive,"godt, tak"\nnegative,skidt\n', encoding="utf-8-sig")
    assert accuracy.read(path).texts == ("godt, tak", "skidt")
    for wrong, why in (
        ("a,b\n1,2\n", "came 2 columns without"),
        ("", "came 0 columns"),
        ("label,text\n", "came no row"),
        ("label,text\ngood,x\n", "another label in 1 of 1 rows"),
    ):
        path.write_text(wrong)
        with pytest.raises(LabelledError, match=why):
            accuracy.read(path)


@pytest.mark.parametrize(("wrong", "why"), [
    (b"label,text\npositive,a canary\nnegative\n", "fewer or more values in line 3"),
    (b"text,label\na canary\n", "fewer or more values in line 2"),
    (b"text,label\nso, a canary,positive\n", "fewer or more values in line 2"),
    (b"label,text\npositive,a canary k\xf8d\n", "another encoding; save it as UTF-8"),
    (b"label,text\na canary,positive\nmore,negative\n", "in 2 of 2 rows.*swap the names"),
    (b"label,text\npositive,x\na canary,y\n", "in 1 of 2 rows, first in row 2.*its label"),
    (b"positive,a canary\nnegative,x\n", "2 columns without one of each name"),
    (b"label;text\npositive;a canary\n", "1 columns without one of each name"),
    (b"label,text,text\npositive,a canary,x\n", "3 columns without one of each name"),
    (b'label,text\npositive,"a "canary\n', "a quote that is not closed"),
])  # fmt: skip
def test_a_wrong_file_of_labels_is_told_and_not_quoted(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    wrong: bytes,
    why: str,
) -> None:
    (tmp_path / "labels.csv").write_bytes(wrong)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as left:
        main(["sentiment", "labels.csv", "--language", "en"])
    err = capsys.readouterr().err
    assert left.value.code == 2 and "canary" not in err
    assert re.search(why, " ".join(err.split())), err


def test_the_command_prints_what_was_measured(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as left:
        main(["sentiment", "--json"])
    (row,) = json.loads(capsys.readouterr().out)
    measured = accuracy.measure(Vader(), accuracy.shipped())
    assert (left.value.code, row["language"], row["n"]) == (0, "en", measured.n)
    assert row["right_share"] == measured.share
    assert [row["right_share_lo"], row["right_share_hi"]] == list(measured.interval)
    with pytest.raises(SystemExit) as left:
        main(["sentiment", "labels.csv"])
    assert left.value.code == 2 and "--language" in capsys.readouterr().err


def test_a_language_that_nothing_scores_is_not_measured(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "labels.csv").write_text("label,text\npositive,godt\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as left:
        main(["sentiment", "labels.csv", "--language", "da"])
    assert left.value.code == 2
    assert "expected one with a scorer, en; came 'da'" in capsys.readouterr().err
