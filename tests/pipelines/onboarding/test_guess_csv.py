"""How CSV files are written, as `init` finds out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rejse.pipelines.onboarding.guess_csv import guess
from rejse.pipelines.onboarding.scaffold import init
from rejse.pipelines.sources import listing
from tests.support.cli import Command

BODY = "kunde;tid;hændelse\nK1;2025-03-03 10:05;opkald\nK2;2025-03-04 11:05;rykker\n"
COMMA = "who,at,what\nann,2025-03-03,call\nben,2025-03-04,mail\n"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (COMMA.encode(), {}),
        (BODY.encode(), {}),
        (BODY.encode("utf-16"), {}),
        (BODY.encode("utf-8-sig"), {}),
        (b"sep=;\n" + BODY.encode(), {}),
        (BODY.encode("cp1252"), {"encoding": "cp1252"}),
        (BODY.replace("æ", "\x81").encode("latin-1"), {"encoding": "iso8859-1"}),
        (f"Report of May\n\n{COMMA}".encode(), {"skip": 2}),
        (f"# made by a tool, today\n{COMMA}".encode(), {"comment": "#"}),
        (b"WHO,AT,WHAT\nWho,At,What\nann,2025-03-03,call\n", {"skip_after": 1}),
        (
            b'a,b\nLabel of a,Label of b\n"{""ImportId"":""a""}","{""ImportId"":""b""}"\nx,1\n',
            {"skip_after": 2},
        ),
        (b"ann,2025-03-03,call\nben,2025-03-04,mail\n",
         {"columns": ("column_1", "column_2", "column_3")}),
        (b"who,n\nann,1\nben,\\N\ncleo,NULL\n", {"nulls": ("\\N", "NULL")}),
        (b"who,n\nNULL,1\nben,2\n", {}),
        (COMMA.encode() + COMMA.encode(), {}),
        (b"", {}),
        (b"one\ntwo\n", {}),
    ],
)  # fmt: skip
def test_a_file_is_guessed(tmp_path: Path, content: bytes, expected: dict[str, Any]) -> None:
    (tmp_path / "log.csv").write_bytes(content)
    guessed = guess(tmp_path / "log.csv")
    assert guessed.options.given() == expected
    assert guessed.reasons.keys() == expected.keys() and all(guessed.reasons.values())


def test_init_writes_down_how_a_file_is_written(tmp_path: Path, rejse: Command) -> None:
    rows = "".join(f"K{n};2025-03-{n + 1:02d} 10:05;opkald;telefon\n" for n in range(14))
    content = f"Udtræk af marts\nkundenr;tidspunkt;hændelse;kanal\n{rows}"
    (tmp_path / "log.csv").write_bytes(content.encode("cp1252"))
    out = init([tmp_path / "log.csv"], tmp_path / "project")
    text = (tmp_path / "project" / "rejse.toml").read_text()
    assert '[sources.log.csv]\nencoding = "cp1252"' in text and "skip = 1" in text
    assert any("cp1252" in line for line in out), out
    code, printed, _ = rejse("run", "--complete", "--json", "--config", str(tmp_path / "project"))
    assert code == 0 and '"kept": 14' in printed


def test_a_source_without_options_is_plain(tmp_path: Path) -> None:
    assert listing.SourceFile("crm", tmp_path, "log.csv").layout.csv.given() == {}
