"""Pieces through a runner's shuffle in chunks: runners that sort take no element above a buffer."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from typing import Any

#: Bytes of a chunk, at most.
CHUNK = 128 << 10
#: Name of a piece, place in it, bytes.
Chunk = tuple[bytes, int, bytes]


def chop(keyed: tuple[Any, bytes], size: int = CHUNK) -> Iterator[tuple[Any, Chunk]]:
    """Yield the chunks of a piece under its key."""
    key, piece = keyed
    name = uuid.uuid4().bytes
    for at in range(0, max(len(piece), 1), size):
        yield key, (name, at, piece[at : at + size])


def join(chunks: Iterable[Chunk]) -> list[bytes]:
    """Return the pieces, whatever the order of their chunks."""
    by_name: dict[bytes, list[tuple[int, bytes]]] = {}
    for name, at, part in chunks:
        by_name.setdefault(name, []).append((at, part))
    return [b"".join(part for _, part in sorted(parts)) for parts in by_name.values()]


def join_each(
    grouped: tuple[Any, dict[str, Iterable[Chunk]]],
) -> tuple[Any, dict[str, list[bytes]]]:
    """Return the pieces of a key by their kind."""
    key, by_kind = grouped
    return key, {kind: join(chunks) for kind, chunks in by_kind.items()}


def join_all(grouped: tuple[Any, Iterable[Chunk]]) -> tuple[Any, list[bytes]]:
    """Return the pieces of a key."""
    key, chunks = grouped
    return key, join(chunks)
