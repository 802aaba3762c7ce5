"""How far each source is known to be complete (docs/reference/journeys.md#watermarks)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from rejse.transforms.columnar.arrays import Bools, Ints

NOTHING = np.iinfo(np.int64).min // 2
#: Frontier of a source that nothing is known of: the first time that Python and SQL can hold.
NOTHING_SEEN = -62_135_596_800_000_000
#: Frontier where every source is retired: nothing comes any more (the last time of Python).
NOTHING_MORE = 253_402_300_799_999_999

#: Configured source, and the name that its rows bear: another one where the mapping maps `source`.
Delivery = tuple[str, str]


def least(frontiers: Mapping[str, int]) -> int:
    """Frontier of all sources together: no event before it will come from any of them."""
    return min(frontiers.values(), default=NOTHING)


def passed(deadline: Ints, frontier: int | Ints, lateness: int) -> Bools:
    """A deadline (inclusive, microseconds) has passed when the frontier is past it + lateness."""
    return deadline < frontier - lateness


@dataclass(frozen=True)
class Frontiers:
    """From the latest event of each source to its frontier: less its disorder, or as stated.

    `disorder` has every configured source that is not retired; it holds for every name that the
    source delivers. `stated` names configured sources or delivered names; the name goes first.
    `before` are the latest events of earlier runs and `published` the frontiers that their last
    publication named: none of them goes back.
    """

    disorder: Mapping[str, int]
    stated: Mapping[str, int]
    complete: bool
    before: Mapping[Delivery, int] = field(default_factory=dict)
    published: Mapping[str, int] = field(default_factory=dict)

    def latest(self, seen: Mapping[Delivery, int]) -> dict[Delivery, int]:
        """Latest event of each delivery over this run and those before it."""
        deliveries = [*self.before.items(), *seen.items()]
        return dict(sorted(deliveries))  # of several the latest stays

    def of(self, seen: Mapping[Delivery, int]) -> dict[str, int]:
        """Frontier of each name that live sources deliver, microseconds.

        Of a name that several deliver, the least. A source without events holds all back under
        its own name, unless its frontier is stated or what there is is complete. Where every
        source is retired, nothing holds anything back.
        """
        latest = self.latest(seen)
        if not self.disorder:
            return dict.fromkeys(sorted(name for _, name in latest), NOTHING_MORE)
        live = {delivery: time for delivery, time in latest.items() if delivery[0] in self.disorder}
        silent = sorted(set(self.disorder) - {source for source, _ in live})
        frontiers = [(name, self._of(source, name, time)) for (source, name), time in live.items()]
        frontiers += [
            (source, self.stated.get(source, NOTHING_SEEN))
            for source in silent
            if source in self.stated or not self.complete
        ]
        out: dict[str, int] = {}
        for name, time in sorted(frontiers):
            out.setdefault(name, time)
        return {name: max(time, self.published.get(name, time)) for name, time in out.items()}

    def of_all(self, seen: Mapping[Delivery, int]) -> dict[str, int]:
        """The same, and of names that only retired sources deliver: nothing more comes of them."""
        frontiers = self.of(seen)
        return {
            **{name: NOTHING_MORE for _, name in self.latest(seen) if name not in frontiers},
            **frontiers,
        }

    def too_late(self, name: str, lateness: int) -> int:
        """Time before which an event of a source comes too late: final rows may rest on its
        absence. A name that was not delivered before is held to what all others are.
        """
        return self.published.get(name, least(self.published)) - lateness

    def _of(self, source: str, name: str, time: int) -> int:
        late = 0 if self.complete else self.disorder[source]
        return self.stated.get(name, self.stated.get(source, time - late))
