"""Which customers two versions of the links tell apart, against a plain loop."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rejse.transforms.identity.changed_links import relink
from rejse.transforms.identity.link_table import pseudonymous
from tests.support.identity_links import (
    ANN,
    BEN,
    COOKIE,
    KEY,
    LINK,
    MAIL,
    PHONE,
    WAIT,
    key_of,
    link_table,
    without_circles,
)
from tests.support.law import examples
from tests.support.naive_links import Link, person

TIMES = range(-1 - WAIT, 14)
LAWS = settings(max_examples=examples(100))


def touched(before: list[Link], now: list[Link]) -> list[str]:
    tables = (pseudonymous(link_table(links), KEY) for links in (before, now))
    customers: list[str] = relink(*tables, WAIT).customers.to_pylist()
    return customers


def told_apart(before: list[Link], now: list[Link]) -> set[str]:
    """Both persons of every identity at every time at which the two versions differ."""
    apart: set[str] = set()
    for identity in {end for link in (*before, *now) for end in link[:2]}:
        for time in TIMES:
            both = {key_of(person(identity, time, links, WAIT)) for links in (before, now)}
            apart |= both if len(both) > 1 else set()
    return apart


@LAWS
@given(st.lists(LINK, max_size=7), st.lists(LINK, max_size=7), st.lists(LINK, max_size=4))
def test_customers_who_are_told_apart_are_found_and_no_others(
    only_before: list[Link], other: list[Link], both: list[Link]
) -> None:
    before, now = without_circles([*both, *only_before]), without_circles([*both, *other])
    assert touched(before, now) == sorted(told_apart(before, now))


@LAWS
@given(st.lists(LINK, max_size=7), st.lists(LINK, max_size=7), st.integers(1, 9), st.randoms())
def test_parts_are_whole_groups_of_customers_among_whom_rows_move(
    before: list[Link], now: list[Link], at_once: int, chance: object
) -> None:
    before, now = without_circles(before), without_circles(now)
    relinked = relink(*(pseudonymous(link_table(links), KEY) for links in (before, now)), WAIT)
    rows = [chance.randrange(5) for _ in relinked.customers]  # type: ignore[attr-defined]
    parts = [part.to_pylist() for part in relinked.parts(np.array(rows, np.int64), at_once)]
    assert sorted(key for part in parts for key in part) == relinked.customers.to_pylist()
    for part in parts:
        assert part == sorted(part)
    for identity in {end for link in (*before, *now) for end in link[:2]}:
        for time in TIMES:
            both = {key_of(person(identity, time, links, WAIT)) for links in (before, now)}
            assert len(both) == 1 or any(both <= {*part} for part in parts)


def test_the_same_links_tell_nobody_apart() -> None:
    links = [Link(PHONE, MAIL, 1, None), Link(MAIL, ANN, 3, 9)]
    assert touched(links, links[::-1]) == []


def test_a_link_that_changes_nothing_touches_nobody() -> None:
    links = [Link(PHONE, ANN, 1, None)]
    assert touched(links, [*links, Link(PHONE, ANN, 4, None)]) == []


def test_of_a_chain_all_who_lose_or_gain_are_touched() -> None:
    links = [Link(PHONE, MAIL, 1, None)]
    now = [*links, Link(MAIL, ANN, 1, None), Link(COOKIE, BEN, 0, None)]
    assert touched(links, now) == sorted(key_of(identity) for identity in (MAIL, ANN, COOKIE, BEN))
