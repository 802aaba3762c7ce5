"""Positions: the files, and the messages of topics, that a publication has read.

A file is named by its source and its path relative to the configuration's folder, so that a
project can be moved or copied. Its position is its size, its time of change and a keyed hash of its
content: a file that was only touched, or copied with the project, counts as read. The position of
a partition of a topic is a range of offsets (`topics.Offsets`).
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rejse.pipelines.places.client import is_address
from rejse.pipelines.sources.kafka import topics
from rejse.pipelines.sources.kafka.topics import Offsets, TopicShard

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
    """A file of a source, with an absolute `path`, an object, or a partition of its topic."""

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


#: Positions of files and of partitions.
Positions = Mapping[Place, Position | Offsets]


@dataclass(frozen=True)
class Look:
    """What must be read, and the positions of all there is.

    The position of a file that must be read has its content. `left` are places whose file was
    moved, and partitions that a topic made anew has not. `reread` has, by source and name, the
    first row or offset of what was read before and is read again.
    """

    unread: tuple[Any, ...]
    positions: Positions
    left: frozenset[Place] = frozenset()
    reread: Mapping[tuple[str, str], int] = field(default_factory=dict)


def look(
    inputs: Iterable[Any],
    before: Positions,
    key: bytes,
    now: int,
    in_part: bool = False,
    anew: bool = False,
) -> Look:
    """Compare what there is with the positions `before` and return what to read; with `anew` all.

    `inputs` are files (`listing.SourceFile`) and partitions (`topics.TopicShard`). `now` is in
    microseconds. `in_part`: only rows of a time span will be taken.
    """
    inputs = tuple(inputs)
    files = _look_at_files(inputs, files_of(before), key, now, in_part, anew)
    partitions = _look_at_partitions(inputs, {} if anew else partitions_of(before), now, in_part)
    return Look(
        (*files.unread, *partitions.unread),
        {**files.positions, **partitions.positions},
        files.left | partitions.left,
        {**files.reread, **partitions.reread},
    )


def place_of(shard: Any) -> Place:
    """Return the place of a piece of a file, of an object or of a partition."""
    return Place(shard.source, getattr(shard, "address", None) or str(shard.path))


def files_of(positions: Positions) -> dict[Place, Position]:
    """Return the positions of files alone."""
    return {place: at for place, at in positions.items() if isinstance(at, Position)}


def partitions_of(positions: Positions) -> dict[Place, Offsets]:
    """Return the positions of partitions alone."""
    return {place: at for place, at in positions.items() if isinstance(at, Offsets)}


def _look_at_partitions(
    shards: Sequence[Any], before: Mapping[Place, Offsets], now: int, in_part: bool
) -> Look:
    unread, positions, reread = [], dict[Place, Offsets](), dict[tuple[str, str], int]()
    here = {place_of(shard): shard for shard in shards if isinstance(shard, TopicShard)}
    for place, shard in here.items():
        known = before.get(place)
        piece, after = topics.unread(shard, known, now)
        if piece.start < piece.stop or piece.notes:
            unread.append(piece)
        if known is not None and known.topic_id == shard.topic_id and piece.start < known.end:
            reread[place] = piece.start
        # Of rows of a time span alone, all messages are due again at once.
        positions[place] = after.with_due(0, piece.start) if in_part else after
    present = {(place.source, shard.topic.name) for place, shard in here.items()}
    left = {
        place
        for place in before
        if place not in here and (place.source, topics.name_of(place.path)) in present
    }
    return Look(tuple(unread), positions, frozenset(left), reread)


def _look_at_files(
    shards: Sequence[Any],
    before: Mapping[Place, Position],
    key: bytes,
    now: int,
    in_part: bool,
    anew: bool,
) -> Look:
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
    pieces = tuple(shard for shard in shards if place_of(shard) in unread)
    reread = {
        (shard.source, shard.file): 0 for shard in pieces if not anew and place_of(shard) in before
    }
    return Look(pieces, positions, frozenset(left), reread)


def _kind(place: Place, position: Position) -> tuple[str, str, int, str | None]:
    """Return what identifies a moved file: its source, its name, its size and content."""
    return place.source, Path(place.path).name, position.size, position.content


def paths(shards: Iterable[Any]) -> dict[Place, Path]:
    """Return the files of shards, each once."""
    files = (shard for shard in shards if not isinstance(shard, TopicShard))
    return {place_of(shard): Path(shard.path) for shard in files}


def missing(shards: Iterable[Any], before: Positions) -> list[str]:
    """Return names of files and partitions whose rows `before` cannot all be read again."""
    shards = tuple(shards)
    partitions = {place_of(shard): shard for shard in shards if isinstance(shard, TopicShard)}
    absent = [Path(place.path).name for place in sorted({*files_of(before)} - {*paths(shards)})]
    expired = [
        place.path
        for place, at in sorted(partitions_of(before).items())
        if topics.is_gone(partitions.get(place), at)
    ]
    return absent + expired


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
) -> dict[Place, Position | Offsets]:
    """Parse a publication's positions, by file, relative to `root`, and by partition.

    `root` is the folder of a configuration with these `sources`. Earlier versions named all files
    by absolute paths.
    """
    out = dict[Place, Position | Offsets]()
    for name, text in positions.items():
        known = [source for source in sources if name.startswith(f"{source}:")]
        source = max(known, key=len, default=name.partition(":")[0])
        if topics.is_partition(path := name.removeprefix(f"{source}:")):
            if offsets := topics.parse(text):  # else it is read from its start
                out[Place(source, path)] = offsets
            continue
        is_object = is_address(path)
        path = path if is_object else os.path.normpath(root / path)
        out[Place(source, path)] = parse(text) or Position(-1, -1)
    return out


def of(settings: Settings, positions: Mapping[str, str]) -> dict[Place, Position | Offsets]:
    """Parse a publication's positions, by file and partition, for a configuration."""
    return located(settings.root, positions, settings.sources.keys())


def published(settings: Settings, positions: Positions) -> dict[str, str]:
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
    if topics.is_partition(place.path) or is_address(place.path):
        return place.path
    if is_beside or place.path.startswith(f"{root}/"):
        return Path(os.path.relpath(place.path, root)).as_posix()
    return place.path


def are_alike(first: Positions, second: Positions) -> bool:
    """Return whether two publications have read the same: content of files by name, messages."""
    return _alike(first) == _alike(second) and partitions_of(first) == partitions_of(second)


def _alike(positions: Positions) -> list[tuple[str, str, str]]:
    return sorted(
        (place.source, Path(place.path).name, str(at.alike()))
        for place, at in files_of(positions).items()
    )


def with_due(
    positions: Positions,
    shards: Sequence[Any],
    aside: Mapping[tuple[str, str], int],
    tolerance: int,
) -> dict[Place, Position | Offsets]:
    """Add to positions when rows that were set `aside` are due.

    `aside` is the least time of such rows by source and file name; they are due `tolerance`
    before it (microseconds).
    """
    out = dict(positions)
    for shard in shards:
        time, place = aside.get((shard.source, shard.file)), place_of(shard)
        if time is None:
            continue
        at = out[place]
        if isinstance(at, Offsets):
            out[place] = at.with_due(time - tolerance, shard.start)
        else:
            out[place] = replace(at, due=time - tolerance)
    return out
