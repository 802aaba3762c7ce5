"""Why identities are one person, and which links look suspicious."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rejse.pipelines.cli.main import main
from rejse.transforms.identity.link_audit import IDENTITIES, OWNERS, LinkAudit
from rejse.transforms.identity.link_table import pseudonymous
from tests.support.identity_links import (
    ANN,
    BEN,
    COOKIE,
    EVE,
    KEY,
    LINK,
    MAIL,
    PHONE,
    WAIT,
    WHO,
    key_of,
    link_table,
    without_circles,
)
from tests.support.law import examples
from tests.support.linked_transcripts import started_arrivals, transcript_named
from tests.support.naive_links import Link, Who, person
from tests.support.transcript import alias

LAWS = settings(max_examples=examples(50))


def audit(links: list[Link]) -> LinkAudit:
    return LinkAudit(pseudonymous(link_table(links), KEY), WAIT)


@LAWS
@given(st.lists(LINK, max_size=7), WHO)
def test_turns_say_whose_an_identity_is_at_every_time(links: list[Link], identity: Who) -> None:
    links = without_circles(links)
    turns = audit(links).periods(key_of(identity))
    assert turns[0].begin is None
    assert turns[-1].end is None
    for before, after in pairwise(turns):
        assert before.end == after.begin
        assert (before.person, before.chain) != (after.person, after.chain)
    for time in range(-4, 14):
        (mine,) = (
            turn
            for turn in turns
            if (turn.begin is None or _micros(turn.begin) <= time)
            and (turn.end is None or time < _micros(turn.end))
        )
        assert mine.person == key_of(person(identity, time, links, WAIT))
        ends = [hop.identity_key for hop in mine.chain]
        assert [key_of(identity), *ends][-1] == mine.person


def _micros(moment: object) -> int:
    return round(moment.timestamp() * 1_000_000)  # type: ignore[attr-defined]


def test_members_come_with_the_links_that_make_them_one() -> None:
    links = [Link(PHONE, MAIL, 1, None), Link(MAIL, ANN, 2, None), Link(COOKIE, BEN, 0, None)]
    members = audit(links).members(key_of(PHONE), 5)
    assert {key: len(hops) for key, hops in members} == {
        key_of(ANN): 0,
        key_of(MAIL): 1,
        key_of(PHONE): 2,
    }
    assert audit(links).members(key_of(EVE), 5) == [(key_of(EVE), ())]
    assert audit([]).members(key_of(EVE), 5) == [(key_of(EVE), ())]
    assert audit([]).suspicions(5) == []


def suspected(links: list[Link]) -> set[tuple[str, str, int]]:
    return {
        (suspicion.kind, suspicion.identity_key, suspicion.n)
        for suspicion in audit(links).suspicions(5)
    }


def test_suspicious_links() -> None:
    many = [("customer", f"c{n}") for n in range(OWNERS + 1)]
    shared = [Link(PHONE, holder, n, n + 1) for n, holder in enumerate(many)]
    assert suspected(shared) == {("many owners", key_of(PHONE), OWNERS + 1)}
    assert suspected(shared[:-1]) == set()
    held = [
        Link(("case", f"c{n % 30}"), holder, n, None) for n in range(90) for holder in (ANN, BEN)
    ]
    assert suspected(held) == set()
    crowd = [Link(("cookie", f"c{n}"), ANN, 0, None) for n in range(IDENTITIES)]
    assert suspected(crowd) == {("many identities", key_of(ANN), IDENTITIES + 1)}
    assert suspected(crowd[1:]) == set()
    both = [Link(PHONE, ANN, 0, 4), Link(PHONE, BEN, 3, None)]
    assert suspected(both) == {("two owners at once", key_of(PHONE), 1)}
    assert suspected([Link(PHONE, ANN, 0, 3), Link(PHONE, BEN, 3, None)]) == set()
    ring = [Link(PHONE, MAIL, 0, None), Link(MAIL, PHONE, 2, None), Link(COOKIE, MAIL, 0, None)]
    assert suspected(ring) == {
        ("links go round", key_of(PHONE), 2),
        ("links go round", key_of(MAIL), 2),
    }


def test_overlapping_owners_do_not_depend_on_the_order_of_links() -> None:
    """The long link to Ann holds when Eve's begins, though Ben's, of the same begin, has ended."""
    links = [Link(PHONE, ANN, 0, 9), Link(PHONE, BEN, 0, 2), Link(PHONE, EVE, 3, 4)]
    for order in itertools.permutations(links):
        assert suspected(list(order)) == {("two owners at once", key_of(PHONE), 2)}
    same = [Link(PHONE, ANN, 0, 9), Link(PHONE, ANN, 1, 2), Link(PHONE, BEN, 9, None)]
    assert suspected(same) == set()


def printed(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(["identity", *args])
    assert ended.value.code == 0
    shown = capsys.readouterr()
    return shown.out + shown.err


def test_the_command_shows_only_pseudonyms(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    transcript = transcript_named("a chain from device to e-mail to account to customer")
    more = {"previous": "device d1", "is": "customer ben", "from": "5d"}
    started_arrivals(tmp_path, transcript, (*transcript.links, more))
    place = ("--config", str(tmp_path))
    names = [f"{kind}:{alias(0, name)}" for kind, name in (("device", "d1"), ("email", "mail"))]
    out = printed(capsys, *names, *place)
    assert "are not one person now" in out
    assert "3 events" not in out
    out += printed(capsys, alias(0, "ann"), names[1], *place)
    assert "are one person now" in out
    report = json.loads(printed(capsys, names[1], *place, "--json"))
    assert {member["type"]: member["events"] for member in report["members"]} == {
        "customer": 1,
        "account": 1,
        "email": 1,
    }
    assert printed(capsys, report["identity"], *place) in (
        again := printed(capsys, names[1], *place)
    )
    suspicious = printed(capsys, *place)
    assert "two owners at once" in suspicious
    for raw in ("d1", "mail", "ann", "acc"):
        assert alias(0, raw) not in out + again + suspicious + json.dumps(report)


def test_under_another_key_nobody_is_known(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its pseudonyms are others: an identity would seem to be nobody's."""
    transcript = transcript_named("what is not linked stays apart")
    started_arrivals(tmp_path, replace(transcript, events=transcript.events[:1]), transcript.links)
    (tmp_path / "rejse.key").write_text("ab" * 32)
    place = ("--config", str(tmp_path))
    with pytest.raises(SystemExit) as ended:
        main(["identity", "C1", *place])
    assert ended.value.code == 2
    assert "expected the key under which publication 1 was made" in capsys.readouterr().err
    assert printed(capsys, "0" * 32, *place), "a pseudonym needs no key"


def test_nothing_after_the_colon_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    transcript = transcript_named("what is not linked stays apart")
    started_arrivals(tmp_path, replace(transcript, events=transcript.events[:1]), transcript.links)
    with pytest.raises(SystemExit) as ended:
        main(["identity", "cookie:", "--config", str(tmp_path)])
    assert ended.value.code == 2
    assert "expected an identity" in capsys.readouterr().err
