"""Identities and links between them, and strategies that draw such."""

from __future__ import annotations

import hashlib
import hmac

import pyarrow as pa
from hypothesis import strategies as st

from rejse.transforms.identity.link_table import FILE
from tests.support.naive_links import Link, Who, file_row

KEY = b"a key that is no secret: tests only"
WAIT = 2
WHO = st.tuples(st.sampled_from(("cookie", "email", "customer")), st.sampled_from("abc"))
MOMENT = st.integers(0, 12)
LINK = st.builds(Link, WHO, WHO, st.one_of(st.none(), MOMENT), st.one_of(st.none(), MOMENT)).filter(
    lambda one: one.previous[0] != "customer" or one.other[0] == "customer"
)
ANN, BEN, EVE = ("customer", "ann"), ("customer", "ben"), ("customer", "eve")
PHONE, MAIL, COOKIE = ("device", "phone"), ("email", "a@b.example"), ("cookie", "c1")


def key_of(who: Who) -> str:
    return hmac.new(KEY, f"{who[0]}:{who[1]}".encode(), hashlib.sha256).hexdigest()[:32]


def link_table(links: list[Link]) -> pa.Table:
    """The owner's table of links."""
    return pa.Table.from_pylist([file_row(one) for one in links], schema=FILE.schema)


def without_circles(links: list[Link]) -> list[Link]:
    """Links that never go round: there the loop's least identity is not the least key."""
    order = {"cookie": 0, "email": 1, "customer": 2}

    def rank(who: Who) -> tuple[int, str]:
        return order[who[0]], who[1]

    return [one for one in links if rank(one.previous) < rank(one.other)]
