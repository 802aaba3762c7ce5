"""The audit's process without Great Expectations: all files that are there pass."""

from __future__ import annotations

import json
from pathlib import Path

from rejse.expectations import server


def audited(request: Path, report: Path) -> None:
    """Write that all passed, or raise FileNotFoundError."""
    asked = json.loads(request.read_text(encoding="utf-8"))
    for path in (path for files in asked["files"].values() for path in files):
        (Path(asked["store"]) / path).stat()
    said = {"passed": True, "findings": [], "seconds": 0.0, "n_rules": 0, "audited": "all rows"}
    report.write_text(json.dumps(said), encoding="utf-8")


if __name__ == "__main__":
    server.main(lambda: audited)
