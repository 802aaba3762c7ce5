"""Fingerprints of rules, code, key and positions: equal ones mean an equal result."""

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


def core_version(settings: Settings) -> str:
    """Return the version that stored rows depend on; rows of another version must be rebuilt.

    It is 16 hex digits of rules and code, a dash, and 16 of the key.
    """
    inputs = {"config": settings.core_version, "code": code()}
    return f"{digest(inputs)}-{key_id(settings.key())}"


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
def code() -> str:
    """Return a hash of the core's source and of the served SQL: a change may change results."""
    import rejse.sql
    import rejse.transforms

    hashed = hashlib.sha256()
    for folder in (
        Path(str(rejse.transforms.__file__)).parent,
        *map(rejse.sql.FOLDER.joinpath, SERVED),
    ):
        for path in sorted(path for path in folder.rglob("*") if path.suffix in CODE):
            place = f"{folder.name}/{path.relative_to(folder).as_posix()}"
            hashed.update(place.encode() + b"\x1f" + path.read_bytes())
    return hashed.hexdigest()
