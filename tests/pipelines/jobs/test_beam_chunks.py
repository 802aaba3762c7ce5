"""What is chopped is whole again, whatever the order in which a runner brings it."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from rejse.pipelines.jobs.beam_chunks import CHUNK, chop, join, join_all, join_each
from tests.support.law import examples

PIECES = st.lists(st.binary(max_size=40), max_size=6)


@settings(max_examples=examples(100))
@given(PIECES, st.integers(1, 41), st.randoms(use_true_random=False))
def test_pieces_are_whole_again(pieces: list[bytes], size: int, chance: random.Random) -> None:
    chunks = [chunk for piece in pieces for _, chunk in chop((7, piece), size)]
    assert all(len(part) <= size for _, _, part in chunks)
    chance.shuffle(chunks)
    assert Counter(join(chunks)) == Counter(pieces)


def test_keys_and_kinds_stay() -> None:
    piece = bytes(range(256)) * 1_025
    chunks = list(chop(("crm", piece)))
    assert {key for key, _ in chunks} == {"crm"} and len(chunks) == -(-len(piece) // CHUNK) > 1
    parts = [chunk for _, chunk in chunks]
    assert join_all((3, parts)) == (3, [piece])
    assert join_each((3, {"interaction": parts, "": []})) == (3, {"interaction": [piece], "": []})
