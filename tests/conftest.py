"""Fixtures for all tests."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import settings

from rejse.pipelines.places import place
from tests.support import company, objects, s3_server
from tests.support.cli import config, rejse  # noqa: F401 - fixtures
from tests.support.company import CompanyRun
from tests.support.law import SOAK
from tests.support.strict import absent

# No test is timed: on a busy machine an example may take long. Examples are the same in every run;
# the soak looks for new ones.
settings.register_profile("rejse", deadline=None, derandomize=not SOAK)
settings.load_profile("rejse")

#: Folders, files and tests that run whole pipelines, start processes or look at large logs, so
#: that `make check` leaves them out; and fixtures whose tests do.
SLOW = (
    "bench/", "pipelines/cli/test_audit", "pipelines/cli/test_care", "pipelines/demo/test_demo",
    "pipelines/jobs/", "pipelines/live/", "pipelines/maintenance/",
    "pipelines/onboarding/test_personal",
    "pipelines/publication/test_as_of", "pipelines/publication/test_audit",
    "pipelines/publication/test_catalogue", "pipelines/publication/test_one_pass",
    "pipelines/publication/test_promise_checks", "pipelines/publication/test_publish",
    "pipelines/places/", "pipelines/publication/test_query_limits",
    "pipelines/reporting/test_calibrate",
    "pipelines/reporting/test_explain", "pipelines/reporting/test_link_audit",
    "pipelines/reporting/test_report", "pipelines/runtime/", "pipelines/schedules/",
    "pipelines/sources/test_archived", "pipelines/sources/test_positions",
    "pipelines/sources/test_split", "pipelines/store/test_concurrency",
    "pipelines/store/test_damage", "pipelines/store/test_known_ids",
    "pipelines/store/test_quarantine", "sql/test_experience_sql", "sql/test_questions",
    "sql/test_sql.py::test_a_question_finds_what_was_planted[score_validity]",
    "sql/test_sql.py::test_a_view_has_the_key_that_it_says[v_score_validity]", "sql/test_sql_",
    "sql/test_validity", "test_circles", "test_docs.py::test_commands_print", "test_equal_stores",
    "test_first_result", "test_hostile", "test_light", "test_model", "test_mutations",
    "test_null_company", "test_planted", "test_real_logs", "test_stories",
    "test_transcripts.py::test_links", "test_transcripts.py::test_transcript[oracle",
    "test_transcripts.py::test_transcript_by", "transforms/feedback/test_redact",
    "transforms/identity/test_case_links", "transforms/identity/test_event_links",
    "transforms/ingest/test_spelling.py::test_all_of_a_person",
    "transforms/scoring/test_calibration",
)  # fmt: skip
#: Files and tests of the store that hold for one in a folder and for one on an object store.
BOTH_FORMS = (
    "pipelines/publication/test_publish", "pipelines/maintenance/test_vacuum",
    "pipelines/maintenance/test_compaction", "pipelines/publication/test_as_of",
)  # fmt: skip
SLOW_FIXTURES = {"browser", "real_data", "company_run"}


def pytest_configure() -> None:
    """Collect no garbage while tests are gathered, which makes none."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Collect garbage again, but never look at the thousands of tests for it."""
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests as slow by their place and by what they use."""
    for item in items:
        uses = SLOW_FIXTURES & set(getattr(item, "fixturenames", ()))
        if uses or item.nodeid.removeprefix("tests/").startswith(SLOW):
            item.add_marker(pytest.mark.slow)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests of `BOTH_FORMS` in both."""
    if metafunc.definition.nodeid.removeprefix("tests/").startswith(BOTH_FORMS):
        metafunc.parametrize("form", ["folder", "objects"], indirect=True)


@pytest.fixture(scope="session")
def s3() -> Iterator[Mapping[str, str]]:
    """An object store; the environment in which it is reached."""
    with s3_server.running() as environment:
        os.environ.update(environment)
        yield environment
        for name in environment:
            del os.environ[name]


@pytest.fixture(autouse=True)
def form(request: pytest.FixtureRequest) -> str:
    """Where the stores of a test are: in a folder, or on an object store."""
    chosen = getattr(request, "param", "folder")
    if chosen == "objects":
        request.getfixturevalue("s3")
        paths: pytest.TempPathFactory = request.getfixturevalue("tmp_path_factory")
        patch: pytest.MonkeyPatch = request.getfixturevalue("monkeypatch")
        base = paths.getbasetemp().resolve()
        patch.setattr(place, "of", objects.lifting(base, place.of))
    return str(chosen)


# What tests write, such as keys, nobody else can read; tests of modes set their own mask.
os.umask(0o077)
# What tests keep in a user's cache stays in the checkout; their processes share it.
os.environ["XDG_CACHE_HOME"] = str(Path(__file__).parents[1] / "build" / "cache")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real logs and hostile files, named by REJSE_DATA."""
    named = os.environ.get("REJSE_DATA")
    if not named:
        absent("REJSE_DATA names no folder with the real data")
    folder = Path(named or "")
    if not folder.is_dir():
        absent(f"REJSE_DATA: expected a folder, {folder} is none")
    return folder.resolve()


@pytest.fixture(scope="session")
def company_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CompanyRun]:
    """The synthetic company with its stories, run once for all tests that look at it."""
    folder = tmp_path_factory.mktemp("stories") / "company"
    with company.running(folder, company.company(folder)) as finished:
        yield finished
