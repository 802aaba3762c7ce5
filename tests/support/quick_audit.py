"""The audit's process without Great Expectations: all files that are there pass.

Where the store has a pipe named GATE, it audits until somebody has opened and closed that.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rejse.expectations import server

GATE = "gate"


def audited(asked: Mapping[str, Any]) -> dict[str, Any]:
    """All passed. Raises FileNotFoundError."""
    for path in (path for files in asked["files"].values() for path in files):
        (Path(asked["store"]) / path).stat()
    if (Path(asked["store"]) / GATE).exists():
        (Path(asked["store"]) / GATE).read_bytes()
    return {"passed": True, "findings": [], "seconds": 0.0, "n_rules": 0, "audited": "all rows"}


if __name__ == "__main__":
    server.main(lambda: audited)
