"""Ready questions: what they say where there is nothing to show, and that others say the same."""

from __future__ import annotations

import random
import statistics
from pathlib import Path

from rejse.pipelines.publication import catalogue
from rejse.pipelines.reporting.html import page, queries
from rejse.sql import scripts
from tests.support import store_builder
from tests.support.sql_world import counted_world, table
from tests.support.store_builder import journey


def test_what_changed_says_what_to_do_where_there_is_nothing_to_show(tmp_path: Path) -> None:
    query = scripts("questions")["what_changed"].text
    store_builder.published(tmp_path, counted_world())
    with catalogue.connect(tmp_path) as opened:
        [only] = table(opened, query)
    store_builder.published(tmp_path, counted_world(), number=2)
    with catalogue.connect(tmp_path) as opened:
        [same] = table(opened, query)
    assert (only["publication"], only["table_name"], only["n_more"]) == (1, None, None)
    assert "only this publication is here" in only["note"]
    assert "`rejse run` after new data" in only["note"]
    assert (same["publication"], same["table_name"]) == (2, None)
    assert "no table has more or fewer rows" in same["note"]


def test_headline_and_report_quote_the_same_averages(tmp_path: Path) -> None:
    made = random.Random(3)
    still_open = {"state": "open", "is_final": False, "close_reason": None}
    parts = [
        journey(n, [{"touchpoint": "desk"}], [{"kind": "transfer", "severity": 0.3, "at": 0}]
                * (n % 3), journey_type=("claim", "repair", None)[n % 3],
                owner=made.choice(("Care", None)),
                health_ops=made.choice((None, 10.0, 55.5, made.uniform(0, 100), 100.0)),
                **(still_open if n % 7 == 0 else {}))
        for n in range(120)
    ]  # fmt: skip
    store_builder.published(tmp_path, store_builder.joined(*parts))
    with catalogue.connect(tmp_path) as opened:
        asked = table(opened, scripts("questions")["headline"].text)
        figures = queries.read(opened)
        html = page.render(figures, "Both")
        ranked = table(
            opened,
            "select journeys.* from v_journeys as journeys inner join v_journey_cohorts as cohorts"
            " on journeys.journey_id = cohorts.journey_id"
            " where journeys.state = 'closed' and cohorts.is_mature",
        )
    shown = {(row["journey_type"], row["owner"]): row for row in figures.types}
    assert len(asked) == len(shown) == 6
    for row in asked:
        same = shown[row["journey_type"] or "other", row["owner"]]
        assert row["health_ops"] == round(same["health_ops"][1], 1)
        assert row["friction"] == round(same["friction_score"], 1)
        assert f">{row['health_ops']:.1f}<small>" in html
        mine = [
            owner["health_ops"]
            for owner in ranked
            if owner["health_ops"] is not None
            and (owner["journey_type"], owner["owner"]) == (row["journey_type"], row["owner"])
        ]
        assert row["health_ops"] == round(statistics.median(mine), 1)
        assert same["n_health"] == len(mine)
