"""Resolve ids that a source gave to several customers: the row of one of them is kept
(docs/reference/ingest.md#duplicates).

Rows with one (source, id) are duplicates even of different customers, who may be in different
groups of buckets. So each event leaves a narrow record, and records are gathered by id. An id of
several customers belongs to the customer of the first record by `deduplicate.dedup_sort_key`, then
by the lowest key of the original identity, then by the lowest customer key. Stored rows take part
with records of their own when their id arrives again. Ids are compared as 128 bits mixed with a
salt, so that a writer of ids cannot construct a collision.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from rejse.transforms.columnar.arrays import Bools, Ints, flat
from rejse.transforms.columnar.event_table import Categorical
from rejse.transforms.columnar.radix_sort import sorted_by
from rejse.transforms.identity.resolve import original_identity
from rejse.transforms.incremental.deduplicate import dedup_sort_key
from rejse.transforms.incremental.shuffle_media import Draft, Medium, Piece, is_full, opened
from rejse.transforms.schema import contract

Words = np.ndarray[Any, np.dtype[np.uint64]]
Letters = np.ndarray[Any, np.dtype[np.uint8]]
Offsets = np.ndarray[Any, np.dtype[np.int32]]
Records = np.ndarray[Any, np.dtype[np.void]]
#: Id of an event as 128 bits, its `dedup_sort_key`, and the first 64 bits of the keys of its
#: original identity, which no link changes, and of its customer.
RECORD = np.dtype(
    [("high", "u8"), ("low", "u8"), ("sort_key", "i8"), ("identity", "u8"), ("customer", "u8")]
)
_ORDER = ("customer", "identity", "sort_key", "low", "high")
#: Owner (leading key) of each contested id (its two words); customers who lose stored rows.
IdOwners = tuple[dict[tuple[int, int], int], frozenset[str]]
#: Ids of at most so many bytes are mixed in vectors of eight bytes, longer ones row by row.
SHORT = 64
_MIX = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F))
_FOLD, _HALF = np.uint64(29), np.uint64(32)
_HEX = np.zeros(256, np.uint64)
_HEX[np.frombuffer(b"0123456789abcdef", np.uint8)] = np.arange(16)


def records(events: pa.RecordBatch | pa.Table, salt: bytes) -> Records:
    """Return one record an event.

    Reads the columns `source`, `id`, `customer_key` and those of `dedup_sort_key`.
    """
    out = np.empty(events.num_rows, RECORD)
    out["high"], out["low"] = _identified(events, salt)
    out["customer"] = out["identity"] = _leading(
        Categorical.of(events.column(contract.CUSTOMER_KEY))
    )
    if contract.IDENTITY_KEY in events.schema.names:
        out["identity"] = _leading(original_identity(events))
    out["sort_key"] = dedup_sort_key(events)
    return out


def id_owners(id_records: Records) -> dict[tuple[int, int], int]:
    """Return the owner (leading key) of every contested id, by the id's two words."""
    ranked = np.sort(id_records["high"])
    highs = ranked[1:][ranked[1:] == ranked[:-1]]
    if not len(highs):
        return {}
    repeated = id_records[np.isin(id_records["high"], highs)]
    repeated = repeated[np.lexsort([repeated[name] for name in _ORDER])]
    same = (repeated["high"][1:] == repeated["high"][:-1]) & (
        repeated["low"][1:] == repeated["low"][:-1]
    )
    group = np.append(0, np.cumsum(~same))
    first = repeated[np.flatnonzero(np.append(True, ~same))]
    is_contested = np.zeros(len(first), dtype=bool)
    is_contested[group[repeated["customer"] != first["customer"][group]]] = True
    return {
        (int(record["high"]), int(record["low"])): int(record["customer"])
        for record in first[is_contested]
    }


def owned_by_other(events: pa.Table, owners: Mapping[tuple[int, int], int], salt: bytes) -> Bools:
    """Return the mask of rows whose id another customer owns."""
    if not owners:
        return np.zeros(events.num_rows, dtype=bool)
    own = records(events, salt)
    highs = np.fromiter((high for high, _ in owners), np.uint64, len(owners))
    out = np.zeros(len(own), dtype=bool)
    for row in np.flatnonzero(np.isin(own["high"], highs)):
        owner = owners.get((int(own["high"][row]), int(own["low"][row])))
        out[row] = owner is not None and owner != int(own["customer"][row])
    return out


class IdFiles:
    """Writer of the records of one bundle, in files by ranges of the ids' first words."""

    def __init__(self, medium: Medium, parts: int, salt: bytes) -> None:
        self._medium, self._parts, self._salt = medium, parts, salt
        self._files: dict[int, Draft] = {}

    def add(self, events: pa.RecordBatch) -> None:
        """Write the records of a batch of events."""
        id_records = records(events, self._salt)
        shards = (((id_records["high"] >> _HALF) * np.uint64(self._parts)) >> _HALF).astype(
            np.int64
        )
        order = sorted_by(shards)
        bounds = np.searchsorted(shards[order], np.arange(self._parts + 1))
        id_records = id_records[order]
        for shard in np.flatnonzero(np.diff(bounds)).tolist():
            if shard not in self._files:
                self._files[shard] = self._medium.begin(f"ids-{shard}")
            self._files[shard].out.write(id_records[bounds[shard] : bounds[shard + 1]].tobytes())

    def full(self) -> Iterator[tuple[int, Piece]]:
        """Finish all files where the medium wants to hold no more; yield (shard, piece) of each."""
        if is_full(self._medium, self._files.values()):
            yield from self.close()

    def close(self) -> Iterator[tuple[int, Piece]]:
        """Finish all files; yield (shard, piece) of each."""
        for part, draft in self._files.items():
            yield part, draft.finish()
        self._files.clear()


def read(pieces: Iterable[Piece]) -> Records:
    """Read the records of several files."""
    return np.concatenate([_records_of(piece) for piece in pieces])


def _records_of(piece: Piece) -> Records:
    with opened(piece) as source:
        return np.frombuffer(source.read_buffer(), RECORD)


def _identified(events: pa.RecordBatch | pa.Table, salt: bytes) -> tuple[Words, Words]:
    """Return 128 bits for each row's (source, id), equal in every process with the same salt."""
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
        word = _last_word(word_at[offsets[:-1][rows] + at], sizes[rows] - at)
        high[rows] = _mixed(high[rows], word, _MIX[0])
        low[rows] = _mixed(low[rows], word, _MIX[1])
    for row in np.flatnonzero(~short):
        high[row], low[row] = _digest(start[row].tobytes() + ids[int(row)].as_py())
    return high, low


def _letters(texts: pa.Array) -> tuple[Letters, Offsets]:
    """Return the bytes of all texts and the offset of each; the last offset is the end."""
    _, offsets, data = texts.buffers()
    starts = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    return np.frombuffer(bytes(8) if data is None else data, np.uint8), starts


def _last_word(words: Words, left: Ints) -> Words:
    """Keep the first `left` bytes of each word, and mark the end of the text."""
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
    """Return the first 64 bits of customer keys (text), in the same order as the keys."""
    if not len(keys):
        return np.zeros(0, np.uint64)
    letters, starts = _letters(flat(keys))
    digits = _HEX[letters[starts[0] : starts[-1]].reshape(len(keys), -1)[:, :16]]
    out = np.zeros(len(keys), np.uint64)
    for digit in range(16):
        out = (out << np.uint64(4)) | digits[:, digit]
    return out


def _leading(customer: Categorical) -> Words:
    if not len(customer.names):
        return np.zeros(0, np.uint64)
    return np.asarray(leading(customer.names)[customer.codes])
