"""What is exported is read again by our own readers of such logs, with the same steps."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pyarrow as pa
import pytest

from rejse.pipelines.reporting import event_log
from rejse.pipelines.sources import files
from rejse.transforms.errors import MisuseError
from tests.support.cli import Command
from tests.support.company import CompanyRun

STEPS = "select s.step_id, s.activity, s.journey_id, s.customer_key from v_steps as s"


def read(path: Path, *names: str) -> list[tuple[str, ...]]:
    raw = pa.schema([(name, pa.string()) for name in names])
    rows = []
    for shard in files.pieces("log", path):
        for batch in files.read(shard, raw):
            assert batch.rejects.num_rows == 0
            rows += [tuple(row.values()) for row in batch.batch.to_pylist()]
    return sorted(rows)


@pytest.mark.parametrize("name", ["log.xes", "log.xes.gz"])
def test_a_process_log_has_all_steps(company_run: CompanyRun, tmp_path: Path, name: str) -> None:
    n = event_log.write(company_run.con, tmp_path / name, 0o600)
    steps = sorted(company_run.rows(STEPS))
    columns = ("step_id", "concept:name", "case:concept:name", "customer_key")
    assert read(tmp_path / name, *columns) == steps and n == len(steps)
    assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_an_object_centric_log_has_all_steps(company_run: CompanyRun, tmp_path: Path) -> None:
    event_log.write(company_run.con, tmp_path / "log.jsonocel", 0o600)
    columns = ("ocel:eid", "ocel:activity", "ocel:type:journey", "ocel:type:customer")
    expected = [(s, a, f"journey:{j}", f"customer:{c}") for s, a, j, c in company_run.rows(STEPS)]
    assert read(tmp_path / "log.jsonocel", *columns) == sorted(expected)
    log = json.loads((tmp_path / "log.jsonocel").read_text())
    assert {o["type"] for o in log["objects"]} == set(event_log.OBJECTS)
    known = {o["id"] for o in log["objects"]}
    assert all(r["objectId"] in known for e in log["events"] for r in e["relationships"])
    assert {e["type"] for e in log["events"]} == {t["name"] for t in log["eventTypes"]}


def test_what_xml_cannot_hold_is_left_out() -> None:
    assert event_log._tag("a", 'x\x00"<\ud800>&') == '<string key="a" value=\'x"&lt;&gt;&amp;\'/>\n'


def test_a_name_without_a_format_is_refused(company_run: CompanyRun, tmp_path: Path) -> None:
    with pytest.raises(MisuseError, match="expected a name that ends with"):
        event_log.write(company_run.con, tmp_path / "log.csv", 0o600)
    assert not list(tmp_path.iterdir())


def test_the_command_says_what_it_wrote(config: Path, rejse: Command) -> None:
    code, _, words = rejse("export", "x.xes", "--config", str(config))
    assert code == 2 and "expected a publication" in words
