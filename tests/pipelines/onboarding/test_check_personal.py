"""`rejse check` on what looks personal, and on identities that are nobody's or several persons'."""

from __future__ import annotations

from pathlib import Path

import pytest

from rejse.pipelines.config import settings
from rejse.pipelines.onboarding import check_identities
from rejse.pipelines.onboarding.check import SourceCheck, check
from rejse.pipelines.onboarding.check_personal import without_comments
from rejse.pipelines.onboarding.scaffold import as_dict, begin, init

ROWS = 30


def looked_at(folder: Path, replacement: tuple[str, str] = ("", "")) -> tuple[SourceCheck, str]:
    """A log with a comment and an address, mapped by `init`, one thing in its mapping replaced."""
    lines = [f"C{n},2025-03-03 10:00:{n:02d},a,web,all ok,a{n}@x.dk,s{n % 3}" for n in range(ROWS)]
    head = "customer_id,time,activity,channel,comment,back,shelf"
    (folder / "log.csv").write_text("\n".join([head, *lines]) + "\n")
    init([folder / "log.csv"], folder / "out")
    path = folder / "out" / "log.sql"
    assert replacement[0] in path.read_text()
    path.write_text(path.read_text().replace(*replacement, 1))
    checked = check(settings.load(folder / "out"))
    return checked.sources[0], checked.text()


def test_what_is_left_out_is_said_with_the_reason(tmp_path: Path) -> None:
    source, text = looked_at(tmp_path)
    assert source.left_out == {
        "comment": "free text by its name",
        "back": "a mail address by its values",
    }
    assert (source.unused, source.personal) == ([], {})
    assert "left out:  comment, free text by its name" in text
    assert "kept in clear" not in text


@pytest.mark.parametrize(
    ("replacement", "kept", "why"),
    [
        (("-- 'comment'", "'comment'"), "attrs['comment']", "free text by its name"),
        (("-- 'back'", "'back'"), "attrs['back']", "a mail address by its values"),
        (("select\n", "select back as intent,\n"), "intent", "a mail address by its values"),
        (("'shelf': shelf", "'x': back"), "attrs['x']", "a mail address by its values"),
        (
            ("'shelf': shelf", "'x': cast(to_json({'deep': back}) as varchar)"),
            "attrs['x']",
            "deep: a mail address by its values",
        ),
    ],
)
def test_what_a_mapping_keeps_in_clear_is_a_warning_and_no_more(
    tmp_path: Path, replacement: tuple[str, str], kept: str, why: str
) -> None:
    source, text = looked_at(tmp_path, replacement)
    assert source.personal == {kept: why}
    assert f"kept in clear:  {kept}, {why}" in text
    assert (source.accepted, source.problem) == (ROWS, None)
    assert "@x.dk" not in text


def test_a_hashed_or_nested_harmless_column_is_no_warning(tmp_path: Path) -> None:
    source, _ = looked_at(tmp_path, ("select\n", "select back as actor_id, {'n': 1} as attrs2,\n"))
    assert source.problem and "attrs2" in source.problem
    (tmp_path / "b").mkdir()
    replacement = ("'shelf': shelf", "'x': cast(to_json({'n': 1, 'shelf': shelf}) as varchar)")
    source, _ = looked_at(tmp_path / "b", replacement)
    assert source.personal == {}


def test_init_says_what_it_leaves_out(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("customer,time,event,ip\nC1,2025-01-01,a,10.0.0.1\n")
    looks = begin([tmp_path / "log.csv"], tmp_path / "out")
    assert as_dict(tmp_path, looks)["sources"][0]["left_out"] == {
        "ip": "an address in a network by its name"
    }
    (tmp_path / "more").mkdir()
    lines = init([tmp_path / "log.csv"], tmp_path / "more")
    assert "  left out         ip, an address in a network by its name" in lines


def test_comments_use_no_column() -> None:
    assert without_comments("select a, -- b, c\n'--x' as \"--y\" /* d\n e */ from t").split() == [
        "select", "a,", "'--x'", "as", '"--y"', "from", "t",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [
        "0", "-1", "-1.0", "0.0", "NULL", "\\N", "#N/A", "nan", "(not set)", " (none) ", "N/A",
        "00000000-0000-0000-0000-000000000000", "00000000", "99999999", "1111111", "ukendt", "?",
    ],
)  # fmt: skip
def test_placeholders_are_nobody(name: str) -> None:
    assert check_identities.is_nobody(name)


@pytest.mark.parametrize("name", ["1", "C0", "00123", "11111", "Null Jensen", "-", "10"][:5])
def test_persons_are_somebody(name: str) -> None:
    assert not check_identities.is_nobody(name)


@pytest.mark.parametrize(
    ("names", "kind", "words"),
    [
        (["1.23E+15", "C1"], "customer", "a spreadsheet has shortened the number"),
        (["1,2E+11"], "customer", "a spreadsheet has shortened the number"),
        (["8.676220978733876e+18"], "customer", "which a float does not hold"),
        (["C1", "c1", " C1"], "customer", "2 identities differ from others only in case"),
        (["00123", "123"], "customer", "1 identities differ from others only in leading zeros"),
        (["ann@x.dk", "Ann@x.dk"], "email", None),
        (["C1", "C2", "0", "00"], "customer", None),
        (["1042.0", "1042"], "customer", None),
    ],
)
def test_spellings_are_pointed_out(names: list[str], kind: str, words: str | None) -> None:
    notes = check_identities.notes(dict.fromkeys(names, 1), [kind])
    assert (words is None and not notes) or words in "\n".join(notes)


def test_check_shows_placeholders(tmp_path: Path) -> None:
    names = ["00123", "123", "1.23E+15", "0", "NULL", "\\N", "#N/A", "(not set)", "-1"]
    lines = [f"{n},{name},2025-03-03 10:00:00,a,web" for n, name in enumerate(names)]
    head = "event_id,customer_id,time,activity,channel"
    (tmp_path / "ids.csv").write_text("\n".join([head, *lines]) + "\n")
    init([tmp_path / "ids.csv"], tmp_path / "out")
    checked = check(settings.load(tmp_path / "out"))
    notes = "\n".join(checked.sources[0].identities)
    for name in names[2:]:
        assert f"{name!r}: 1 events" in notes
    assert "leading zeros" in notes
