"""Redaction: what names or reaches a person is not left in a text."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rejse.transforms.feedback.redact import ADDRESSES, MOST, NUMBERS, TAIL, redact
from tests.support.law import examples

LAWS = settings(max_examples=examples(200))
FOUND = [
    ("skriv til jens.hansen+x@firma.dk i dag", "[email]"),
    ("jens (at) firma.dk", "[email]"),
    ("se https://firma.dk/sag?id=17&k=abc", "[url]"),
    ("www.firma.pl/klient/9", "[url]"),
    ("firma.com/min-side", "[url]"),
    ("ring 12 34 56 78", "[phone]"),
    ("ring +45 12345678", "[phone]"),
    ("zadzwoń +48 600-700-800", "[phone]"),
    ("call (020) 7946 0018", "[phone]"),
    ("DK50 0040 0440 1162 43", "[iban]"),
    ("pl61109010140000071219812874", "[iban]"),
    ("GB29 NWBK 6016 1331 9268 19", "[iban]"),
    ("cpr 010190-1234", "[cpr]"),
    ("cpr 0101901234", "[cpr]"),
    ("PESEL 44051401359", "[pesel]"),
    ("sag 48151", "[number]"),
    ("kort 4571 1234 1234 1234", "[phone]"),
    ("ring １２３４５６７８", "[phone]"),
    ("ring 12\u200b34\u200b56\u200b78", "[phone]"),
    ("jens.hansen @ firma.dk", "[email]"),
    ("jens.hansen(a)firma.dk", "[email]"),
    ("jens.hansen (snabela) firma.dk", "[email]"),
    ("jens.hansen at firma dot dk", "[email]"),
    ("jens.hansen [at] firma [dot] dk", "[email]"),
    ("jens.hansen snabel-a firma punktum dk", "[email]"),
    ("tlf12 34 56 78", "[phone]"),
    ("_12_34_56_78_", "[phone]"),
    ("ring " + "".join(f"{digit}\ufe0f\u20e3" for digit in "1234567"), "[phone]"),
    ("ring ⓵❷③❹⓹❻➐⑧", "[phone]"),
    ("cpr 010190—1234", "[cpr]"),
    ("cpr 010190 · 1234", "[cpr]"),
]
#: What people, and those who hide something, put between digits.
GAPS = " _,:;.-/()‐‑‒–—−·•|*~+'\u034f\u00a0\u200b\u00ad\u2060\ufe0f\u0336\u20e3\t\r\x00"


@pytest.mark.parametrize(("text", "marker"), FOUND)
def test_what_has_a_form_is_found(text: str, marker: str) -> None:
    out = redact(text)
    assert marker in out
    assert not any(c.isdigit() for c in out), out
    assert "@" not in out and "firma" not in out


def test_names_that_the_record_holds_are_found() -> None:
    out = redact("Mette Hansen og METTE sagde 'jens' til kunde c-4711, metteligt", [
        "Mette", "Mette Hansen", "jens", "C-4711", None, "", "m",
    ])  # fmt: skip
    assert out == "[name] og [name] sagde '[name]' til kunde [name], metteligt"
    assert redact("a.b*c", ["a.b*c"]) == "[name]"
    assert redact("axb", ["a.b"]) == "axb"


@pytest.mark.parametrize(("text", "expected"), [
    ("Hansen ringede", "[name] ringede"), ("Jens Peter Hansen ringede", "[name] ringede"),
    ("jens ringede", "[name] ringede"), ("_Hansen_ sagde", "_[name]_ sagde"),
    ("Hansen, Jens", "[name], [name]"), ("hej\rJens Hansen", "hej [name]"),
    ("hej\x07Jens\x85Hansen", "hej [name]"), ("Jensen og Hansenborg", "Jensen og Hansenborg"),
    ("jens.hansen@firma.dk", "[email]"),
])  # fmt: skip
def test_a_part_of_a_name_is_a_name(text: str, expected: str) -> None:
    assert redact(text, ["Jens Hansen"]) == expected


def test_short_parts_and_codes_are_no_names_of_their_own() -> None:
    text = "af en kunde på vej, nr 4711"
    assert (
        redact(text, ["Bo af Vej", "kunde-4711", "nr 4711 x"]) == "af en kunde på [name], nr 4711"
    )


@LAWS
@given(
    st.lists(st.text(GAPS, max_size=3), min_size=7, max_size=7), st.sampled_from(["tlf", "_", ""])
)
def test_no_separator_hides_a_number(gaps: list[str], before: str) -> None:
    number = "".join(f"{digit}{gap}" for digit, gap in zip("1234567", gaps, strict=True)) + "8"
    out = redact(f"ring {before}{number} nu")
    assert "[phone]" in out and not any(c.isdigit() for c in out), out
    assert "[cpr]" in redact(f"cpr 010190{gaps[0]}1234")


@settings(max_examples=examples(80))
@given(st.integers(0, 60), st.sampled_from([text for text, _ in FOUND]))
def test_nothing_is_cut_in_two(shift: int, canary: str) -> None:
    for most in (MOST, MOST + TAIL):
        text = ("ord " * MOST)[: most - shift] + " " + canary + " ord" * 500
        out = redact(text, ["Jens Hansen"])
        assert MOST - 2 * TAIL <= len(out) <= MOST
        assert not any(c.isdigit() for c in out)
        assert "hansen" not in out and "firma" not in out and "jens" not in out


@pytest.mark.parametrize("text", [
    "Jeg ventede 40 minutter, 3 gange på 2 dage.", "Prisen steg fra 199 til 249 kr.",
    "Nie działa od 2024 roku!", "Det var godt :) 👍", "kl. 10.30, ikke før",
])  # fmt: skip
def test_what_reaches_nobody_stays(text: str) -> None:
    assert redact(text) == text


@LAWS
@given(st.text(max_size=60), st.sampled_from(FOUND), st.text(max_size=60))
def test_a_canary_is_found_anywhere(before: str, canary: tuple[str, str], after: str) -> None:
    out = redact(f"{before} {canary[0]} {after}")
    digits = [c for c in canary[0] if c.isdigit()]
    if len(digits) >= 7:
        assert "".join(digits) not in "".join(c for c in out if c.isdigit())
    assert "hansen" not in out


@LAWS
@given(st.text(max_size=300))
def test_redaction_is_done_once(text: str) -> None:
    once = redact(text)
    assert redact(once) == once
    for _, pattern in (*ADDRESSES, *NUMBERS):
        assert not pattern.search(once)


@pytest.mark.parametrize("piece", [
    "a", "1 ", "a@", "a.", "www.", "DK12 ", "(", "\u202e", "🙂", "x@x.", "01 ", "a-", "+4 ",
])  # fmt: skip
def test_hostile_texts_end_soon_and_short(piece: str) -> None:
    assert len(redact(piece * 500_000, ["a" * 5_000])) <= 8 * MOST


def test_what_is_left_of_a_long_text_is_cut_at_a_blank_too() -> None:
    out = redact("kort " * 300 + "1" * 2 * MOST)
    assert out.split() == ["kort"] * len(out.split()) and len(out) > 400
