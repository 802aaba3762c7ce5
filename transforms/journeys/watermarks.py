"""Watermark of each source: up to when its events are complete
(docs/reference/journeys.md#watermarks).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rejse.transforms.columnar.arrays import Bools, Ints

NOTHING = -(2**62)
#: Watermark of a source without events: the first time that Python and SQL can hold.
NOTHING_SEEN = -62_135_596_800_000_000
#: Watermark where every source is retired: no more events (the last time of Python).
NOTHING_MORE = 253_402_300_799_999_999

#: Begins the name of a partition of a topic.
PARTITION = "kafka://"
#: Begins the name of what said itself up to when it is complete: a source's name or a partition.
HEARTBEAT = "heartbeat://"
#: Configured source, and the source name of its rows; they differ where a mapping gives `source`.
#: A partition of a topic is a delivery too, named by `PARTITION`: it delays its source's others.
Delivery = tuple[str, str]


def least(watermarks: Mapping[str, int]) -> int:
    """Return the least watermark: no source delivers an event before it."""
    return min(watermarks.values(), default=NOTHING)


def passed(deadline: Ints, watermark: int | Ints, lateness: int) -> Bools:
    """Return whether the watermark is past the deadline (inclusive, microseconds) + lateness."""
    return deadline < watermark - lateness


@dataclass(frozen=True)
class Watermarks:
    """Compute watermarks: as stated, else the latest event of a source less its disorder, or the
    time of its latest heartbeat, if that is later.

    `disorder` (microseconds) has every configured source that is not retired, and applies to all
    names that the source delivers. `stated` is by delivered name or configured source; the name
    takes precedence. With `complete` the latest event is the watermark where none is stated.
    Of a topic its slowest partition counts; a partition that is more than `idle` (microseconds by
    source) behind its fastest one does not.
    `before` are the latest events of earlier runs, and `published` the watermarks of the last
    publication: no watermark falls below it.
    """

    disorder: Mapping[str, int]
    stated: Mapping[str, int]
    complete: bool
    before: Mapping[Delivery, int] = field(default_factory=dict)
    published: Mapping[str, int] = field(default_factory=dict)
    idle: Mapping[str, int] = field(default_factory=dict)

    def _ends(self, seen: Mapping[Delivery, int]) -> dict[Delivery, int]:
        """Return up to when each delivery is complete by itself, of this run and those before."""
        out: dict[Delivery, int] = {}
        for (source, name), time in (*self.before.items(), *seen.items()):
            disorder = 0 if self.complete else self.disorder.get(source, 0)
            end = time if name.startswith(HEARTBEAT) else time - disorder
            delivery = (source, name.removeprefix(HEARTBEAT))
            out[delivery] = max(end, out.get(delivery, end))
        return out

    def _skew(self, ends: Mapping[Delivery, int]) -> dict[str, int]:
        """Return by source how far its slowest partition that is not idle is behind the fastest."""
        times: dict[str, list[int]] = {}
        for (source, name), end in ends.items():
            if name.startswith(PARTITION) and not self.complete:
                times.setdefault(source, []).append(end)
        return {
            source: max(of) - min(end for end in of if end >= max(of) - self.idle.get(source, 0))
            for source, of in times.items()
        }

    def of(self, seen: Mapping[Delivery, int]) -> dict[str, int]:
        """Return the watermark (microseconds) of each name that live sources deliver.

        Where several sources deliver a name it is the least. A source without events has
        `NOTHING_SEEN` under its own name, unless its watermark is stated or `complete` is set.
        Where every source is retired, all are `NOTHING_MORE`.
        """
        ends = self._ends(seen)
        skew, named = self._skew(ends), _without_partitions(ends)
        if not self.disorder:
            return dict.fromkeys(sorted(name for _, name in named), NOTHING_MORE)
        live = {delivery: end for delivery, end in named.items() if delivery[0] in self.disorder}
        silent = sorted(set(self.disorder) - {source for source, _ in live})
        watermarks = [
            (name, self._of(source, name, end - skew.get(source, 0)))
            for (source, name), end in live.items()
        ]
        watermarks += [
            (source, self.stated.get(source, NOTHING_SEEN))
            for source in silent
            if source in self.stated or not self.complete
        ]
        out: dict[str, int] = {}
        for name, time in sorted(watermarks):
            out.setdefault(name, time)
        return {name: max(time, self.published.get(name, time)) for name, time in out.items()}

    def of_all(self, seen: Mapping[Delivery, int]) -> dict[str, int]:
        """Return the same, and `NOTHING_MORE` for names that only retired sources deliver."""
        watermarks = self.of(seen)
        return {
            **{
                name: NOTHING_MORE
                for _, name in _without_partitions(self._ends(seen))
                if name not in watermarks
            },
            **watermarks,
        }

    def too_late(self, name: str, lateness: int) -> int:
        """Return the time before which an event of a source is too late.

        Final rows may depend on its absence. A name not delivered before has the least published
        watermark.
        """
        return self.published.get(name, least(self.published)) - lateness

    def _of(self, source: str, name: str, end: int) -> int:
        return self.stated.get(name, self.stated.get(source, end))


def _without_partitions(ends: Mapping[Delivery, int]) -> dict[Delivery, int]:
    return {
        delivery: end for delivery, end in ends.items() if not delivery[1].startswith(PARTITION)
    }
