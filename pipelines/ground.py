"""What a run stands on: the last publication and the files that are new, or everything anew.

Rules, mappings, code and key make the core version: under another one nothing that was published
can stand beside what is computed now, so that all sources are read again. Operational tables have
validity and grow every day; they only make everything that is not final be looked at again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rejse.pipelines.settings import Settings
from rejse.pipelines.store import Publication

#: What the core is made of: its modules, and the word lists that it scores texts by.
CODE = (".py", ".txt", ".sql")
#: Folders of the SQL that a publication is served with.
SERVED = ("macros", "views", "checks")


class SourcesGoneError(LookupError):
    """All sources must be read again, and files that were read before are gone."""

    exit_code = 2


@dataclass(frozen=True)
class Ground:
    """The publication to build on (None: everything anew), and the pieces of files to read.

    `again` are files, by source and name, that have changed since they were read.
    """

    base: Publication | None
    shards: tuple[Any, ...]
    positions: Mapping[str, str]
    core_version: str
    is_changed: bool
    again: frozenset[tuple[str, str]] = frozenset()


def ground(
    settings: Settings,
    base: Publication | None,
    shards: Sequence[Any],
    rebuild: bool,
    anew: bool = False,
) -> Ground:
    """Whether the run is an increment on `base`, and what it reads; `anew`: it can be none.

    Raises SourcesGoneError where all must be read anew but files read before are gone, unless
    `rebuild` says that what they held is to go.
    """
    here, core = positions(shards), core_version(settings)
    if base is None or rebuild or anew or base.core_version != core:
        if base is not None and not rebuild:
            _refuse_gone(base, here)
        return Ground(None, tuple(shards), here, core, False)
    new = [one for one in shards if base.positions.get(_named(one)) != here[_named(one)]]
    changed = base.config_version != settings.version
    again = frozenset((one.source, one.file) for one in new if _named(one) in base.positions)
    return Ground(base, tuple(new), {**base.positions, **here}, core, changed, again)


def positions(shards: Sequence[Any]) -> dict[str, str]:
    """What was read of each file: its size and time of change."""
    out = {}
    for shard in shards:
        stat = Path(shard.path).stat()
        out[_named(shard)] = f"{stat.st_size}@{stat.st_mtime_ns}"
    return out


def _named(shard: Any) -> str:
    return f"{shard.source}:{shard.path}"


def _refuse_gone(base: Publication, here: Mapping[str, str]) -> None:
    gone = sorted(set(base.positions) - set(here))
    if gone:
        names = ", ".join(Path(name).name for name in gone[:5])
        raise SourcesGoneError(
            "rules, mappings, key or version have changed, so that all sources must be read again;"
            f" expected the {len(base.positions):,} files read before, {len(gone):,} are gone, such"
            f" as {names}; bring them back, or run with --rebuild to publish without them"
        )


def core_version(settings: Settings) -> str:
    """16 hex digits that change with all under which a stored row cannot stand any more."""
    said = {
        "config": settings.core_version, "code": code(),
        "key": hashlib.sha256(b"rejse fingerprint\x1f" + settings.key()).hexdigest()[:16],
    }  # fmt: skip
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def fingerprint(
    settings: Settings, found: Ground, stated: Mapping[str, int], complete: bool, now: int
) -> str:
    """Changes with everything that can change what would be published."""
    said = {
        "core": found.core_version, "config": settings.version, "positions": found.positions,
        "stated": stated, "complete": complete, "texts_from": settings.texts.kept_from(now),
    }  # fmt: skip
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def code() -> str:
    """Hash of the core's own source and of the served SQL: others may come to another answer."""
    import rejse.sql
    import rejse.transforms

    digest = hashlib.sha256()
    for folder in (
        Path(str(rejse.transforms.__file__)).parent,
        *map(rejse.sql.FOLDER.joinpath, SERVED),
    ):
        for path in sorted(path for path in folder.rglob("*") if path.suffix in CODE):
            place = f"{folder.name}/{path.relative_to(folder).as_posix()}"
            digest.update(place.encode() + b"\x1f" + path.read_bytes())
    return digest.hexdigest()
