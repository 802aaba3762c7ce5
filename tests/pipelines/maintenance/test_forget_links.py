"""Erasure over identity links: what links gave to the erased goes, and they lead there no more."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from rejse.pipelines.config import settings
from rejse.pipelines.maintenance.erase import LinkedError, forget
from rejse.pipelines.publication.catalogue import connect
from tests.support.installation import (
    balanced,
    customer_by_event,
    installation,
    lines,
    map_identity_type,
    once,
    typed_row,
)

TYPED = ("previousidentity", "previousidentitytype", "identity", "identitytype")
#: Ann's telephone is hers from the third of January on; Ben has none.
LINK = ("phone-1", "device", "ann", "customer")


ROWS = (
    typed_row(1, "phone-1", "device"),
    typed_row(3, "phone-1", "device"),
    typed_row(4, "ann", "customer"),
    typed_row(5, "ben", "customer"),
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("linked")
    with (folder / "links.csv").open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow((*TYPED, "valid_from", "valid_to"))
        writer.writerow((*LINK, "2026-01-03T00:00:00Z", ""))
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(settings.KEY_VARIABLE, raising=False)
        installation(
            folder, {"a.jsonl": lines(ROWS)}, more='[operational]\nidentity_links = "links.csv"\n'
        )
        map_identity_type(folder)
        assert balanced(once(settings.load(folder)))
    return folder


@pytest.fixture
def project(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> settings.Settings:
    monkeypatch.delenv(settings.KEY_VARIABLE, raising=False)
    return settings.load(Path(shutil.copytree(made, tmp_path / "project")))


def test_what_links_gave_to_the_erased_goes_with_it(project: settings.Settings) -> None:
    before = customer_by_event(project)
    assert before["phone-1-3"] == before["ann-4"] != before["phone-1-1"]
    erased = before["ann-4"]
    receipt = forget(project, "customer", "ann")
    assert receipt.rows["events"] == 2
    assert set(customer_by_event(project)) == {"phone-1-1", "ben-5"}
    everything = b"".join(p.read_bytes() for p in project.store.rglob("*") if p.suffix == ".json")
    assert erased.encode() not in everything
    with connect(project.store) as con:
        ends = con.execute("select previous_key, identity_key from identity_links").fetchall()
    assert ends == [(before["phone-1-1"],) * 2]  # the wall


OWNERS = {
    "a former one": (("2026-01-01T00:00:00Z", "", "ben"), ("2026-01-03T00:00:00Z", "", "ann")),
    "the next one": (
        ("2026-01-01T00:00:00Z", "2026-01-04T00:00:00Z", "ann"),
        ("2026-01-04T00:00:00Z", "", "ben"),
    ),
}


@pytest.mark.parametrize("owners", OWNERS.values(), ids=OWNERS)
def test_what_was_the_erased_ones_is_not_a_former_nor_the_next_owners(
    owners: Sequence[tuple[str, str, str]], project: settings.Settings
) -> None:
    """Neither what comes again nor what is new; and the run after an erasure has nothing to do."""
    device = customer_by_event(project)["phone-1-1"]
    links = [(*LINK[:2], owner, "customer", since, until) for since, until, owner in owners]
    listed(project, *links)
    once(project)
    assert customer_by_event(project)["phone-1-3"] == customer_by_event(project)["ann-4"]
    forget(project, "customer", "ann")
    assert once(project).status == "nothing_new"
    (project.root / "b.jsonl").write_text(lines([typed_row(5, "phone-1", "device")]))
    once(project)
    expected = customer_by_event(project)["ben-5"] if owners[-1][2] == "ben" else device
    assert customer_by_event(project)["phone-1-5"] == expected
    once(project, mode="rebuild")
    customers = customer_by_event(project)
    assert customers["phone-1-3"] == device
    assert customers["phone-1-5"] == expected
    with connect(project.store) as con:
        assert con.execute("select count(*) from identity_links").fetchall() == [(2,)]


def test_what_was_linked_is_its_own_from_then_on(project: settings.Settings) -> None:
    device = customer_by_event(project)["phone-1-1"]
    forget(project, "customer", "ann")
    (project.root / "b.jsonl").write_text(
        lines([typed_row(6, "phone-1", "device"), typed_row(7, "ann", "customer")])
    )
    later = once(project)
    assert balanced(later)
    assert later.counts["erased"] == 1
    assert customer_by_event(project)["phone-1-6"] == device
    again = once(project, mode="rebuild")
    assert balanced(again)
    assert again.counts["erased"] == 2
    assert set(customer_by_event(project).values()) == {device, customer_by_event(project)["ben-5"]}


def test_an_identity_that_is_another_ones_is_refused(project: settings.Settings) -> None:
    before = customer_by_event(project)
    with pytest.raises(LinkedError, match="erase that person"):
        forget(project, "device", "phone-1")
    assert customer_by_event(project) == before
    (project.root / "links.csv").write_text(",".join((*TYPED, "valid_from", "valid_to")) + "\n")
    once(project)
    assert forget(project, "device", "phone-1").rows["events"] == 2
    assert set(customer_by_event(project)) == {"ann-4", "ben-5"}


def test_an_identity_whose_late_rows_are_another_ones_is_refused(
    project: settings.Settings,
) -> None:
    """They lie in a table of their own, and go with their person too."""
    (project.root / "b.jsonl").write_text(lines([typed_row(30, "ben", "customer")]))
    once(project)
    linked(project, ("phone-2", "device", "ann", "customer"))
    (project.root / "c.jsonl").write_text(lines([typed_row(9, "phone-2", "device")]))
    assert once(project).counts["late"] == 1
    with pytest.raises(LinkedError, match="erase that person"):
        forget(project, "device", "phone-2")
    assert forget(project, "customer", "ann").rows["late"] == 1


def test_an_identity_through_which_rows_are_another_ones_is_refused(
    project: settings.Settings,
) -> None:
    """Without it the device's rows would be its own; they are written by no erasure."""
    before = customer_by_event(project)
    linked(project, ("phone-1", "device", "mail", "email"), ("mail", "email", "ben", "customer"))
    once(project)
    moved = customer_by_event(project)
    assert moved["phone-1-3"] == before["ben-5"]
    with pytest.raises(LinkedError, match="erase that person"):
        forget(project, "email", "mail")
    assert customer_by_event(project) == moved
    linked(project, ("phone-1", "device", "mail", "email"))
    once(project)
    assert forget(project, "email", "mail").rows["events"] == 2
    assert set(customer_by_event(project)) == {"ann-4", "ben-5"}


def linked(project: settings.Settings, *links: tuple[str, ...]) -> None:
    """These links alone, from the second of January on."""
    listed(project, *((*link, "2026-01-02T00:00:00Z", "") for link in links))


def listed(project: settings.Settings, *links: tuple[str, ...]) -> None:
    """These links alone: both identities with their types, since when and until when."""
    with (project.root / "links.csv").open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow((*TYPED, "valid_from", "valid_to"))
        writer.writerows(links)
