"""The hot core holds what the bounded run would publish, whatever comes between two publications.

Polls of any size in any order, copies, late rows, deadlines, customers above the event cap, and
publications that follow other links or an erasure: then the core begins anew.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rejse.pipelines.maintenance import erase
from rejse.pipelines.publication import overlay
from rejse.pipelines.sources.files import Shard
from tests.support import strategies
from tests.support.hot import HotStore, pieces
from tests.support.increments import Arrivals, Order, contents, contents_of, with_copies
from tests.support.law import examples
from tests.support.linked_transcripts import links, on_devices, put_links
from tests.support.transcript import alias

Between = Literal["poll", "copy", "publish", "change"]
ORDERS: tuple[Order, ...] = ("in order", "locally shuffled", "wholly shuffled", "late")
CUSTOMERS = 12
#: An event cap that some customers reach, and one that nobody does.
CAPS = (15, 1_000_000)


def polls(shards: Sequence[Shard], chance: random.Random) -> list[list[Shard]]:
    """The pieces in polls of any size, in any order."""
    shuffled = chance.sample(shards, len(shards))
    cuts = sorted(chance.sample(range(1, len(shards)), min(2, len(shards) - 1)))
    return [shuffled[a:b] for a, b in zip([0, *cuts], [*cuts, len(shards)], strict=True)]


class Story:
    """A store whose rows arrive part by part, and the hot core beside it."""

    def __init__(
        self, folder: Path, seed: int, order: Order, cap: int, parts: int, is_linked: bool
    ) -> None:
        self.folder, self.seed, self.is_linked = folder, seed, is_linked
        self.chance = random.Random(seed)
        log = on_devices(seed) if is_linked else strategies.many_felt(seed, CUSTOMERS)
        log = with_copies(log, seed)
        windows = {**log.config.get("windows", {}), "max_events": cap}
        self.log = replace(log, config={**log.config, "windows": windows})
        self.arrivals = Arrivals([self.log], folder, parts, order, seed)
        self.arrivals.arrive(0)
        if is_linked:
            self.relink()
        self.arrivals.run(is_last=False)
        self.hot = HotStore(self.arrivals.settings, folder / "scratch")

    def relink(self) -> None:
        self.seed += 1000
        self.arrivals.settings = put_links(self.folder, self.log, links(self.log, self.seed))

    def poll(self, *names: str) -> None:
        for shards in polls(pieces(self.arrivals.settings, *names), self.chance):
            self.hot.step(shards)

    def copy(self, part: int) -> None:
        """Files of a part before arrive again."""
        for path in sorted((self.folder / "arrived").glob(f"{part - 1:03d}.*")):
            shutil.copy(path, path.with_name(f"{part:03d}again{path.name[3:]}"))

    def differing(self) -> set[str]:
        """Tables in which the hot core and the next publication differ; it is made."""
        with overlay.connect(self.arrivals.settings.store) as con:
            provisional = contents_of(con)
        self.arrivals.run(is_last=False)
        final = contents(self.arrivals.settings)
        return {name for name in final if final[name] != provisional[name]}

    def change(self, unpublished: Sequence[str]) -> None:
        """Other links are published, or somebody is erased; the core begins anew on that."""
        if self.is_linked:
            self.relink()
            self.arrivals.run(is_last=False)
            self.hot = HotStore(self.arrivals.settings, self.folder / f"scratch {self.seed}")
            return
        names = sorted({event["customer"] for event in self.log.events})
        erase.forget(self.arrivals.settings, "customer", alias(0, self.chance.choice(names)))
        self.hot.warm()
        self.poll(*unpublished)


@settings(max_examples=examples(2))
@given(
    seed=st.integers(0, 999), order=st.sampled_from(ORDERS), cap=st.sampled_from(CAPS),
    is_linked=st.booleans(),
    between=st.lists(
        st.sampled_from(("poll", "copy", "publish", "change")), min_size=3, max_size=4
    ),
)  # fmt: skip
def test_hot_rows_are_those_of_the_next_publication(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int, order: Order, cap: int, is_linked: bool, between: list[Between],
) -> None:  # fmt: skip
    folder = tmp_path_factory.mktemp("law")
    story = Story(folder, seed, order, cap, len(between) + 1, is_linked)
    unpublished: list[str] = []
    for part, what in enumerate(between, 1):
        story.arrivals.arrive(part)
        if what == "copy":
            story.copy(part)
        story.poll(f"{part:03d}")
        unpublished.append(f"{part:03d}")
        if what == "publish":
            assert story.differing() == set()
            story.hot.warm()
            unpublished = []
        elif what == "change":
            story.change(unpublished)
            unpublished = [] if is_linked else unpublished
    assert story.differing() == set()
    shutil.rmtree(folder)
