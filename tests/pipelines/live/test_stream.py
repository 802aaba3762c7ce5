"""The stream, by TestStream: whatever the order and the bundles, live rows are those of the hot
core and of the bounded run.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.support import streams, transcript_links
from tests.support.hot import HotArrivals
from tests.support.increments import Arrivals, Order
from tests.support.law import SOAK
from tests.support.streams import Line
from tests.support.transcript import Transcript, all_transcripts, group_of

BOUNDED = [
    transcript
    for transcript in all_transcripts()
    if "bounded" in transcript.drivers and not transcript_links.are_told(transcript)
]
SHARED = [group for group, _ in Counter(map(group_of, BOUNDED)).most_common()]
ORDERS = ("original", "reversed", "shuffled", "alone")
PARTS = 3


@pytest.mark.parametrize("number", range(len(SHARED)) if SOAK else (1,))
@pytest.mark.parametrize(
    ("arrives", "split"), [(Arrivals, "wholly shuffled"), (HotArrivals, "in order")]
)
def test_live_rows_are_those_of_the_hot_core_and_of_the_run(
    tmp_path: Path, arrives: type[Arrivals], split: Order, number: int
) -> None:
    mine: list[Transcript] = [t for t in BOUNDED if group_of(t) == SHARED[number]]
    arrivals = arrives(mine, tmp_path, PARTS, split)
    arrivals.arrive(0)
    arrivals.run(is_last=False)
    lines = [
        Line(source, line)
        for part in range(1, PARTS)
        for source, parts in arrivals.lines.items()
        for line in parts[part]
    ]
    (scratch := tmp_path / "scratch").mkdir()
    before = streams.published_rows(arrivals.settings)
    hot = streams.by_hot_core(arrivals.settings, lines, scratch)
    after = {
        order: streams.folded(
            before, streams.streamed(tmp_path / "rejse.toml", streams.bundles(lines, order))
        )
        for order in ORDERS
    }
    arrivals.arrive(*range(1, PARTS))
    arrivals.run(is_last=False)
    final = streams.published_rows(arrivals.settings)
    assert hot == final
    assert final != before
    for order in ORDERS:
        assert after[order] == final, order
