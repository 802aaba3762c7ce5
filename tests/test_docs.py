"""The documentation says what the program does: pages, commands, settings and links are tried.

A block ```console holds commands after `$ ` (continued after `> `) and what they print; `...`
stands for anything, alone on a line for any lines. With `figures vary` numbers and column widths
count nothing. The commands of a page run in one shell session, in a folder of their own.
"""

from __future__ import annotations

import re
import runpy
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from typer.main import get_command

from rejse.pipelines.cli.main import app
from rejse.pipelines.config.settings import Settings

ROOT = next(folder for folder in Path(__file__).parents if (folder / "pyproject.toml").exists())
DOCS = sorted((ROOT / "docs").rglob("*.md"))
PAGES = [ROOT / "README.md", *DOCS]
RUN = [ROOT / "README.md", *sorted((ROOT / "docs" / "tutorial").glob("*.md"))]
SPOKEN = [
    ROOT / "README.md",
    *(ROOT / name for name in ("Makefile", "pyproject.toml")),
    *sorted(
        path
        for folder in ("pipelines", "transforms", "expectations", "sql", "tests", "docs")
        for ending in ("py", "sql", "yaml", "toml", "jinja", "md")
        for path in (ROOT / folder).rglob(f"*.{ending}")
    ),
]
FENCE = re.compile(r"^```(\w+)?([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: A page that a file names from the root, and a link of a page to another one.
NAMED = re.compile(r"(?<![\w/])(docs/[\w/-]+\.md)(?:#([\w-]+))?")
LINK = re.compile(r"\]\((?!https?:)([^)#\s]+\.md)(?:#([\w-]+))?\)")
#: `make demo` of a page, on a company that is small enough for a test.
MAKE = f"""make() {{
    command make -s -f {ROOT}/Makefile -o .venv/ready BIN={Path(sys.executable).parent} \
        CUSTOMERS=300 "$@" 2>&1 | grep -v '^rejse: '
}}"""


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def fences(path: Path, *kinds: str) -> list[tuple[str, str]]:
    """Options and text of a page's blocks of some kinds."""
    blocks = FENCE.findall(path.read_text(encoding="utf-8"))
    return [(options.strip(), text) for kind, options, text in blocks if kind in kinds]


@dataclass
class Command:
    """A command of a console block, and the lines that it must print."""

    text: str
    varies: bool
    printed: list[str] = field(default_factory=list)


def commands(path: Path) -> list[Command]:
    """Commands of a page's console blocks."""
    out: list[Command] = []
    for options, text in fences(path, "console"):
        for line in text.splitlines():
            if line.startswith("$ "):
                out.append(Command(line[2:], options == "figures vary"))
            elif line.startswith("> ") and not out[-1].printed:
                out[-1].text += "\n" + line[2:]
            else:
                out[-1].printed.append(line)
    return out


def pattern(command: Command) -> re.Pattern[str]:
    """What the output of a command must match as a whole."""
    lines = []
    for line in command.printed:
        if line == "...":
            lines.append(r"(?:.*\n)*?")
        else:
            text = plain(line) if command.varies else line.rstrip()
            lines.append(r".*?".join(map(re.escape, text.split("..."))) + r"\n")
    return re.compile("".join(lines))


def plain(text: str) -> str:
    """Text in which neither figures nor the width of columns tell anything."""
    lines = (re.sub(r"\d[\d,.]*", "0", line).split() for line in text.splitlines())
    return "\n".join(" ".join(words) for words in lines)


class Shell:
    """One session: its folder and exported variables go on from command to command."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / ".session"
        path = f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH"
        self.state.write_text(f"cd {shlex.quote(str(folder))}\n{path}\n{MAKE}\n", encoding="utf-8")

    def run(self, command: str) -> tuple[int, str]:
        """Exit code and output of a command."""
        script = (
            f"source {self.state}\n{command}\ncode=$?\nexec > {self.state}\n"
            'export -p; declare -f; echo cd $(printf %q "$PWD"); exit $code'
        )
        done = subprocess.run(
            ["bash", "-c", script],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        return done.returncode, done.stdout + (done.stderr if done.returncode else "")


@pytest.mark.parametrize("path", RUN, ids=name_of)
def test_commands_print_what_the_page_says(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REJSE_KEY", raising=False)
    shell = Shell(tmp_path)
    for command in commands(path):
        code, printed = shell.run(command.text)
        assert code == 0, f"$ {command.text}\n{printed}"
        output = plain(printed) if command.varies else printed
        output = "".join(f"{line.rstrip()}\n" for line in output.splitlines())
        agrees = bool(pattern(command).fullmatch(output))
        assert agrees, f"$ {command.text}\nprinted\n{output}\nthe page says\n{command.printed}"


def test_a_page_that_says_otherwise_is_found() -> None:
    command = Command("true", varies=False, printed=["read 6 = ...", "...", "published"])
    assert pattern(command).fullmatch("read 6 = kept 5\nany\nlines\npublished\n")
    assert not pattern(command).fullmatch("read 7 = kept 5\npublished\n")
    assert not pattern(command).fullmatch("read 6 = kept 5\npublished\nmore\n")


def called(path: Path) -> Iterator[list[str]]:
    """Words of every call of rejse in a page's blocks."""
    for _, text in fences(path, "console", "sh"):
        for line in text.replace("\\\n", " ").splitlines():
            for part in re.split(r"&&|;|\|", line.removeprefix("$ ").partition(" # ")[0]):
                if part.strip().startswith("rejse "):
                    yield shlex.split(part)[1:]


def unknown(words: list[str]) -> list[str]:
    """Commands and options in a call that rejse does not have."""
    known = get_command(app).commands  # type: ignore[attr-defined]
    if words[0] not in known:
        return words[:1]
    options = {opt for param in known[words[0]].params for opt in param.opts}
    mine = words[1 : words.index("--")] if "--" in words else words[1:]
    given = (word.partition("=")[0] for word in mine)
    return [word for word in given if re.match(r"--?[a-zA-Z]", word) and word not in options]


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_commands_and_options_exist(path: Path) -> None:
    for words in called(path):
        assert unknown(words) == [], words


def test_an_option_that_is_gone_is_found() -> None:
    assert unknown(["run", "--complet", "--json", "--", "--direct_num_workers=2"]) == ["--complet"]
    assert unknown(["runn"]) == ["runn"]


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_settings_exist(path: Path) -> None:
    source = {"files": "a.csv", "mapping": "a.sql", "schema": "a.json"}
    for _, text in fences(path, "toml"):
        given = {"root": ".", "sources": {"a": source}, **tomllib.loads(text)}
        Settings.model_validate(given, context={"root": Path()})


def anchors(path: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in headings}


def leads_nowhere(target: Path, anchor: str) -> bool:
    """Does a reference name a page or an anchor that is not there?"""
    return not target.is_file() or (bool(anchor) and anchor not in anchors(target))


def lost(path: Path) -> list[str]:
    """References of a file that lead nowhere."""
    text = path.read_text(encoding="utf-8")
    links = [(ROOT / page, anchor) for page, anchor in NAMED.findall(text)]
    if path.suffix == ".md":
        links += [(path.parent / page, anchor) for page, anchor in LINK.findall(text)]
    return [f"{name_of(path)}: {at}#{to}" for at, to in links if leads_nowhere(at, to)]


def test_references_lead_somewhere() -> None:
    assert [reference for path in SPOKEN for reference in lost(path)] == []


def test_rules_are_cited_by_page_and_anchor() -> None:
    notes = re.compile(r"\b\d+-(rules|scores|contract|journeys|outputs|trust|mission|live)\b")
    notes_by_page = {
        name_of(path): notes.search(path.read_text(encoding="utf-8")) for path in SPOKEN
    }
    assert [name for name, match in notes_by_page.items() if match] == []


def test_a_reference_to_nothing_is_found() -> None:
    assert not leads_nowhere(ROOT / "docs/reference/journeys.md", "splitting")
    assert leads_nowhere(ROOT / "docs/reference/journeys.md", "spliting")
    assert leads_nowhere(ROOT / "docs" / "reference" / "journey.md", "")


def test_every_page_is_reached_from_the_readme() -> None:
    seen, ahead = set(), [ROOT / "README.md"]
    while ahead:
        page = ahead.pop().resolve()
        if page not in seen:
            seen.add(page)
            ahead += [page.parent / link for link, _ in LINK.findall(page.read_text("utf-8"))]
    assert sorted(map(name_of, {page.resolve() for page in PAGES} - seen)) == []


def test_generated_pages_are_not_stale() -> None:
    pages = runpy.run_path(str(ROOT / "docs" / "generate.py"))["pages"]()
    for name, text in pages.items():
        place = ROOT / "docs" / "reference" / name
        assert place.read_text(encoding="utf-8") == text, f"{name} is stale; run: make docs"


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 200
