"""A store scored anew beside one that is rebuilt from all sources: which tables differ, and how."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rejse.pipelines.config.settings import Settings, load
from rejse.pipelines.jobs.request import Mode, RunRequest
from rejse.pipelines.jobs.run import RunResult, run
from tests.support import equal_stores

#: Tables that say what runs have read: a rescoring reads less.
OF_RUNS = ("runs", "publications")
#: Changes the configuration in a folder.
Change = Callable[[Path], None]


def anew(folder: Path, change: Change, mode: Mode, **given: Any) -> tuple[Settings, RunResult]:
    """Change a copy of an installation and run it; `folder` is the copy."""
    change(folder)
    settings = load(folder / "rejse.toml")
    return settings, run(settings, RunRequest(mode, **{"audit": None, **given}))


def differences(
    installed: Path, scratch: Path, change: Change, mode: Mode = "increment", **given: Any
) -> tuple[RunResult, dict[str, tuple[str, ...]]]:
    """Rescore a copy of an installation after a change, and rebuild another one.

    Returns the result of the rescoring, and differences by table.
    """
    stores = []
    for name, of_copy in (("rescored", mode), ("rebuilt", "rebuild")):
        shutil.copytree(installed, scratch / name)
        settings, result = anew(scratch / name, change, of_copy, **given)
        assert result.status == "published", result.findings
        stores.append((settings.store, result))
    (rescored, result), (rebuilt, _) = stores
    compared = [c for c in equal_stores.compare(rescored, rebuilt) if c.table not in OF_RUNS]
    return result, {c.table: c.differences for c in compared if c.differences}


def replacing(old: str, new: str, name: str = "rejse.toml") -> Change:
    """A change of a text in a file of the configuration."""

    def change(folder: Path) -> None:
        text = (folder / name).read_text(encoding="utf-8")
        assert old in text, f"expected {old!r} in {name}"
        (folder / name).write_text(text.replace(old, new, 1), encoding="utf-8")

    return change


def setting(section: str, line: str) -> Change:
    """A change of the configuration: a line more at the beginning of a section."""

    def change(folder: Path) -> None:
        path = folder / "rejse.toml"
        text = path.read_text(encoding="utf-8")
        head = f"[{section}]\n"
        if head not in text:
            text = f"{text}\n{head}"
        key = line.partition(" ")[0]
        before, _, after = text.partition(head)
        own, bracket, rest = after.partition("\n[")
        own = "".join(f"{kept}\n" for kept in own.splitlines() if kept.partition(" ")[0] != key)
        path.write_text(f"{before}{head}{line}\n{own}{bracket}{rest}", encoding="utf-8")

    return change
