"""The served SQL: macros, views, checks with their aggregates, questions: headed files.

A header says purpose, grain, key and sources (the tables and views it reads), one comment line
each, and of a view a note where readers need one; views are run in the order of their sources.
Checks are laws of the audit: their rows are the violations. Aggregates are what several of them
read. A view's comment follows from its header. A column needs a comment only where it means
something else than the column of its name in the first source that has one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

#: What every session begins with: times in UTC, and no progress, which nobody sees but all pay.
SESSION = "set timezone = 'UTC'; set enable_progress_bar = false"
FOLDER = Path(__file__).resolve().parent
_HEADER = re.compile(r"^--\s*(\w+):\s*(.+)$")


@dataclass(frozen=True)
class Script:
    """One SQL file: its name without suffix, its text, and its header's fields."""

    name: str
    text: str
    header: dict[str, str]

    @property
    def sources(self) -> tuple[str, ...]:
        """Tables and views it reads."""
        return self.listed("sources")

    def listed(self, field: str) -> tuple[str, ...]:
        """Names in a field of the header."""
        named = self.header.get(field, "")
        return tuple(part.strip() for part in named.split(",") if part.strip())


@cache
def scripts(kind: str) -> dict[str, Script]:
    """All scripts of one folder (macros, views, aggregates, checks, questions) by name."""
    return {path.stem: parse(path) for path in sorted((FOLDER / kind).glob("*.sql"))}


def statements(*kinds: str) -> list[Script]:
    """The scripts of these folders, in order; within a folder each after its sources."""
    ordered = []
    for kind in kinds:
        named = scripts(kind)
        graph = {name: [s for s in script.sources if s in named] for name, script in named.items()}
        ordered += [named[name] for name in TopologicalSorter(graph).static_order()]
    return ordered


def parse(path: Path) -> Script:
    """Read a script; raises ValueError where its header lacks a purpose."""
    text = path.read_text(encoding="utf-8")
    header: dict[str, str] = {}
    last = ""
    for line in text.splitlines():
        if not line.startswith("--"):
            break
        field = _HEADER.match(line)
        if field:
            last = field[1]
            header[last] = field[2].strip()
        elif last:
            header[last] += " " + line.lstrip("- ").strip()
    if "purpose" not in header:
        raise ValueError(f"{path.name}: expected a header line `-- purpose: …`, found none")
    return Script(path.stem, text, header)


def quoted(text: str) -> str:
    """Return the text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"
