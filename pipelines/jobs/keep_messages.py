"""Keep the messages that a run reads in the archive, but for those of erased identities."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rejse.pipelines.sources import messages_of_erased, read_messages
from rejse.pipelines.sources.kafka import archive
from rejse.pipelines.sources.kafka.broker import Message
from rejse.pipelines.sources.kafka.topics import TopicShard
from rejse.transforms.identity.erasure import Erased
from rejse.transforms.identity.pseudonyms import signer
from rejse.transforms.ingest.mapping import SourceMapping


@dataclass(frozen=True)
class KeepMessages:
    """Reads messages, and keeps those of `sources` as drafts of a run."""

    sources: frozenset[str]
    store: Path
    run_id: str
    mappings: Mapping[str, SourceMapping]
    erased: Erased
    key: Callable[[], bytes]

    def messages(self, shard: TopicShard) -> Iterator[list[Message]]:
        """Yield the messages of a piece; those that the archive has already are not kept again."""
        polls = read_messages.messages(shard)
        if shard.source not in self.sources or shard.is_kept or shard.archived is not None:
            return polls
        left_out = partial(
            messages_of_erased.offsets, shard, mapping=self.mappings[shard.source],
            erased=self.erased, sign=signer(self.key()),
        )  # fmt: skip
        return archive.keep(shard, polls, self.store, self.run_id, left_out)
