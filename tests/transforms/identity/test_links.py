"""Identity links: whose an identity is, against a plain loop over the rules."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rejse.transforms.columnar.arrays import values
from rejse.transforms.columnar.event_table import Categorical
from rejse.transforms.identity.link_table import LINKS, check_links, pseudonymous
from rejse.transforms.identity.resolve import Links, original_identity, resolve, to_persons
from rejse.transforms.schema.contract import TIME
from tests.support.identity_links import (
    ANN,
    BEN,
    COOKIE,
    EVE,
    KEY,
    LINK,
    MAIL,
    MOMENT,
    PHONE,
    WAIT,
    WHO,
    key_of,
    link_table,
)
from tests.support.law import examples
from tests.support.naive_links import Link, Who, person

LAWS = settings(max_examples=examples(100))


def indexed(links: list[Link]) -> Links:
    return Links.of(pseudonymous(link_table(links), KEY), WAIT)


def rows(asked: list[tuple[Who, int]]) -> pa.Table:
    """Pseudonymous rows of identities at times, before links are followed."""
    keys = pa.array([key_of(identity) for identity, _ in asked], pa.string()).dictionary_encode()
    times = pa.array([time for _, time in asked], TIME)
    buckets = pa.array([int(key_of(identity)[:3], 16) for identity, _ in asked], pa.int16())
    return pa.table({"customer_key": keys, "bucket": buckets, "time": times})


def followed(links: list[Link], asked: list[tuple[Who, int]]) -> list[str]:
    persons: list[str] = to_persons(rows(asked), indexed(links)).column("customer_key").to_pylist()
    return persons


@LAWS
@given(st.lists(LINK, max_size=9), st.lists(st.tuples(WHO, MOMENT), min_size=1, max_size=12))
def test_persons_are_those_of_the_plain_loop(
    links: list[Link], asked: list[tuple[Who, int]]
) -> None:
    """Ties apart, that only raw identities settle: see the next test."""
    kept = {(link.previous, link.begin): link for link in links}
    links = [link for link in links if kept[link.previous, link.begin] == link]
    persons = followed(links, asked)
    wanted = [person(identity, time, links, WAIT) for identity, time in asked]
    by_key = {
        key_of(identity): identity
        for identity in {w for identity in links for w in identity[:2]} | {*wanted}
    }
    for key, want in zip(persons, wanted, strict=True):
        # Of a cycle the least is taken: by key here, by identity in the loop.
        assert by_key[key] == want or _is_cycle(by_key[key], want, links)


def _is_cycle(actual: Who, want: Who, links: list[Link]) -> bool:
    """Whether each leads to the other over some links."""

    def reached(start: Who) -> set[Who]:
        seen, todo = set(), [start]
        while todo:
            at = todo.pop()
            for link in links:
                if link.previous == at and link.other not in seen:
                    seen.add(link.other)
                    todo.append(link.other)
        return seen

    return actual[0] == want[0] and actual in reached(want) and want in reached(actual)


@LAWS
@given(st.lists(LINK, max_size=9), st.lists(st.tuples(WHO, MOMENT), min_size=1, max_size=12))
def test_ties_are_settled_by_type_and_identity(
    links: list[Link], asked: list[tuple[Who, int]]
) -> None:
    """Without cycles: every link leads to a greater (type, identity) but the merges' own."""
    order = {"cookie": 0, "email": 1, "customer": 2}
    links = [
        link
        for link in links
        if (order[link.previous[0]], link.previous[1]) < (order[link.other[0]], link.other[1])
    ]
    wanted = [key_of(person(identity, time, links, WAIT)) for identity, time in asked]
    assert followed(links, asked) == wanted


@LAWS
@given(st.lists(LINK, max_size=9), st.lists(st.tuples(WHO, MOMENT), min_size=1, max_size=12))
def test_what_a_row_bears_is_kept_and_can_be_resolved_anew(
    links: list[Link], asked: list[tuple[Who, int]]
) -> None:
    plain = rows(asked)
    persons = to_persons(plain, indexed(links))
    bears = original_identity(persons)
    assert bears.arrow().to_pylist() == plain.column("customer_key").to_pylist()
    again = to_persons(to_persons(persons, indexed(links[:4])), indexed(links))
    assert again.column("customer_key").to_pylist() == persons.column("customer_key").to_pylist()
    unlinked = to_persons(persons, indexed([]))
    for name in plain.column_names:
        assert unlinked.column(name).to_pylist() == plain.column(name).to_pylist()


@LAWS
@given(st.lists(LINK, max_size=9), st.randoms())
def test_the_order_of_the_table_decides_nothing(links: list[Link], chance: object) -> None:
    shuffled = links.copy()
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert pseudonymous(link_table(links), KEY).equals(pseudonymous(link_table(shuffled), KEY))


