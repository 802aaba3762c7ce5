"""What an audit is spared changes nothing of what it finds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from rejse.pipelines.publication import catalogue
from tests.pipelines.publication.test_audit import broken_world
from tests.support import store_builder

#: In a process of its own: Great Expectations' imports warn of themselves.
TWICE = """
import contextlib, json, sys
from pathlib import Path
from rejse.expectations import audit, thrift

root, files = Path(sys.argv[1]), json.loads(sys.argv[2])
database = root / "staged.duckdb"
audit.define(database, root, files)
for name, way in (("spared", thrift.spared), ("not", contextlib.nullcontext)):
    with way():
        results = audit.run(database)
    broken = [one.to_json_dict() for result in results for one in result.broken]
    (root / f"{name}.json").write_text(json.dumps(broken, default=str))
"""


def test_an_audit_finds_the_same_without_being_spared_anything(tmp_path: Path) -> None:
    files: dict[str, list[str]] = {name: [] for name in catalogue.published_tables()}
    for file in store_builder.staged(tmp_path, broken_world()[0]):
        files[file.table].append(file.path)
    command = [sys.executable, "-c", TWICE, str(tmp_path), json.dumps(files)]
    subprocess.run(command, check=True, capture_output=True)
    spared, whole = (json.loads((tmp_path / f"{n}.json").read_text()) for n in ("spared", "not"))
    assert len(whole) > 10
    assert spared == whole
