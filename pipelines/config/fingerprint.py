"""Fingerprints of rules, code, key and positions: equal ones mean an equal result.

Those of rules and code are in two parts: `ingest`, on which accepted rows depend, and `score`, on
which only that depends which is made of accepted rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from rejse.pipelines.config.field_types import digest
from rejse.pipelines.config.settings import Settings

#: Suffixes of files that decide results.
CODE = (".py", ".txt", ".sql")
#: Folders of the SQL that a publication is served with, or audited by.
SERVED = ("macros", "views", "aggregates", "checks")
#: Modules and packages of `transforms` that no accepted row depends on; all others count as ingest.
SCORING = (
    "columnar/nearest_match.py", "core.py", "dimensions/campaigns.py", "features/",
    "feedback/answers.py", "feedback/attach.py", "feedback/join.py", "feedback/metrics/",
    "feedback/output_tables.py", "feedback/pending.py", "feedback/sentiment_accuracy.py",
    "incremental/revisions.py", "incremental/table_rows.py", "journeys/", "published_tables.py",
    "schema/log_tables.py", "schema/parameters.py", "scoring/",
)  # fmt: skip


def versions(settings: Settings) -> dict[str, str]:
    """Return hashes of rules and code by name, as `Settings.versions`, with those of the code."""
    return {**settings.versions, **{f"{part}.code": value for part, value in code().items()}}


def core_version(settings: Settings) -> str:
    """Return the version that stored rows of all sources depend on.

    It is 16 hex digits of rules and code, a dash, and 16 of the key.
    """
    shared = {name: at for name, at in versions(settings).items() if ".sources." not in name}
    return f"{digest(shared)}-{key_id(settings.key())}"


def key_id(key: bytes) -> str:
    """Return 16 hex digits that identify a key without revealing it."""
    return hashlib.sha256(b"rejse fingerprint\x1f" + key).hexdigest()[:16]


def fingerprint(
    settings: Settings,
    core: str,
    positions: Mapping[str, str],
    stated: Mapping[str, int],
    complete: bool,
    now: int,
    span: tuple[int, int] | None = None,
) -> str:
    """Return a hash of everything that decides what would be published."""
    inputs = {
        "core": core, "config": settings.version, "positions": positions, "stated": stated,
        "complete": complete, "texts_from": settings.texts.kept_from(now), "span": span,
    }  # fmt: skip
    return digest(inputs)


@cache
def code() -> dict[str, str]:
    """Return hashes of the core's source by what depends on it: `ingest` and `score`.

    The served SQL counts as `score`.
    """
    import rejse.sql
    import rejse.transforms

    hashes = {"ingest": hashlib.sha256(), "score": hashlib.sha256()}
    core = Path(str(rejse.transforms.__file__)).parent
    for folder in (core, *map(rejse.sql.FOLDER.joinpath, SERVED)):
        for path in sorted(path for path in folder.rglob("*") if path.suffix in CODE):
            place = path.relative_to(folder).as_posix()
            part = "score" if folder != core or is_scoring(place) else "ingest"
            hashes[part].update(f"{folder.name}/{place}".encode() + b"\x1f" + path.read_bytes())
    return {part: hashed.hexdigest() for part, hashed in hashes.items()}


def is_scoring(place: str) -> bool:
    """Return whether accepted rows do not depend on a file of `transforms`."""
    return place.startswith(SCORING)
