"""Files of sources on an object store: found by globs, copied once, known by their addresses."""

from __future__ import annotations

import stat
import uuid
from pathlib import Path
from typing import Any

import obstore
import pytest

from rejse.pipelines.config import settings
from rejse.pipelines.config.field_types import SettingsError
from rejse.pipelines.config.file_layout import AS_USUAL
from rejse.pipelines.jobs.request import RunRequest
from rejse.pipelines.jobs.run import RunResult, run
from rejse.pipelines.places import client, source_objects
from rejse.pipelines.sources import listing
from tests.support.installation import installation, lines, row
from tests.support.s3_server import BUCKET

pytestmark = pytest.mark.usefixtures("s3")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def base() -> str:
    """The address of a new folder of the bucket."""
    return f"s3://{BUCKET}/{uuid.uuid4().hex}"


def put(base: str, name: str, content: str) -> None:
    obstore.put(client.at(base), name, content.encode())


@pytest.mark.parametrize(
    ("glob", "expected"),
    [
        ("*.jsonl", ["a.jsonl", "b.jsonl"]),
        ("**/*.jsonl", ["a.jsonl", "b.jsonl", "in/c.jsonl", "in/deep/d.jsonl"]),
        ("in/*.jsonl", ["in/c.jsonl"]),
        ("?.jsonl", ["a.jsonl", "b.jsonl"]),
        ("[!a].jsonl", ["b.jsonl"]),
        ("a.jsonl", ["a.jsonl"]),
        ("*.csv", []),
    ],
)
def test_a_glob_names_objects(cache: Path, base: str, glob: str, expected: list[str]) -> None:
    for name in ("a.jsonl", "b.jsonl", "in/c.jsonl", "in/deep/d.jsonl", "a.jsonl.bak"):
        put(base, name, name)
    matched = source_objects.matching(f"{base}/{glob}")
    assert [file.address.removeprefix(f"{base}/") for file in matched] == expected
    assert [file.path.read_text() for file in matched] == expected


def test_an_object_is_copied_once_for_each_of_its_versions(cache: Path, base: str) -> None:
    put(base, "a.jsonl", "one")
    (first,) = source_objects.matching(f"{base}/*.jsonl")
    (again,) = source_objects.matching(f"{base}/*.jsonl")
    assert first == again and first.path.stat().st_ino == again.path.stat().st_ino
    put(base, "a.jsonl", "two")
    (changed,) = source_objects.matching(f"{base}/*.jsonl")
    assert changed.path.read_text() == "two" and not first.path.exists()
    obstore.delete(client.at(base), "a.jsonl")
    assert source_objects.matching(f"{base}/*.jsonl") == []
    assert not [path for path in cache.rglob("*") if path.is_file()]
    assert all(stat.S_IMODE(p.stat().st_mode) == 0o700 for p in (cache / "rejse-sources").iterdir())


def project(folder: Path, base: str) -> settings.Settings:
    folder.mkdir()
    return installation(folder, {}, {"crm": f"{base}/**/*.jsonl"})


def once(installed: settings.Settings) -> RunResult:
    return run(installed, RunRequest(complete=True, audit=None))


def test_objects_are_read_as_files_are_whatever_the_machine(
    tmp_path: Path, cache: Path, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [row(n) for n in range(6)]
    put(base, "day/1.jsonl", lines(rows[:3]))
    installed = project(tmp_path / "project", base)
    assert once(installed).counts["kept"] == 3
    assert once(installed).status == "nothing_new"
    put(base, "day/2.jsonl", lines(rows[3:]) + "no json\n")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another machine"))
    result = once(installed)
    assert (result.counts["kept"], result.counts["rejected"]) == (3, 1)
    assert once(installed).status == "nothing_new"


class Two:
    """A source with two globs."""

    name, layout = "crm", AS_USUAL

    def __init__(self, base: str) -> None:
        self.files = (f"{base}/x/*.jsonl", f"{base}/y/*.jsonl")


def test_names_are_what_differs_in_addresses(cache: Path, base: str) -> None:
    for name in ("x/a.jsonl", "y/a.jsonl"):
        put(base, name, "{}")
    source: Any = Two(base)
    assert [file.file for file in listing.files(source)] == ["x/a.jsonl", "y/a.jsonl"]


@pytest.mark.parametrize("glob", ["ftp://bucket/*.csv", "s3://*.csv", "s3://b?x/y/*.csv"])
def test_what_is_no_address_is_refused(tmp_path: Path, glob: str) -> None:
    with pytest.raises(SettingsError, match="expected a path, or an address"):
        installation(tmp_path, {}, {"crm": glob})


def test_objects_that_are_not_there_are_told(tmp_path: Path, cache: Path, base: str) -> None:
    with pytest.raises(listing.SourceError, match="found none"):
        once(project(tmp_path / "project", base))
