"""What a query may take, and what a terminal is shown of its answer."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import pty
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

from rejse.pipelines.cli import terminal
from rejse.pipelines.publication import catalogue, query
from tests.support import store_builder

#: ESC, other C0, DEL, C1, direction marks, separators; and an astral one.
COMMANDS = "\x1b[31m\x07\t\r\n\x7f\x9b\x85\u200e\u202e\u2066\u061c\u2028\ufeff\U000e0041"
HARMLESS = "Ærø 🙂 é\u00a0"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("asked") / "store"
    store_builder.published(place)
    return place


def asked(root: Path, text: str, **own: str) -> list[tuple[object, ...]]:
    given = {"timeout": None, "memory": None, "spill": None, **own}
    with catalogue.connect(root, None, query.limits(**given)) as session:
        return list(query.answer(session, text)[1])


def test_a_query_that_takes_too_long_is_stopped(root: Path) -> None:
    text = "select count(*) from range(1000000) a, range(1000000) b where a.range % 7 = b.range % 5"
    with pytest.raises(query.QueryError, match=r"took longer than it may.*--timeout") as raised:
        asked(root, text, timeout="100ms")
    assert raised.value.exit_code == 2


@pytest.mark.parametrize(
    "text",
    [
        "select list(range) from range(100000000)",
        "select count(*) from (select distinct range, random() from range(20000000))",
    ],
)
def test_a_query_that_needs_too_much_is_stopped(root: Path, text: str) -> None:
    with pytest.raises(query.QueryError, match=r"more memory and room to spill.*--memory"):
        asked(root, text, memory="100MB", spill="10MB")


def test_what_a_query_spills_is_gone_with_it(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = sorted(root.rglob("*"))
    session = catalogue.connect(root, None, query.limits(None, "100MB", "5GB"))
    spilling = session.execute(
        "select count(*) from (select range, random() from range(20000000) order by 2, 1)"
        " where range % 7 = 0"
    )
    assert len(spilling.fetchall()) == 1
    (room,) = tmp_path.iterdir()
    assert room.stat().st_mode & 0o777 == 0o700
    session.close()
    assert not list(tmp_path.iterdir())
    assert sorted(root.rglob("*")) == before


def test_limits_have_defaults_and_are_checked(root: Path) -> None:
    question = "select current_setting('memory_limit'), current_setting('max_temp_directory_size')"
    ((memory, spill),) = asked(root, question)
    ((whole,),) = asked(root, "select current_setting('memory_limit')", memory="1TB")
    assert str(spill).startswith("9.3 GiB") and memory != whole
    assert asked(root, "select current_setting('max_execution_time')") == [(600_000,)]
    for wrong in ({"timeout": "soon"}, {"memory": "much"}, {"spill": "1; drop"}):
        with pytest.raises(query.QueryError, match=f"--{next(iter(wrong))}: expected"):
            asked(root, "select 1", **wrong)


def test_rows_come_as_they_are_asked_for(root: Path) -> None:
    """The answer is not held: ten thousand million rows would be some hundred gigabytes."""
    with catalogue.connect(root) as session:
        columns, rows = query.answer(session, "select range as n from range(10000000000)")
        assert (columns, next(rows), next(rows)) == (["n"], (0,), (1,))


def obeyed(text: str) -> list[str]:
    """Characters that a terminal would obey, but the ends of lines."""
    kinds = ("Cc", "Cf", "Cs", "Zl", "Zp")
    return [c for c in text if c != "\n" and unicodedata.category(c) in kinds]


@pytest.fixture(params=[True, False], ids=["terminal", "file"])
def is_terminal(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(terminal, "is_shown", lambda _: request.param)
    return bool(request.param)


def test_a_terminal_is_known_as_one() -> None:
    code = (
        "import sys; from rejse.pipelines.cli import terminal\n"
        "terminal.show_csv(['a'], [(sys.argv[1],)]); terminal.show_json(sys.argv[1])\n"
        "terminal.say(sys.argv[1])"
    )
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", code, "\x1b[31m\u202ex"]
    subprocess.run(command, stdout=theirs, stderr=theirs, check=True)
    os.close(theirs)
    output = b""
    with contextlib.suppress(OSError):  # the end of a terminal
        while part := os.read(ours, 10_000):
            output += part
    os.close(ours)
    assert output.decode().count("\\u001b[31m\\u202ex") == 3
    assert b"\x1b" not in output and "\u202e".encode() not in output


def test_csv_is_exact_in_a_file_and_harmless_on_a_terminal(
    capsys: pytest.CaptureFixture[str], is_terminal: bool
) -> None:
    for text in COMMANDS:
        terminal.show_csv([text, "n"], [(f"a{text}b{HARMLESS}", 1), ([f"{text}"], None)])
        out = capsys.readouterr().out
        if is_terminal:
            assert obeyed(out) == [] and HARMLESS in out
            assert out.count("\n") == 3
        else:
            rows = list(csv.reader(io.StringIO(out, newline="")))
            assert len(rows) == 3, (text, out)
            assert rows[0][0] == text and rows[1][0] == f"a{text}b{HARMLESS}"


def test_json_says_the_same_on_a_terminal_without_commands(
    capsys: pytest.CaptureFixture[str], is_terminal: bool
) -> None:
    value = {COMMANDS: [f"{COMMANDS}{HARMLESS}", {"a": COMMANDS}]}
    terminal.show_json(value)
    document = capsys.readouterr().out
    terminal.show_json(iter([value, 1]))
    streamed = capsys.readouterr().out
    terminal.show_line(value)
    line = capsys.readouterr().out
    assert json.loads(document) == json.loads(line) == value
    assert json.loads(streamed) == [value, 1]
    assert line.count("\n") == 1
    if is_terminal:
        assert obeyed(document + streamed + line) == []
    else:
        assert document == json.dumps(value, ensure_ascii=False, indent=2) + "\n"
        assert streamed == json.dumps([value, 1], ensure_ascii=False, indent=2) + "\n"


def test_a_streamed_list_without_rows_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.show_json(iter([]))
    assert json.loads(capsys.readouterr().out) == []


def test_names_of_columns_command_no_terminal(
    capsys: pytest.CaptureFixture[str], is_terminal: bool
) -> None:
    terminal.show_table([COMMANDS + "[red]x"], [(COMMANDS,)])
    out = capsys.readouterr().out
    assert obeyed(out) == [] and "[red]x" in out


def test_errors_command_no_terminal(capsys: pytest.CaptureFixture[str], is_terminal: bool) -> None:
    terminal.say(f"one{COMMANDS}\ntwo")
    err = capsys.readouterr().err
    assert err.endswith("\ntwo\n")
    assert (obeyed(err) == []) == is_terminal
