"""A source comes to a running store, or goes: what is stored stands, and no file is read again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rejse.pipelines.config.settings import Settings, load
from rejse.pipelines.jobs.increment import SourcesGoneError
from rejse.pipelines.jobs.request import RunRequest
from rejse.pipelines.jobs.run import run
from rejse.pipelines.publication.catalogue import connect
from rejse.pipelines.store.delta_store import micros
from tests.support import strategies
from tests.support.increments import Arrivals, contents, with_copies
from tests.support.installation import installation, once, row
from tests.support.installation import lines as jsonl

CUSTOMERS = 20


def without(text: str, sources: Sequence[str]) -> str:
    """The configuration without these sources."""
    parts = re.split(r"(?m)^(?=\[)", text)
    heads = tuple(f"[sources.{source}]" for source in sources)
    return "".join(part for part in parts if not part.startswith(heads))


def named(text: str) -> list[str]:
    return re.findall(r"(?m)^\[sources\.(\w+)\]", text)


def test_sources_that_come_later_are_those_of_one_batch(tmp_path: Path) -> None:
    """One after the other, with all that they held since ever; files of those before are gone."""
    transcript = with_copies(strategies.many_felt(5, CUSTOMERS), 5)
    for name in ("batch", "later"):
        (tmp_path / name).mkdir()
    batch = Arrivals([transcript], tmp_path / "batch", 1, "wholly shuffled", 5)
    batch.arrive(0)
    batch.run(is_last=True)
    later = Arrivals([transcript], tmp_path / "later", 1, "wholly shuffled", 5)
    later.arrive(0)
    place = tmp_path / "later" / "rejse.toml"
    text = place.read_text()
    names = named(text)
    assert len(names) > 3
    late = 0
    for n in range(1, len(names) + 1):
        place.write_text(without(text, names[n:]))
        later.settings = load(place)
        frontier = {name: at for name, at in transcript.frontiers.items() if name in names[:n]}
        result = run(later.settings, RunRequest(complete_until=frontier, audit=None))
        assert result.counts["read"] == len(lines(tmp_path / "later", names[n - 1]))
        for path in (tmp_path / "later" / "arrived").glob(f"*.{names[n - 1]}.jsonl"):
            path.unlink()
        late += result.counts["late"]
    assert late > 0, "what is older than what the others had said to be complete"
    run(
        later.settings,
        RunRequest(
            "repair",
            span=(micros(datetime(2020, 1, 1, tzinfo=UTC)), max(transcript.frontiers.values())),
            audit=None,
        ),
    )
    expected, actual = contents(batch.settings), contents(later.settings)
    assert {name for name in expected if expected[name] != actual[name]} == set()


def lines(folder: Path, source: str) -> list[str]:
    return (folder / f"{source}.jsonl").read_text().splitlines()


def test_a_source_is_retired_without_its_files(tmp_path: Path) -> None:
    project = archived(tmp_path)
    text = (tmp_path / "rejse.toml").read_text()
    (tmp_path / "rejse.toml").write_text(
        text.replace("[sources.crm]", "[sources.crm]\nretired = true")
    )
    result = once(load(tmp_path))
    assert (result.status, result.counts["read"]) == ("published", 0)
    with connect(project.store) as con:
        assert con.execute("select count(*) from events").fetchall() == [(2,)]


@pytest.mark.parametrize("change", ["mapping", "gone"])
def test_what_else_changes_a_source_needs_its_files(tmp_path: Path, change: str) -> None:
    archived(tmp_path)
    config, mapping = tmp_path / "rejse.toml", tmp_path / "map.sql"
    if change == "gone":
        config.write_text(without(config.read_text(), ["crm"]))
    else:
        mapping.write_text(mapping.read_text() + " -- another one")
    with pytest.raises(SourcesGoneError, match=r"1 are gone or begin later, such as crm1\.jsonl"):
        once(load(tmp_path))


def archived(folder: Path) -> Settings:
    """Two sources were read, and the file of one is gone since."""
    files = {"crm1.jsonl": jsonl([row(0)]), "web1.jsonl": jsonl([row(1)])}
    project = installation(folder, files, {"crm": "crm*.jsonl", "web": "web*.jsonl"})
    once(project)
    (folder / "crm1.jsonl").unlink()
    return project
