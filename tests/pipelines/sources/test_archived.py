"""Files of a source that are not there: yet, or not any more."""

from __future__ import annotations

from pathlib import Path

import pytest

from rejse.pipelines.publication.catalogue import connect
from rejse.pipelines.sources.listing import SourceError
from tests.support.installation import installation, lines, once, row


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    project = installation(tmp_path, {}, {"crm": "gone/*.jsonl"})
    with pytest.raises(SourceError, match=r"crm: expected files at .*gone.*found none.*rejse.toml"):
        once(project)
    assert not project.store.exists()


def test_files_may_be_archived_once_they_were_read(tmp_path: Path) -> None:
    sources = {"crm": "crm*.jsonl", "web": "web*.jsonl"}
    files = {"crm1.jsonl": lines([row(0)]), "web1.jsonl": lines([row(1)])}
    project = installation(tmp_path, files, sources)
    once(project)
    (tmp_path / "crm1.jsonl").unlink()
    (tmp_path / "web2.jsonl").write_text(lines([row(2)]))
    assert once(project).counts["kept"] == 1
    with connect(project.store) as con:
        assert con.execute("select count(*) from events").fetchall() == [(3,)]
