"""Whatever happens to the files of an overlay, a reader gets published rows or a clear error."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from rejse.pipelines.config import settings
from rejse.pipelines.config.settings import Settings
from rejse.pipelines.jobs.request import RunRequest
from rejse.pipelines.jobs.run import run
from rejse.pipelines.live.arrivals import Arrivals
from rejse.pipelines.live.hot_core import warm
from rejse.pipelines.publication import overlay, query
from rejse.pipelines.publication.overlay import CATALOGUE, MANIFEST, Overlay
from rejse.pipelines.store import delta_store
from rejse.pipelines.store.errors import StoreDamagedError
from rejse.pipelines.store.traces import OVERLAY
from tests.support.installation import installation, lines, row

EVENTS = "select count(*) from events"


@pytest.fixture(scope="module")
def laid(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """One published event, and one laid over it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(settings.KEY_VARIABLE, raising=False)
        folder = tmp_path_factory.mktemp("laid")
        project = installation(folder, {"a.jsonl": lines([row(0)])})
        run(project, RunRequest(audit=None))
        (folder / "b.jsonl").write_text(lines([row(1)]))
        base, core = warm(project, folder, delta_store.now())
        with Arrivals(project, base, 0) as arrivals:
            touched = core.step(arrivals.first())
        Overlay(project.store, base.number).add(touched.customers, touched.tables)
    return project


@pytest.fixture
def store(laid: Settings, tmp_path: Path) -> Path:
    shutil.copytree(laid.store, place := tmp_path / "store")
    return place


def count(store: Path) -> int:
    with overlay.connect(store) as con:
        ((n,),) = [*query.answer(con, EVENTS)[1]]
    return int(n)


def segment(store: Path) -> Path:
    """The file of provisional events."""
    ((file,),) = [files["events"] for files in overlay.segments(store, 1)]
    return store / file


def change(store: Path, **given: Any) -> None:
    manifest = store / OVERLAY / MANIFEST
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | given))


def test_an_overlay_that_nobody_has_touched_is_seen(store: Path) -> None:
    assert count(store) == 2


@pytest.mark.parametrize("content", [None, b"", b"PAR1", b"no Parquet at all"])
def test_a_segment_that_is_gone_or_damaged_is_named(store: Path, content: bytes | None) -> None:
    file = segment(store)
    file.unlink() if content is None else file.write_bytes(content)
    with pytest.raises(StoreDamagedError, match=file.name):
        count(store)
    shutil.rmtree(store / OVERLAY)  # as it is removed at any moment
    assert count(store) == 1


def test_a_segment_may_be_gone_while_a_session_is_open(store: Path) -> None:
    with overlay.connect(store) as con:
        shutil.rmtree(store / OVERLAY)
        with pytest.raises(StoreDamagedError):
            list(query.answer(con, EVENTS)[1])


@pytest.mark.parametrize("text", ["", "{", "null", "[]", "{}", '{"base": 1}', '{"base": "1"}'])
def test_a_damaged_manifest_is_none(store: Path, text: str) -> None:
    (store / OVERLAY / MANIFEST).write_text(text)
    assert count(store) == 1


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../outside.parquet", ".live/../secret.parquet", "events/x.parquet", 7]
)
def test_a_manifest_that_names_other_files_is_none(store: Path, path: object) -> None:
    change(store, segments=[{"events": [path]}])
    assert count(store) == 1


@pytest.mark.parametrize("given", [{"name": "../../outside"}, {"segments": [{"texts": []}]}])
def test_a_manifest_that_names_other_places_is_none(store: Path, given: dict[str, Any]) -> None:
    change(store, **given)
    assert count(store) == 1


def test_a_link_in_place_of_a_segment_is_not_followed(store: Path, tmp_path: Path) -> None:
    file = segment(store)
    file.rename(tmp_path / "outside.parquet")
    file.symlink_to(tmp_path / "outside.parquet")
    assert count(store) == 1


@pytest.mark.parametrize("content", [None, b"no catalogue"])
def test_a_catalogue_that_is_gone_or_damaged_is_made_again(
    store: Path, content: bytes | None
) -> None:
    (file,) = store.glob(f"{OVERLAY}/*/{CATALOGUE}")
    file.unlink() if content is None else file.write_bytes(content)
    assert count(store) == 2
