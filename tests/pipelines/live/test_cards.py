"""Cards by provisional rows are those of the next publication, and nobody else's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from rejse.pipelines.config.settings import Settings
from rejse.pipelines.live import card_route, hot_core
from rejse.pipelines.live.http_server import Query
from rejse.pipelines.maintenance import erase
from rejse.pipelines.publication import overlay
from rejse.pipelines.publication.current_rows import CurrentTables
from rejse.pipelines.reporting.card.card import COLUMNS
from rejse.pipelines.reporting.card.lookup import Cards, UnknownCustomerError
from rejse.pipelines.reporting.identity_links import IdentityError
from rejse.pipelines.sources import files
from rejse.pipelines.store import delta_store
from rejse.transforms.schema.contract import CUSTOMER_KEY
from tests.support import strategies
from tests.support.builders import micros
from tests.support.increments import Arrivals
from tests.support.installation import (
    PEOPLE,
    deliver,
    installation,
    lines,
    map_identity_type,
    row,
    typed_row,
)

NOW = datetime(2026, 2, 1, tzinfo=UTC)


def at_noon() -> datetime:
    return NOW


@pytest.mark.slow
def test_provisional_rows_and_cards_are_those_of_the_next_publication(tmp_path: Path) -> None:
    arrivals = Arrivals([strategies.many_felt(7, 12)], tmp_path, 3, "wholly shuffled", 7)
    arrivals.arrive(0)
    arrivals.run(is_last=False)
    settings = arrivals.settings
    (scratch := tmp_path / "scratch").mkdir()
    base, core = hot_core.warm(settings, scratch, delta_store.now())
    laid, cards = overlay.Overlay(settings.store, base.number), Cards(settings, at_noon)
    for part in (1, 2):
        arrivals.arrive(part)
        shards = [s for source in settings.sources.values() for s in files.shards(source)]
        touched = core.step([s for s in shards if s.path.name.startswith(f"{part:03d}.")])
        laid.add(touched.customers, touched.tables, core.watermarks[0])
    keys = customers(settings)
    assert len(keys) > 5
    assert read(settings, keys) == served(settings)
    provisional = {key: cards.of(key) for key in keys}
    assert any(answer.is_provisional for answer in provisional.values())
    arrivals.run(is_last=False)
    number = cards.prepare()
    assert number > base.number
    overlay.Overlay(settings.store, number)  # the hot core is on it, and has added none
    published = {key: cards.of(key) for key in keys}
    assert read(settings, keys) == served(settings)
    assert {answer.publication for answer in published.values()} == {number}
    assert not any(answer.is_provisional for answer in published.values())
    assert {k: a.card for k, a in provisional.items()} == {k: a.card for k, a in published.items()}


def customers(settings: Settings) -> list[str]:
    """Who has an event or an answer."""
    query = "select customer_key from events union select customer_key from answers"
    with overlay.connect(settings.store) as con:
        return [key for (key,) in con.execute(query).fetchall()]


def stored_columns() -> Mapping[str, list[str]]:
    return {name: [CUSTOMER_KEY, *columns] for name, columns in COLUMNS.items()}


def served(settings: Settings) -> dict[str, list[str]]:
    """Rows of each table as DuckDB serves them with the overlay."""
    with overlay.connect(settings.store) as con:
        return {
            name: canonical(
                dict(zip(columns, values, strict=True))
                for values in con.execute(f"select {', '.join(columns)} from {name}").fetchall()
            )
            for name, columns in stored_columns().items()
        }


def read(settings: Settings, keys: list[str]) -> dict[str, list[str]]:
    """Rows of each table as they are read without it."""
    tables = CurrentTables(settings.store, COLUMNS).rows(keys).tables
    return {
        name: canonical(
            {column: row.get(column) for column in columns} for row in tables[name].to_pylist()
        )
        if name in tables
        else []
        for name, columns in stored_columns().items()
    }


def canonical(rows: Any) -> list[str]:
    return sorted(json.dumps(row, default=_plain, sort_keys=True) for row in rows)


def _plain(value: Any) -> Any:
    return micros(value) if isinstance(value, datetime) else str(value)


@pytest.fixture
def project(tmp_path: Path) -> Settings:
    project = installation(tmp_path, {"a.jsonl": ""})
    deliver(project, "b.jsonl", row(0), row(1))
    return project


def test_of_the_erased_and_of_strangers_nothing_is_known(project: Settings) -> None:
    cards = Cards(project, at_noon)
    assert cards.of(PEOPLE[0]).card.is_known
    with pytest.raises(UnknownCustomerError) as stranger:
        cards.of("nobody")
    erase.forget(project, "customer", PEOPLE[0])
    with pytest.raises(UnknownCustomerError) as erased:
        cards.of(PEOPLE[0])
    assert str(erased.value) == str(stranger.value), "who was erased is as who never was"
    assert PEOPLE[0] not in str(erased.value)
    assert cards.of(PEOPLE[1]).card.is_known
    with pytest.raises(IdentityError):
        cards.of("phone:")


def test_any_identity_of_a_person_leads_to_their_card(tmp_path: Path) -> None:
    head = "previousidentity,previousidentitytype,identity,identitytype,valid_from,valid_to\n"
    (tmp_path / "l.csv").write_text(f"{head}dev,device,C1,customer,2026-01-01,\n")
    links = '[operational]\nidentity_links = "l.csv"'
    project = installation(tmp_path, {"a.jsonl": ""}, more=links)
    map_identity_type(tmp_path)
    deliver(project, "b.jsonl", typed_row(3, "dev", "device"), typed_row(4, "C1", "customer"))
    cards = Cards(project, at_noon)
    of_device = cards.of("device:dev")
    assert of_device == cards.of("customer:C1") == cards.of("C1")
    assert of_device.card.journeys[0].n_steps == 2
    assert of_device.card.customer_key == cards.of(of_device.card.customer_key).card.customer_key


@pytest.fixture
def route(project: Settings) -> card_route.CardRoute:
    return card_route.CardRoute(Cards(project, at_noon))


def test_an_identity_stands_in_a_body_or_header_and_never_in_an_address(
    route: card_route.CardRoute, project: Settings
) -> None:
    answer = route(Query(private={"identity": PEOPLE[0]}))
    document = json.loads(answer.body)
    assert answer.status == 200
    assert document["publication"] == 1 and document["is_provisional"] is False
    assert document["at"] == "2026-02-01T00:00:00+00:00"
    key = document["customer_key"]
    assert route(Query(address={"identity": key})) == answer
    text = route(Query({"identity": key, "format": "text"}))
    assert text.content_type.startswith("text/plain")
    assert text.body.decode().startswith(f"Card of customer {key[:8]}, 1 Feb 2026 00:00 UTC")
    for named in (PEOPLE[0], "customer:C1", ""):  # an address is written down on its way
        refused = route(Query(address={"identity": named}))
        assert (refused.status, json.loads(refused.body)["error"]) == (400, card_route.EXPECTED)
    assert route(Query(private={"identity": "phone:"})).status == 400
    unknown = route(Query(private={"identity": "nobody"}))
    assert unknown.status == 404 and b"nobody" not in unknown.body
    (project.root / "c.jsonl").write_text(lines([row(2)]))  # seen when it is published
    assert route(Query(private={"identity": PEOPLE[2]})).status == 404
    deliver(project, "c.jsonl", row(2))
    assert route(Query(private={"identity": PEOPLE[2]})).status == 200


def test_a_store_without_a_publication_has_no_card(tmp_path: Path) -> None:
    route = card_route.CardRoute(Cards(installation(tmp_path, {"a.jsonl": ""}), at_noon))
    assert route(Query(private={"identity": "C1"})).status == 503
