"""Java programs of the tests: Maven fetches their jars once, and their hashes are pinned."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.support.strict import absent

PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
#: Where jars are kept; not under XDG_CACHE_HOME, which tests set to a folder of the checkout.
CACHE = Path.home() / ".cache" / "rejse"


@dataclass(frozen=True)
class Jars:
    """The jars that the `pom.xml` of a folder asks for, pinned by the `jars.sha256` beside it.

    `name` is that of their folder in the cache, `purpose` what they are for.
    """

    pinned: Path
    name: str
    purpose: str

    def folder(self) -> Path:
        """The folder of the jars; Maven fetches what is missing or differs."""
        lines = (self.pinned / "jars.sha256").read_text().splitlines()
        pinned, kept = dict(reversed(line.split()) for line in lines), CACHE / self.name
        if hashes(kept) == pinned:
            return kept
        for program in ("mvn", "java"):
            if shutil.which(program) is None:
                absent(f"{self.purpose} need {program}")
        CACHE.mkdir(parents=True, exist_ok=True)
        fetched = Path(tempfile.mkdtemp(dir=CACHE))
        try:
            subprocess.run(
                ["mvn", "-B", "-q", PLUGIN, "-DincludeScope=runtime",
                 f"-DoutputDirectory={fetched}"],
                cwd=self.pinned, check=True,
            )  # fmt: skip
            if hashes(fetched) != pinned:
                raise RuntimeError(f"Maven fetched other jars than {self.pinned.name} pins")
            shutil.rmtree(kept, ignore_errors=True)
            fetched.rename(kept)
        finally:
            shutil.rmtree(fetched, ignore_errors=True)
        return kept


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of each jar of a folder, by name."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.jar")
    }
