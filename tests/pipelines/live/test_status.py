"""The state of a store: what was tried last, and whether it is older than asked for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rejse.pipelines.config import settings
from rejse.pipelines.config.settings import Settings
from rejse.pipelines.jobs.request import RunRequest
from rejse.pipelines.jobs.run import run
from rejse.pipelines.live.hot_loop import HotLoop
from rejse.pipelines.live.status import refuse_stale, status
from rejse.pipelines.store import attempts, delta_store
from rejse.transforms.errors import DataError, StaleError
from rejse.transforms.schema.parameters import HOUR, SECOND
from tests.support.cli import Command
from tests.support.installation import installation, lines, once, row


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.delenv(settings.KEY_VARIABLE, raising=False)
    return installation(tmp_path, {"a.jsonl": lines([row(0)])})


def published_at(project: Settings) -> int:
    base = delta_store.latest(project.store)
    assert base is not None
    return base.published_at


def refuse(*_: object) -> None:
    raise DataError("refused")


def fail(project: Settings) -> None:
    (project.root / "b.jsonl").write_text(lines([row(1)]))
    with pytest.raises(DataError):
        run(project, RunRequest(audit=refuse))  # type: ignore[arg-type]


def test_a_run_that_failed_is_shown_until_a_later_one_published(project: Settings) -> None:
    assert status(project, 0).last_attempt is None
    once(project)
    fail(project)
    state = status(project, published_at(project))
    assert (state.publication, state.failures) == (1, 1)
    assert state.last_attempt == state.last_failure
    assert state.last_failure is not None
    assert state.last_failure.error == "DataError: refused"
    once(project)
    state = status(project, published_at(project))
    assert (state.publication, state.failures) == (2, 0)
    assert state.last_attempt is not None
    assert (state.last_attempt.outcome, state.last_failure.outcome) == ("published", "failed")


def test_the_age_is_of_the_last_run_that_succeeded(project: Settings) -> None:
    with pytest.raises(StaleError, match="there is none"):
        refuse_stale(status(project, 0), HOUR)
    once(project)
    later = published_at(project) + 2 * HOUR
    assert status(project, later).age_s == 7200
    refuse_stale(status(project, later), 2 * HOUR)
    with pytest.raises(StaleError, match="within 7,199 s; the last one was 7,200 s ago"):
        refuse_stale(status(project, later), 2 * HOUR - SECOND)
    fail(project)
    assert status(project, later).age_s == 7200
    (project.root / "b.jsonl").unlink()
    assert once(project).status == "nothing_new"
    ended = attempts.attempts(project.store)[-1].ended_at
    assert ended is not None
    assert status(project, ended + HOUR).age_s == 3600


def test_a_hot_core_tells_of_itself(project: Settings) -> None:
    once(project)
    assert status(project, 0).hot_core is None
    loop = HotLoop(project, pause=0)
    looks = loop.steps()
    next(looks)
    hot = status(project, 0).hot_core
    assert hot is not None
    assert (hot.base, hot.steps, hot.last_error) == (1, 0, None)
    looks.close()


def test_the_command_says_so_and_ends_with_a_code(
    project: Settings, rejse: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = ("-c", str(project.root))
    once(project)
    fail(project)
    later = published_at(project) + 2 * HOUR
    monkeypatch.setattr(delta_store, "now", lambda: later)
    assert rejse("status", *config, "--max-age", "1d")[0] == 0
    code, out, err = rejse("status", *config, "--max-age", "1h")
    assert "failed: DataError: refused" in out
    assert "1 run failed since publication 1" in out
    assert (code, "expected a run that published" in err) == (3, True)
    assert rejse("status", *config, "--max-age", "soon")[0] == 2
    code, out, _ = rejse("status", *config, "--json")
    assert json.loads(out)["last_failure"]["error"] == "DataError: refused"
    _, out, _ = rejse("status", *config, "--prometheus")
    assert "\nrejse_failed_runs 1\n" in out
