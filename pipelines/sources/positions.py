"""Positions: the files that a publication has read.

A file is named by its source and its path relative to the configuration's folder, so that a
project can be moved or copied. Its position is its size, its time of change and a keyed hash of its
content: a file that was only touched, or copied with the project, counts as read.
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
    """What was read of a file.

    `changed` is in nanoseconds; `content` is a keyed hash, None where an earlier version wrote
    none. From `due` (microseconds) on the file is read again for rows that were set aside because
    their time was in the future. `in_part`: only rows of a time span were taken.
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
        """Return the position without its time of change, equal for all files of this content."""
        return self if self.content is None else replace(self, changed=0)


def parse(text: str) -> Position | None:
    """Parse a position; None where the text is none."""
    match = _POSITION.fullmatch(text)
    if match is None:
        return None
    size, changed, content, due, in_part = match.groups()
    return Position(int(size), int(changed), content, int(due) if due else None, bool(in_part))


@dataclass(frozen=True)
class Look:
    """Files that must be read, and the positions of all files.

    The position of a file that must be read has its content. `left` are places whose file was
    moved.
    """

    unread: frozenset[Place]
    positions: Mapping[Place, Position]
    left: frozenset[Place] = frozenset()


def look(
    shards: Iterable[Any],
    before: Mapping[Place, Position],
    key: bytes,
    now: int,
    in_part: bool = False,
    anew: bool = False,
) -> Look:
    """Compare files with the positions `before` and return those to read; with `anew` all.

    `now` is in microseconds. `in_part`: only rows of a time span will be taken.
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
    """Return what identifies a moved file: its source, its name, its size and content."""
    return place.source, Path(place.path).name, position.size, position.content


def paths(shards: Iterable[Any]) -> dict[Place, Path]:
    """Return the files of shards, each once."""
    return {Place(shard.source, str(shard.path)): Path(shard.path) for shard in shards}


def stat(path: Path) -> tuple[int, int]:
    """Return a file's size and its time of change in nanoseconds. Raises FileNotFoundError."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def is_read(
    known: Position, path: Path, here: tuple[int, int], key: bytes | None, now: int
) -> bool:
    """Return whether a file was read as it is now, and no rows set aside are due.

    `here` is its size and time of change. Without a key a file that was touched counts as unread.
    """
    size, changed = here
    if known.in_part or known.size != size or (known.due is not None and now >= known.due):
        return False
    if known.changed == changed:
        return True
    return None not in (known.content, key) and known.content == hashed(path, size, changed, key)


@lru_cache(maxsize=4096)
def hashed(path: Path, size: int, changed: int, key: bytes | None) -> str:
    """Return a keyed hash of a file's content; cached until size or time of change differ."""
    signed = hmac.new(key or b"", digestmod=hashlib.sha256)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            signed.update(block)
    return signed.hexdigest()[:HEX]


def located(
    root: Path, positions: Mapping[str, str], sources: Collection[str]
) -> dict[Place, Position]:
    """Parse a publication's positions, by file, relative to `root`.

    `root` is the folder of a configuration with these `sources`. Earlier versions named all files
    by absolute paths.
    """
    out = {}
    for name, text in positions.items():
        known = [source for source in sources if name.startswith(f"{source}:")]
        source = max(known, key=len, default=name.partition(":")[0])
        path = os.path.normpath(root / name.removeprefix(f"{source}:"))
        out[Place(source, path)] = parse(text) or Position(-1, -1)
    return out


def of(settings: Settings, positions: Mapping[str, str]) -> dict[Place, Position]:
    """Parse a publication's positions, by file, for a configuration."""
    return located(settings.root, positions, settings.sources.keys())


def published(settings: Settings, positions: Mapping[Place, Position]) -> dict[str, str]:
    """Return positions as a publication stores them.

    Paths are relative to the configuration's folder for files in it, and for sources whose globs
    are relative; all others are absolute.
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
    """Return whether two publications have read the same content of files of the same names."""
    return _alike(first) == _alike(second)


def _alike(positions: Mapping[Place, Position]) -> list[tuple[str, str, str]]:
    return sorted(
        (place.source, Path(place.path).name, str(at.alike())) for place, at in positions.items()
    )


def with_due(
    positions: Mapping[Place, Position],
    shards: Sequence[Any],
    aside: Mapping[tuple[str, str], int],
    tolerance: int,
) -> dict[Place, Position]:
    """Add to positions when rows that were set `aside` are due.

    `aside` is the least time of such rows by source and file name; they are due `tolerance`
    before it (microseconds).
    """
    out = dict(positions)
    for shard in shards:
        time = aside.get((shard.source, shard.file))
        if time is not None:
            place = Place(shard.source, str(shard.path))
            out[place] = replace(out[place], due=time - tolerance)
    return out
