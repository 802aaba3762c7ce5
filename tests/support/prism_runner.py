"""Prism, Beam's runner in Go: its program, built once from sources that `prism/go.sum` pins."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from tests.support.jars import CACHE
from tests.support.strict import absent

PINNED = Path(__file__).parent / "prism"
PROGRAM = "github.com/apache/beam/sdks/v2/go/cmd/prism"


def program() -> Path:
    """The program; Go builds it where it is missing."""
    version = hashlib.sha256((PINNED / "go.sum").read_bytes()).hexdigest()[:12]
    path = CACHE / f"prism-{version}"
    if path.exists():
        return path
    if shutil.which("go") is None:
        absent("the tests with Beam's runner Prism need go")
    CACHE.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}")
    subprocess.run(
        ["go", "build", "-mod=readonly", "-buildvcs=false", "-o", draft, PROGRAM],
        cwd=PINNED, check=True,
    )  # fmt: skip
    draft.rename(path)
    return path


def options() -> list[str]:
    """Options of Beam by which a graph runs on it."""
    return ["--runner=PrismRunner", f"--prism_location={program()}", "--prism_log_level=warn"]
