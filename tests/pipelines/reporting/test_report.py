"""The report: what it says, that nothing in it can act, and that it opens in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rejse.pipelines.reporting.html import cards, drawings, page, queries
from rejse.pipelines.reporting.html.headline import headline
from tests.support import chromium, felt_fixture, report_fixture
from tests.support.report_fixture import plain_text, render

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style><style>*{display:none}</style>",
    "</title></svg><svg/onload=alert(1)>",
    "{{ 7 * 7 }} {% raw %}",
    "javascript:alert(1)",
    "&lt;b&gt; &amp;",
    "\u202ereversed\u202c",
    "a\x00b\x1b[31mc",
    "Ω≈ç√∫˜µ 田中さん ąćęłńóśźż æøå",
    "'; drop table journeys; --",
    "W" * 5000,
)
LARGEST = 300 * 1024


def _hostile() -> report_fixture.Store:
    store = report_fixture.Store()
    for number, name in enumerate(HOSTILE):
        other = HOSTILE[number - 1]
        reasked = {**report_fixture.reasked(3, other, name), "detail": name}
        steps: list[dict[str, Any]] = [
            {"touchpoint": other, "channel": "web", "owner": other, "stage": "before"},
            {
                "touchpoint": name, "channel": "phone", "owner": name, "evidence": [reasked],
                "asked": [{"field": name, "is_reask": True, "system_known": other}],
                "handoffs": [{"from_owner": other, "to_owner": name, "context": "unknown"}],
            },
        ]  # fmt: skip
        for twin in "ab":
            report_fixture.journey(
                store, f"{number:02}{twin}", [dict(step) for step in steps],
                journey_type=HOSTILE[0] if number < 6 else name, case_id=name, owner=name,
            )  # fmt: skip
    for number in range(len(HOSTILE)):
        felt_fixture.asked(store, f"{number:02}a", {1: 0.4, 2: 0.9}, 0.5)
    return store


def _extreme() -> report_fixture.Store:
    """Ten journeys of 120 steps, 90 owners, names as long and as dear to escape as they come."""
    store = report_fixture.Store()
    for number in range(10):
        steps = []
        for seq in range(120):
            name = f"{number * 120 + seq % 90}" + "<'\"&>" * 200
            pieces = [
                {**report_fixture.edge(kind, 0.2, name, f"x{name}"), "detail": name}
                for kind in ("channel_switch", "repeat_contact", "<" * 90, "&" * 90, "reopened")
            ]
            step = {"touchpoint": name, "channel": "web", "owner": name, "evidence": pieces}
            asked = [
                {"field": f"{i}{name}", "is_reask": True, "system_known": name} for i in range(9)
            ]
            steps.append({**step, "after": timedelta(hours=1), "asked": asked if seq < 20 else []})
        report_fixture.journey(store, f"{number:016x}", steps, journey_type="<&" * 900)
        felt_fixture.asked(store, f"{number:016x}", dict.fromkeys(range(1, 121), 0.5), 0.5)
    return store


@pytest.fixture(scope="module")
def company() -> str:
    return render(report_fixture.company())


def test_page_says_what_it_must(company: str) -> None:
    text = plain_text(company)
    for phrase in (
        "of all friction lies between", "Step map: claim", "Places of the map",
        "Journeys by type and owner", "Friction by kind", "Friction between owners",
        "The worst journeys, told", "What was measured, and what was not",
        "There is no emotion curve", "arithmetic of the score, not a causal claim",
        "Publication 3", "Run run-1", "Configuration c0ffee00c0ffee00",
        "1,010 = 1,000 kept + 6 duplicate + 1 late + 3 rejected + 0 erased",
    ):  # fmt: skip
        assert phrase in text
    assert company.count("<details>") == 10


def test_ten_worst_journeys_come_with_their_arithmetic(company: str) -> None:
    text = plain_text(company)
    assert "F = 100 × (1 − e^−H) = 82.4" in text
    assert "without the incident of step 5: F 68.1 (−14.4)" in text
    assert "with the context passed: F 77.6" in text


def _priced(currency: str | None, **own: Any) -> dict[str, Any]:
    blank = dict.fromkeys(("cost", "minutes_customer", "minutes_company", "minutes_measured"), None)
    counts = {"n_evidence": 10, "n_customer_unknown": 0, "n_company_unknown": 0}
    return {**blank, **counts, "currency": currency, **own}


@pytest.mark.parametrize(
    ("rows", "expected"),
    [([], []),
     ([_priced(None, n_customer_unknown=10, n_company_unknown=10)],
      ["no piece of friction has its minutes logged, and cost_rates has none"]),
     ([_priced(None, minutes_customer=120.0, n_company_unknown=10, minutes_measured=120.0)],
      ["friction took 2 h of the customer (known for 100 % of the pieces); 100 % measured",
       "cost_rates has no rates"]),
     ([_priced("DKK", cost=7000.0, minutes_customer=600.0, minutes_company=60.0,
               minutes_measured=66.0, n_customer_unknown=4),
       _priced("EUR", cost=20.0, minutes_company=60.0, n_customer_unknown=10)],
      ["10 h of the customer (known for 30 % of the pieces) and 2 h of the company (known for"
       " 100 % of the pieces); 9.2 % measured, the rest from cost_rates",
       "7,000 DKK and 20 EUR at the rates of cost_rates"])],
)  # fmt: skip
def test_the_page_says_what_is_known_of_cost(
    rows: list[dict[str, Any]], expected: list[str]
) -> None:
    for row in rows:
        row["minutes_measured"] = row["minutes_measured"] or 0.0
    shown = " ".join(cards.cost(rows))
    assert bool(shown) == bool(expected)
    for part in expected:
        assert part in shown


def test_the_page_quotes_the_cost_of_its_evidence() -> None:
    store = report_fixture.Store()
    step = {"touchpoint": "desk", "owner": "A", "evidence": [
        {**report_fixture.edge("transfer", 0.3), "minutes_customer": 90.0, "cost": 12.0,
         "minutes_customer_basis": "measured", "currency": "DKK"}]}  # fmt: skip
    report_fixture.journey(store, "aa", [step])
    text = plain_text(render(store))
    assert "friction took 1.5 h of the customer" in text or "friction took 2 h" in text
    assert "12 DKK" in text
    assert "not computed" not in text


def test_figures_on_the_page_are_those_of_the_rows() -> None:
    with report_fixture.stories().connect() as con:
        figures = queries.read(con)
    assert figures.totals["n_journeys"] == 4 and figures.totals["n_closed"] == 3
    shown = cards.head_figures(figures.totals, figures.felt_totals)
    values = {card.label: card.value for card in shown}
    assert values["resolved in time, 2 of 3 old enough; 1 undecided"] == "67 %"
    assert values["of the journeys met friction, 3 of 3"] == "100 %"
    label = "median health_ops; middle half 39 to 60; 2 journeys, too few for a band"
    assert values[label] == "50"
    assert figures.map_type == "claim"
    [way] = figures.moves
    assert (way["earlier"], way["place"]) == ("Claim form", "Assessor's call")
    assert way["n_moves"] == 1 and way["friction01"] == pytest.approx(0.4392, abs=1e-4)
    by_place = {row["place"]: row for row in figures.places}
    assert by_place["Assessor's call"]["worst_kind"] == "reasked_info"
    assert by_place["Assessor's call"]["friction01"] == pytest.approx(0.4392, abs=1e-4)
    assert by_place["Claim form"]["friction01"] == 0
    assert sum(row["hazard"] for row in figures.kinds) == pytest.approx(figures.totals["hazard"])


def test_planted_pair_of_owners_heads_the_page() -> None:
    store = report_fixture.Store()
    for number in range(3):
        report_fixture.claim(store, f"{number:016x}")
    with store.connect() as con:
        figures = queries.read(con)
    title = headline(figures.totals, figures.kinds, figures.edges)
    assert title == "100 % of all friction lies between Web and Claims"


def test_kind_heads_the_page_where_no_pair_stands_out() -> None:
    store = report_fixture.Store()
    wait = {"kind": "customer_wait", "severity": 0.2}
    report_fixture.journey(store, "aa", [{"channel": "phone", "owner": "A", "evidence": [wait]}])
    with store.connect() as con:
        figures = queries.read(con)
    title = headline(figures.totals, figures.kinds, figures.edges)
    assert title == "100 % of all friction: the customer waited longer than expected"


def test_nothing_measured_is_said_and_not_drawn_as_zero() -> None:
    store = report_fixture.Store()
    nothing = dict.fromkeys(("friction_score", "delivery01", "health_ops", "friction_hazard"))
    report_fixture.journey(
        store, "aa", [{"channel": "web"}], outcome=None, outcome01=None, **nothing
    )
    text = plain_text(render(store))
    assert "Too little was logged to see friction" in text
    assert "not measured friction: too little was logged" in text
    assert "100 % of the journeys have no health" in text
    assert "No piece of friction was found" in text


def test_empty_store_still_makes_a_page() -> None:
    text = plain_text(render(report_fixture.Store()))
    assert "No journeys yet" in text and "run rejse run first" in text


def test_page_is_a_function_of_the_rows() -> None:
    assert render(report_fixture.company(60)) == render(report_fixture.company(60))


def test_names_are_escaped_and_templates_in_them_are_not_run() -> None:
    html = render(_hostile(), title=HOSTILE[0])
    assert "<script" not in html and "<img" not in html
    assert html.count("<style>") == 1
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "{{ 7 * 7 }}" in html
    assert "\x00" not in html and "\x1b" not in html and "\u202e" not in html


def test_page_stays_small_at_any_size() -> None:
    html = render(_extreme())
    assert len(html.encode()) <= LARGEST
    assert "steps left out" in plain_text(html)


def test_small_owners_are_folded_into_others() -> None:
    edges = [
        {"owner": f"o{i}", "owner_to": f"o{i + 1}", "hazard": 20.0 - i, "n_pieces": 1,
         "worst_kind": "transfer"} for i in range(20)
    ]  # fmt: skip
    whole = sum(edge["hazard"] for edge in edges)
    matrix = drawings.matrix(edges, whole)
    assert matrix is not None and matrix.is_folded
    assert len(matrix.owners) == 9 and matrix.owners[-1] == drawings.OTHERS
    shown = [cell.value for line in matrix.cells for cell in line if cell.value is not None]
    assert sum(shown) == pytest.approx(1.0)


def test_map_keeps_stages_together_in_the_order_of_journeys() -> None:
    with report_fixture.company(60).connect() as con:
        figures = queries.read(con)
    plan = drawings.journey_map(figures.places, figures.moves)
    assert plan is not None
    assert [band.label for band in plan.bands] == ["before", "during", "after", "no stage"]
    assert [place.x for place in plan.places] == sorted(place.x for place in plan.places)
    assert all(band.x + band.width <= plan.width for band in plan.bands)


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with report_fixture.Store().connect() as con:
        with pytest.raises(FileNotFoundError, match="expected a folder to write the report to"):
            page.write(con, tmp_path / "none" / "report.html")
        assert page.write(con, tmp_path / "report.html").read_text().startswith("<!doctype html>")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[chromium.Browser]:
    with chromium.browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    made = {"company": report_fixture.company(), "hostile": _hostile(),
            "felt": felt_fixture.answered(report_fixture.company()),
            "empty": report_fixture.Store()}  # fmt: skip
    for name, store in made.items():
        with store.connect() as con:
            page.write(con, folder / f"{name}.html")
    return {name: folder / f"{name}.html" for name in made}


NAMES = ("company", "felt", "hostile", "empty")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("width", [390, 1280])
def test_page_opens_without_errors_network_or_overflow(
    browser: chromium.Browser, pages: dict[str, Path], name: str, width: int
) -> None:
    browser.open(pages[name], width)
    assert browser.errors() == []
    assert browser.requests() == [pages[name].as_uri()]
    root = "document.documentElement"
    assert browser.ask("window.innerWidth") == width
    assert browser.ask(f"{root}.scrollWidth - {root}.clientWidth") == 0
    assert browser.ask("document.querySelectorAll('h1').length") == 1
    assert browser.ask("document.querySelectorAll('h2').length") >= 5


def test_style_and_font_are_applied_under_the_policy(
    browser: chromium.Browser, pages: dict[str, Path]
) -> None:
    browser.open(pages["company"])
    assert browser.ask("getComputedStyle(document.body).margin") == "0px"
    assert browser.ask("[...document.fonts].some(f => f.status === 'loaded')")


def test_hostile_names_are_text_in_the_browser(
    browser: chromium.Browser, pages: dict[str, Path]
) -> None:
    browser.open(pages["hostile"])
    assert browser.ask("document.scripts.length + document.images.length") == 0
    text = browser.ask("document.body.textContent")
    assert "<script>alert(1)</script>" in text
    assert '"><img src=x onerror=alert(1)>' in text
    assert "ąćęłńóśźż æøå" in text
    assert browser.ask("document.querySelectorAll('a, [onload], [onerror], [style]').length") == 0


def test_network_recorder_can_see_a_request(browser: chromium.Browser, tmp_path: Path) -> None:
    bad = tmp_path / "bad.html"
    bad.write_text("<!doctype html><img src='http://example.invalid/x.png'>", encoding="utf-8")
    browser.open(bad)
    assert "http://example.invalid/x.png" in browser.requests()
    assert browser.errors()


def test_worst_journey_unfolds_by_click(browser: chromium.Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["company"])
    summary = browser.driver.find_element("css selector", "details summary")
    element = browser.driver.find_element("css selector", "details .told")
    assert not element.is_displayed()
    summary.click()
    assert element.is_displayed()
    assert "How the score adds up" in element.text


def test_page_can_be_read_by_ear_and_keyboard(
    browser: chromium.Browser, pages: dict[str, Path]
) -> None:
    browser.open(pages["felt"])
    assert browser.ask("document.documentElement.lang") == "en"
    nameless = """[...document.querySelectorAll('svg')].filter(s =>
        s.getAttribute('aria-hidden') !== 'true' && !s.getAttribute('aria-label')
        && !(s.getAttribute('aria-labelledby') && s.querySelector('title, desc'))).length"""
    assert browser.ask(nameless) == 0
    assert browser.ask("document.querySelectorAll('th:not([scope])').length") == 0
    regions = "[...document.querySelectorAll('.scroll')]"
    assert browser.ask(f"{regions}.every(r => r.tabIndex === 0 && r.getAttribute('aria-label'))")


def test_phone_stacks_cells_and_breaks_none_apart(
    browser: chromium.Browser, pages: dict[str, Path]
) -> None:
    browser.open(pages["felt"], 390)
    cells = "[...document.querySelectorAll('.stack td')]"
    tall = f"{cells}.filter(c => c.offsetHeight > 50).map(c => c.outerHTML.slice(0, 120))"
    assert browser.ask(tall) == []
    bars = "[...document.querySelectorAll('.stack td svg')]"
    assert browser.ask(f"{bars}.length > 8 && {bars}.every(b => b.clientWidth > 100)")


CONTRAST = """(() => {
  const parse = c => (c.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const back = e => {
    const layers = [];
    for (let at = e; at; at = at.parentElement) {
      const c = parse(getComputedStyle(at).backgroundColor);
      layers.push([c, c.length > 3 ? c[3] : 1]);
    }
    return layers.reverse().reduce((under, [c, a]) =>
      under.map((v, i) => v * (1 - a) + (c[i] || 0) * a), [255, 255, 255]);
  };
  const texts = [...document.querySelectorAll('main *')].filter(e => !e.closest('svg')
    && [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()));
  return texts.map(e => {
    const [one, two] = [light(parse(getComputedStyle(e).color)), light(back(e))];
    return [(Math.max(one, two) + .05) / (Math.min(one, two) + .05), e.outerHTML.slice(0, 90)];
  }).filter(([ratio]) => ratio < 4.5);
})()"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_in_both_schemes(
    browser: chromium.Browser, pages: dict[str, Path], scheme: str
) -> None:
    browser.open(pages["felt"], scheme=scheme)
    assert browser.ask(CONTRAST) == []
