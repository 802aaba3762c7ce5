"""Ids that a source gave to several customers: the row of one of them stays
(docs/reference/ingest.md#duplicates).

Rows with one (source, id) are duplicates whoever they name, but customers lie in different groups
of buckets. So every event leaves a narrow record, gathered by its id; of an id with several
customers the record that is first in `duplicates.standing`, then the least key of the identity that
the row bears, then the least customer key, names the customer whose rows stay. The same record of a
stored row stands for it where its id comes again. Ids are compared as 128 bits mixed from a salt,
so that nobody who writes ids can make two of them alike.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from rejse.transforms.columnar.arrays import Bools, Ints, flat
from rejse.transforms.columnar.event_table import Categorical
from rejse.transforms.columnar.radix_sort import sorted_by
from rejse.transforms.identity.resolve import original
from rejse.transforms.incremental.deduplicate import standing
from rejse.transforms.schema import contract

Words = np.ndarray[Any, np.dtype[np.uint64]]
Letters = np.ndarray[Any, np.dtype[np.uint8]]
Places = np.ndarray[Any, np.dtype[np.int32]]
Records = np.ndarray[Any, np.dtype[np.void]]
#: An event's id as 128 bits, its standing, and the first 64 bits of the keys of the identity that
#: it bears, which no link changes, and of its customer.
RECORD = np.dtype(
    [("high", "u8"), ("low", "u8"), ("standing", "i8"), ("borne", "u8"), ("customer", "u8")]
)
_ORDER = ("customer", "borne", "standing", "low", "high")
#: Some shared ids: (id's words) -> customer whose rows stay; who loses stored rows by it.
Shared = tuple[dict[tuple[int, int], int], frozenset[str]]
#: Ids up to so many bytes are mixed eight bytes at a time over all rows, longer ones one by one.
SHORT = 64
_MIX = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F))
_FOLD, _HALF = np.uint64(29), np.uint64(32)
_HEX = np.zeros(256, np.uint64)
_HEX[np.frombuffer(b"0123456789abcdef", np.uint8)] = np.arange(16)


def records(events: pa.RecordBatch | pa.Table, salt: bytes) -> Records:
    """One record an event (columns `source`, `id`, `customer_key`, those of `standing`)."""
    out = np.empty(events.num_rows, RECORD)
    out["high"], out["low"] = _identified(events, salt)
    out["customer"] = out["borne"] = _leading(Categorical.of(events.column(contract.CUSTOMER_KEY)))
    if contract.IDENTITY_KEY in events.schema.names:
        out["borne"] = _leading(original(events))
    out["standing"] = standing(events)
    return out


def winners(found: Records) -> dict[tuple[int, int], int]:
    """(id's words) -> customer whose rows stay, for every id of several customers."""
    ranked = np.sort(found["high"])
    again = ranked[1:][ranked[1:] == ranked[:-1]]
    if not len(again):
        return {}
    some = found[np.isin(found["high"], again)]
    some = some[np.lexsort([some[name] for name in _ORDER])]
    same = (some["high"][1:] == some["high"][:-1]) & (some["low"][1:] == some["low"][:-1])
    group = np.append(0, np.cumsum(~same))
    first = some[np.flatnonzero(np.append(True, ~same))]
    shared = np.zeros(len(first), dtype=bool)
    shared[group[some["customer"] != first["customer"][group]]] = True
    return {(int(one["high"]), int(one["low"])): int(one["customer"]) for one in first[shared]}


def lost(events: pa.Table, stays: Mapping[tuple[int, int], int], salt: bytes) -> Bools:
    """Rows whose id stays with another customer."""
    if not stays:
        return np.zeros(events.num_rows, dtype=bool)
    mine = records(events, salt)
    highs = np.fromiter((high for high, _ in stays), np.uint64, len(stays))
    out = np.zeros(len(mine), dtype=bool)
    for row in np.flatnonzero(np.isin(mine["high"], highs)):
        winner = stays.get((int(mine["high"][row]), int(mine["low"][row])))
        out[row] = winner is not None and winner != int(mine["customer"][row])
    return out


class IdFiles:
    """Writer of the records of one bundle, in files by a range of the ids' first words."""

    def __init__(self, folder: Path, parts: int, salt: bytes) -> None:
        self._folder, self._parts, self._salt = folder, parts, salt
        self._files: dict[int, tuple[Path, Any]] = {}

    def add(self, events: pa.RecordBatch) -> None:
        """Write the records of a batch's events."""
        found = records(events, self._salt)
        part = (((found["high"] >> _HALF) * np.uint64(self._parts)) >> _HALF).astype(np.int64)
        order = sorted_by(part)
        edges = np.searchsorted(part[order], np.arange(self._parts + 1))
        found = found[order]
        for number in np.flatnonzero(np.diff(edges)).tolist():
            if number not in self._files:
                path = self._folder / f"ids-{number}-{uuid.uuid4().hex}"
                self._files[number] = (path, path.open("wb"))
            self._files[number][1].write(found[edges[number] : edges[number + 1]].tobytes())

    def close(self) -> Iterator[tuple[int, str]]:
        """Finish all files; (part, path) of each."""
        for part, (path, out) in self._files.items():
            out.close()
            yield part, str(path)


def read(paths: Iterable[str]) -> Records:
    """The records of several files."""
    return np.concatenate([np.fromfile(path, RECORD) for path in paths])


def _identified(events: pa.RecordBatch | pa.Table, salt: bytes) -> tuple[Words, Words]:
    """128 bits of each row's (source, id), alike in every process and batch of one salt."""
    source = Categorical.of(events.column("source"))
    seeds = [_digest(salt + name.encode()) for name in source.names.to_pylist()]
    start = np.array([*seeds, (0, 0)], np.uint64)[source.codes]
    ids = flat(events.column("id")).cast(pa.binary())
    data, offsets = _letters(ids)
    sizes = np.diff(offsets)
    high, low = start[:, 0].copy(), start[:, 1].copy()
    data = np.append(data[: offsets[-1]], np.zeros(8, np.uint8))
    word_at = np.ndarray((len(data) - 7,), "<u8", data, strides=(1,))
    short = sizes <= SHORT
    for at in range(0, int(sizes[short].max(initial=0)) + 1, 8):
        rows = np.flatnonzero(short & (sizes >= at))
        word = _cut(word_at[offsets[:-1][rows] + at], sizes[rows] - at)
        high[rows] = _mixed(high[rows], word, _MIX[0])
        low[rows] = _mixed(low[rows], word, _MIX[1])
    for row in np.flatnonzero(~short):
        high[row], low[row] = _digest(start[row].tobytes() + ids[int(row)].as_py())
    return high, low


def _letters(texts: pa.Array) -> tuple[Letters, Places]:
    """Bytes of all texts, and where in them each begins; last where the last one ends."""
    _, offsets, data = texts.buffers()
    places = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    return np.frombuffer(bytes(8) if data is None else data, np.uint8), places


def _cut(words: Words, left: Ints) -> Words:
    """The first `left` bytes of each word, and where the text ends in it."""
    kept = np.minimum(left, 8).astype(np.uint64)
    bits = np.uint64(8) * np.minimum(kept, np.uint64(7))
    ended = (words & ((np.uint64(1) << bits) - np.uint64(1))) | (np.uint64(0x80) << bits)
    return np.asarray(np.where(left < 8, ended, words))


def _mixed(state: Words, word: Words, by: np.uint64) -> Words:
    state = (state ^ word) * by
    state = (state ^ (state >> _FOLD)) * _MIX[0]
    return np.asarray(state ^ (state >> _HALF))


def _digest(text: bytes) -> tuple[int, int]:
    digest = hashlib.sha256(text).digest()
    return int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:16], "little")


def leading(keys: pa.Array) -> Words:
    """First 64 bits of customer keys (text); their order is that of the keys."""
    if not len(keys):
        return np.zeros(0, np.uint64)
    letters, places = _letters(flat(keys))
    digits = _HEX[letters[places[0] : places[-1]].reshape(len(keys), -1)[:, :16]]
    out = np.zeros(len(keys), np.uint64)
    for place in range(16):
        out = (out << np.uint64(4)) | digits[:, place]
    return out


def _leading(customer: Categorical) -> Words:
    if not len(customer.names):
        return np.zeros(0, np.uint64)
    return np.asarray(leading(customer.names)[customer.codes])