STORIES: dict[str, tuple[list[Link], list[tuple[Who, int, Who]]]] = {
    "a link before": ([Link(COOKIE, ANN, 1, None)], [(COOKIE, 5, ANN)]),
    "a link within the wait after": ([Link(COOKIE, ANN, 7, None)], [(COOKIE, 5, ANN)]),
    "a link long after": ([Link(COOKIE, ANN, 8, None)], [(COOKIE, 5, COOKIE)]),
    "a link without beginning": ([Link(COOKIE, ANN, None, None)], [(COOKIE, 0, ANN)]),
    "two owners in turn": (
        [Link(PHONE, ANN, 1, 5), Link(PHONE, BEN, 8, None)],
        [(PHONE, 4, ANN), (PHONE, 5, PHONE), (PHONE, 7, PHONE), (PHONE, 8, BEN)],
    ),
    "the later of two owners at once, then the one who stays": (
        [Link(PHONE, ANN, 1, None), Link(PHONE, BEN, 3, 6)],
        [(PHONE, 2, ANN), (PHONE, 3, BEN), (PHONE, 5, BEN), (PHONE, 6, ANN)],
    ),
    "after an unlink nobody's, however near the next link": (
        [Link(COOKIE, ANN, 1, 4), Link(COOKIE, BEN, 5, None)],
        [(COOKIE, 3, ANN), (COOKIE, 4, COOKIE), (COOKIE, 5, BEN)],
    ),
    "a chain": (
        [Link(PHONE, MAIL, 2, None), Link(MAIL, ANN, 3, None)],
        [(PHONE, 5, ANN), (MAIL, 4, ANN), (PHONE, 1, ANN), (ANN, 0, ANN)],
    ),
    "a chain whose second link is long after": (
        [Link(PHONE, MAIL, 2, None), Link(MAIL, ANN, 9, None)],
        [(PHONE, 6, MAIL), (PHONE, 7, ANN)],
    ),
    "a merge holds for what was before": (
        [Link(BEN, ANN, 9, None), Link(COOKIE, BEN, 1, None)],
        [(BEN, 0, ANN), (BEN, 12, ANN), (COOKIE, 1, ANN)],
    ),
    "a merge that ended": ([Link(BEN, ANN, 3, 6)], [(BEN, 0, ANN), (BEN, 6, BEN)]),
    "two that begin at once: the least": (
        [Link(COOKIE, BEN, 1, None), Link(COOKIE, ANN, 1, 4)],
        [(COOKIE, 2, ANN), (COOKIE, 4, BEN)],
    ),
    "a link that never holds": (
        [Link(COOKIE, ANN, 3, 3), Link(COOKIE, BEN, 5, None)],
        [(COOKIE, 4, BEN)],
    ),
}


@pytest.mark.parametrize("story", STORIES)
def test_story(story: str) -> None:
    links, wanted = STORIES[story]
    assert [key_of(identity) for *_, identity in wanted] == followed(
        links, [row[:2] for row in wanted]
    )
    for identity, time, want in wanted:
        assert person(identity, time, links, WAIT) == want


def test_of_a_cycle_all_are_one_person() -> None:
    ring = [Link(EVE, BEN, 0, None), Link(BEN, ANN, 0, None), Link(ANN, EVE, 0, None)]
    ring.append(Link(COOKIE, BEN, 0, None))
    persons = followed(ring, [(identity, 5) for identity in (ANN, BEN, EVE, COOKIE)])
    assert {*persons} == {min(key_of(identity) for identity in (ANN, BEN, EVE))}


def test_rows_of_no_linked_identity_come_back_as_they_are() -> None:
    plain = rows([(ANN, 1), (COOKIE, 2)])
    assert to_persons(plain, indexed([Link(PHONE, ANN, 1, None)])) is plain
    assert to_persons(plain, indexed([])) is plain


def test_names_of_persons_begin_with_those_that_came() -> None:
    keys = Categorical.of(rows([(COOKIE, 1), (ANN, 1)]).column("customer_key"))
    links = indexed([Link(COOKIE, ANN, 0, None), Link(PHONE, BEN, 0, None)])
    names, place = resolve(keys, values(rows([(COOKIE, 1), (ANN, 1)]).column("time")), links)
    assert names.equals(keys.names)
    assert place.tolist() == [1, 1]


def test_links_that_go_on_from_each_other_are_held_as_one() -> None:
    logins = [Link(COOKIE, ANN, n, n + 1) for n in range(1000)]
    links = indexed([*logins, Link(COOKIE, BEN, 1000, None), Link(PHONE, ANN, 3, 5)])
    assert len(links.following) == 3
    asked = [(COOKIE, 0), (COOKIE, 999), (COOKIE, 1000)]
    assert followed([*logins, Link(COOKIE, BEN, 1000, None)], asked) == [
        key_of(ANN),
        key_of(ANN),
        key_of(BEN),
    ]


def test_links_of_no_person_are_left_out() -> None:
    links = [
        Link(("cookie", "undefined"), ANN, 0, None),
        Link(COOKIE, ("customer", " N/A "), 0, None),
        Link(PHONE, ANN, 0, None),
    ]
    published = pseudonymous(link_table(links), KEY, ("undefined", "n/a"))
    assert published.schema.equals(LINKS)
    assert published.column("previous_key").to_pylist() == [key_of(PHONE)]


@pytest.mark.parametrize(
    ("link", "message"),
    [
        (Link(("tablet", "x"), ANN, 0, None), "came 'tablet'"),
        (Link(ANN, COOKIE, 0, None), "turn the link round"),
    ],
)
def test_links_that_make_no_sense_are_refused(link: Link, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_links(link_table([link]))
