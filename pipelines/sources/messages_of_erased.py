"""Which messages name an erased identity: by the mapping of their source, else by their words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from rejse.pipelines.sources import read_messages
from rejse.pipelines.sources.kafka.broker import Message
from rejse.pipelines.sources.kafka.topics import TopicShard
from rejse.transforms.columnar.arrays import valid
from rejse.transforms.identity.erasure import Erased
from rejse.transforms.identity.pseudonyms import Signer
from rejse.transforms.ingest.mapping import SourceMapping
from rejse.transforms.ingest.normalise import normalise
from rejse.transforms.ingest.rejects import ROW


def offsets(
    shard: TopicShard,
    poll: Sequence[Message],
    mapping: SourceMapping | None,
    erased: Erased,
    sign: Signer,
) -> set[int]:
    """Return the offsets of messages of a poll that name an erased identity.

    A row counts where its identity or its previous identity is erased; a message without a row,
    as a refused one, where any of its words is. Without a mapping all count so.
    """
    if not erased.tombstones:
        return set()
    named, read = set[int](), set[int]()
    for raw in () if mapping is None else read_messages.batches(shard, mapping.reads, [poll]):
        if not raw.batch.num_rows:
            continue
        rows, _ = normalise(mapping, raw)  # type: ignore[arg-type]
        at = _offsets(rows.column(ROW))
        is_named = erased.rows(rows, sign)
        if "previousidentity" in rows.schema.names:
            is_named = is_named | erased.rows(rows, sign, "previous")
        named |= set(at[is_named].tolist())
        read |= set(at[valid(rows.column("identity"))].tolist())
    refused = [message for message in poll if message.offset not in read and message.value]
    mentioned = erased.rejects_mentioning(_texts(refused), sign)
    return named | {refused[place].offset for place in np.flatnonzero(mentioned)}


def _offsets(rows: pa.Array) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the offset of each row, whose number in its message comes after a point."""
    labels = (str(label).partition(".")[0] for label in rows.to_pylist())
    return np.array([int(offset) for offset in labels], dtype=np.int64)


def _texts(refused: Sequence[Message]) -> pa.Table:
    """Return values as payloads of rejects."""
    payloads = [(message.value or b"").decode("utf-8", "replace") for message in refused]
    nothing = pa.nulls(len(payloads), pa.string())
    return pa.table({"payload": pa.array(payloads, pa.string()), "detail": nothing, "id": nothing})
