"""Which files were read, and how far: the positions of a publication.

A file is named by its source and its place as seen from the configuration's folder, so that a
project can be moved or copied. Its position is its size, when it changed and a keyed hash of its
content: a file that was only touched, or copied with the project, has been read.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from rejse.pipelines.config.settings import Settings

#: Ends the position of a file of which only the rows of some time were taken.
IN_PART = " in part"
#: Hex digits of the hash of a file's content.
HEX = 32
_POSITION = re.compile(
    rf"(\d+)@(\d+)(?:#([0-9a-f]{{{HEX}}}))?(?: until (-?\d+))?({re.escape(IN_PART)})?"
)


class Place(NamedTuple):
    """A file of a source; `path` is absolute."""

    source: str
    path: str


@dataclass(frozen=True)
class Position:
    """What was read of a file. `changed` is in nanoseconds; `content` a keyed hash, None where an
    earlier version wrote none.

    `due` (microseconds): from then on rows that were set aside, since they lay in the future, are
    to be taken. `in_part`: only rows of some time were taken.
    """

    size: int
    changed: int
    content: str | None = None
    due: int | None = None
    in_part: bool = False

    def __str__(self) -> str:
        content = "" if self.content is None else f"#{self.content}"
        due = "" if self.due is None else f" until {self.due}"
        return f"{self.size}@{self.changed}{content}{due}{IN_PART if self.in_part else ''}"

    def alike(self) -> Position:
        """The same for every file of this content, whenever it changed."""
        return self if self.content is None else replace(self, changed=0)


def parse(text: str) -> Position | None:
    """A position from its text; None where it is none."""
    match = _POSITION.fullmatch(text)
    if match is None:
        return None
    size, changed, content, due, in_part = match.groups()
    return Position(int(size), int(changed), content, int(due) if due else None, bool(in_part))


@dataclass(frozen=True)
class Look:
    """A look at the files that are there: those that are to be read, and the positions of all.

    Of a file that is to be read the position has its content. `left` are places whose file is now
    elsewhere.
    """

    unread: frozenset[Place]
    positions: Mapping[Place, Position]
    left: frozenset[Place] = frozenset()


def look(
    shards: Iterable[Any], before: Mapping[Place, Position], key: bytes, now: int,
    in_part: bool = False, anew: bool = False,
) -> Look:  # fmt: skip
    """What of the files is to be read after `before`; with `anew` all of them are.

    `now` in microseconds. `in_part`: only rows of some time will be taken.
    """
    unread, positions, here = set(), {}, paths(shards)
    elsewhere = {_kind(p, at): p for p, at in before.items() if at.content and p not in here}
    left = set()
    for place, path in here.items():
        size, changed = stat(path)
        known = before.get(place)
        if known is not None and not anew and is_read(known, path, (size, changed), key, now):
            positions[place] = replace(known, changed=changed)
            continue
        content = hashed(path, size, changed, key)
        positions[place] = Position(size, changed, content, in_part=in_part)
        old = None if anew else elsewhere.pop(_kind(place, positions[place]), None)
        if old is not None and is_read(before[old], path, (size, changed), key, now):
            positions[place] = replace(before[old], changed=changed)
            left.add(old)
        else:
            unread.add(place)
    return Look(frozenset(unread), positions, frozenset(left))


def _kind(place: Place, position: Position) -> tuple[str, str, int, str | None]:
    """What a file that was moved still is: its source, its name and its content."""
    return place.source, Path(place.path).name, position.size, position.content


def paths(shards: Iterable[Any]) -> dict[Place, Path]:
    """Files of some pieces, each once."""
    return {Place(shard.source, str(shard.path)): Path(shard.path) for shard in shards}


def stat(path: Path) -> tuple[int, int]:
    """Size of a file and when it changed, nanoseconds. Raises FileNotFoundError."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def is_read(
    known: Position, path: Path, here: tuple[int, int], key: bytes | None, now: int
) -> bool:
    """Whether a file of this size and time of change holds what was read of it, and no rows that
    were set aside are due. Without a key a file that was touched is not known to.
    """
    size, changed = here
    if known.in_part or known.size != size or (known.due is not None and now >= known.due):
        return False
    if known.changed == changed:
        return True
    return None not in (known.content, key) and known.content == hashed(path, size, changed, key)


@lru_cache(maxsize=4096)
def hashed(path: Path, size: int, changed: int, key: bytes | None) -> str:
    """Keyed hash of a file's content; one that has not changed is not read twice by a process."""
    signed = hmac.new(key or b"", digestmod=hashlib.sha256)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            signed.update(block)
    return signed.hexdigest()[:HEX]


def located(
    root: Path, positions: Mapping[str, str], sources: Collection[str]
) -> dict[Place, Position]:
    """Positions of a publication by file, seen from the folder `root` of a configuration that has
    these `sources`. Earlier versions named all files by absolute paths.
    """
    out = {}
    for name, text in positions.items():
        known = [source for source in sources if name.startswith(f"{source}:")]
        source = max(known, key=len, default=name.partition(":")[0])
        path = os.path.normpath(root / name.removeprefix(f"{source}:"))
        out[Place(source, path)] = parse(text) or Position(-1, -1)
    return out


def of(settings: Settings, positions: Mapping[str, str]) -> dict[Place, Position]:
    """Positions of a publication by file, as the configuration sees them now."""
    return located(settings.root, positions, settings.sources.keys())


def published(settings: Settings, positions: Mapping[Place, Position]) -> dict[str, str]:
    """Positions as a publication holds them: seen from the configuration's folder are files in it,
    and those of sources whose globs are written relative to it; all others are absolute.
    """
    root = str(settings.root)
    beside = {
        name
        for name, source in settings.sources.items()
        if all(glob.startswith(f"{root}/") for glob in source.files)
    }
    return {
        f"{place.source}:{_seen(place, root, place.source in beside)}": str(position)
        for place, position in sorted(positions.items())
    }


def _seen(place: Place, root: str, is_beside: bool) -> str:
    if is_beside or place.path.startswith(f"{root}/"):
        return Path(os.path.relpath(place.path, root)).as_posix()
    return place.path


def are_alike(first: Mapping[Place, Position], second: Mapping[Place, Position]) -> bool:
    """Whether two publications have read the same content of files of the same names."""
    return _alike(first) == _alike(second)


def _alike(positions: Mapping[Place, Position]) -> list[tuple[str, str, str]]:
    return sorted(
        (place.source, Path(place.path).name, str(at.alike())) for place, at in positions.items()
    )


def with_due(
    positions: Mapping[Place, Position], shards: Sequence[Any],
    aside: Mapping[tuple[str, str], int], tolerance: int,
) -> dict[Place, Position]:  # fmt: skip
    """Positions of files some rows of which were set `aside` (least time by source and name of the
    file), with when the first of them is to be taken.
    """
    out = dict(positions)
    for shard in shards:
        time = aside.get((shard.source, shard.file))
        if time is not None:
            place = Place(shard.source, str(shard.path))
            out[place] = replace(out[place], due=time - tolerance)
    return out
