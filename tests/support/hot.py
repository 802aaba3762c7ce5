"""Transcripts by the hot core: a run over the first rows, then steps over all others.

What its overlay shows is compared. In the last step heartbeats say how far sources are complete.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rejse.pipelines.config.settings import Settings
from rejse.pipelines.live import hot_core
from rejse.pipelines.live.hot_core import HotCore
from rejse.pipelines.publication import overlay
from rejse.pipelines.publication.overlay import Overlay
from rejse.pipelines.sources import files
from rejse.pipelines.sources.files import Shard
from rejse.pipelines.store import delta_store
from tests.support import bounded, increments
from tests.support.increments import Arrivals, Order
from tests.support.transcript import Transcript

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HEARTBEAT = '"is_heartbeat": true'


def pieces(settings: Settings, *names: str) -> list[Shard]:
    """Pieces of files whose names begin so."""
    all_pieces = (s for source in settings.sources.values() for s in files.shards(source))
    return [shard for shard in all_pieces if shard.path.name.startswith(names)]


class HotArrivals(Arrivals):
    """Transcripts whose last part has a heartbeat of each source of events."""

    def __init__(
        self, transcripts: Sequence[Transcript], folder: Path, parts: int, order: Order,
        seed: int = 1,
    ) -> None:  # fmt: skip
        first, *others = transcripts
        beats = [
            {"source": source, "time": EPOCH + timedelta(microseconds=at), "is_heartbeat": True}
            for source, at in first.frontiers.items()
        ]
        first = replace(first, events=(*first.events, *beats))
        super().__init__([first, *others], folder, parts, order, seed)

    def _part(self, time: int, times: Sequence[int], parts: int) -> int:
        of_events = [time for time in times if time not in self._frontiers.values()]
        return super()._part(time, of_events or times, parts)

    def _parted(self, source: str, times: Sequence[int], parts: int) -> list[list[str]]:
        out: list[list[str]] = [[] for _ in range(parts)]
        for line in increments.lines_of(self._folder, source):
            part = parts - 1 if HEARTBEAT in line else self._part(self._time(line), times, parts)
            out[part].append(line)
        return out


class HotStore:
    """A store, and the hot core on its last publication with its overlay."""

    def __init__(self, settings: Settings, scratch: Path) -> None:
        self.settings, self._scratch, self._n_warm = settings, scratch, 0
        self.warm()

    def warm(self) -> None:
        """Begin anew on the last publication."""
        self._n_warm += 1
        (scratch := self._scratch / str(self._n_warm)).mkdir(parents=True)
        self.core: HotCore
        base, self.core = hot_core.warm(self.settings, scratch, delta_store.now())
        self._overlay = Overlay(self.settings.store, base.number)

    def step(self, shards: Sequence[Shard]) -> None:
        """Take pieces of files."""
        touched = self.core.step(shards)
        if len(touched.customers):
            self._overlay.add(touched.customers, touched.tables)


class HotRun(bounded.Run):
    """A run over the first of some parts of transcripts, and a step of the hot core over each."""

    def __init__(self, transcripts: Sequence[Transcript], folder: Path, parts: int = 3) -> None:
        self.numbers = {transcript.name: number for number, transcript in enumerate(transcripts)}
        arrivals = HotArrivals(transcripts, folder, parts, "in order")
        if arrivals.has_links:
            arrivals.tell(arrivals.parts)
        arrivals.arrive(0)
        self.result = arrivals.run(is_last=False)
        hot = HotStore(arrivals.settings, folder / "scratch")
        for part in range(1, arrivals.parts):
            arrivals.arrive(part)
            hot.step(pieces(arrivals.settings, f"{part:03d}."))
        self.con = overlay.connect(arrivals.settings.store)
