"""Search the archive of topics for the messages of an identity, and remove them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rejse.pipelines.config.settings import Settings
from rejse.pipelines.sources import messages_of_erased, shards
from rejse.pipelines.sources.kafka import archive, archive_folder
from rejse.pipelines.sources.kafka.topics import Topic
from rejse.transforms.identity.erasure import Erased
from rejse.transforms.identity.pseudonyms import Signer


def naming(settings: Settings, erased: Erased, sign: Signer) -> list[str]:
    """Return the messages of the archive that name an erased identity, each as FILE:OFFSET.

    Raises:
        SourceError: a file is damaged, or a schema registry does not answer.
    """
    out, mappings = [], {}
    for path in archive_folder.files(settings.store):
        file = archive.described(path)
        source = settings.sources.get(file.source)
        topic = None if source is None else shards.topic_of(source)
        if source is not None and topic is not None and file.source not in mappings:
            mappings[file.source] = source.select()
        mapping = None if topic is None else mappings[file.source]
        shard = file.shard(topic or Topic(file.topic, ""))
        for poll in archive.messages(shard):
            offsets = messages_of_erased.offsets(shard, poll, mapping, erased, sign)
            out += [f"{path.name}:{offset}" for offset in sorted(offsets)]
    for mapping in mappings.values():
        mapping.close()
    return out


def remove(store: Path, named: Sequence[str]) -> int:
    """Remove messages, each FILE:OFFSET; return how many were there.

    A kill leaves each file as it was or as it should be. Call it only while holding the store's
    lock.
    """
    offsets: dict[str, set[int]] = {}
    for message in named:
        name, _, offset = message.rpartition(":")
        offsets.setdefault(name, set()).add(int(offset))
    return sum(
        archive.remove(path, offsets[path.name])
        for path in archive_folder.files(store)
        if path.name in offsets
    )
