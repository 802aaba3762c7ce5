"""From a log with the least columns to a first result: init, check, run, and the same run again."""

from pathlib import Path

import pytest

from rejse.pipelines.config import settings
from rejse.pipelines.jobs.request import RunRequest
from rejse.pipelines.jobs.run import run
from rejse.pipelines.onboarding.check import check
from rejse.pipelines.onboarding.scaffold import init
from rejse.pipelines.publication.catalogue import connect

LOG = """id,source,time,identity,activity,channel
1,crm,2025-03-01 10:00:00,c1,question,web
2,crm,2025-03-01 10:45:00,c1,answer,phone
3,crm,2025-03-04 09:00:00,c2,question,email
4,crm,2025-03-05 09:00:00,undefined,question,email
5,crm,,c3,question,email
6,crm,2025-03-05 09:00:00,c4,question,pigeon
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv(settings.KEY_VARIABLE, raising=False)
    (tmp_path / "crm.csv").write_text(LOG)
    init([tmp_path / "crm.csv"], tmp_path)
    return tmp_path


def test_the_least_log_gives_a_first_result(folder: Path) -> None:
    project = settings.load(folder)
    assert check(project).sources[0].accepted == 5
    result = run(project, RunRequest(complete=True, audit=None))
    assert result.status == "published"
    assert result.counts == {
        "read": 6, "kept": 4, "duplicate": 0, "late": 0, "rejected": 2, "erased": 0,
        "heartbeat": 0,
    }  # fmt: skip
    assert result.reasons == {"missing_time": 1, "non_person": 1}
    with connect(project.store) as con:
        rows = con.execute("select n_events, n_channels from v_journeys order by all").fetchall()
        kinds = con.execute("select distinct kind from v_friction_evidence order by 1").fetchall()
    assert rows == [(1, 1), (1, 1), (2, 2)]  # the pigeon came by channel `other`
    assert kinds == [("channel_fallback",), ("channel_switch",)]
    assert run(project, RunRequest(complete=True, audit=None)).status == "nothing_new"


def test_no_raw_identity_and_no_key_lies_in_the_store(folder: Path) -> None:
    import duckdb

    project = settings.load(folder)
    result = run(project, RunRequest(complete=True, audit=None))
    assert result.counts["kept"] == 4
    key = project.key_file.read_text().strip().encode()
    files = [path for path in project.store.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if key in path.read_bytes()]
    with duckdb.connect() as con:
        for path in (p for p in files if p.suffix == ".parquet" and "quarantine" not in p.parts):
            cells = con.execute("select * from read_parquet(?)", [str(path)]).fetchall()
            assert not {"c1", "c2", "c4"} & {str(cell) for row in cells for cell in row}
