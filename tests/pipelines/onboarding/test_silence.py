from rejse.pipelines.onboarding import gap_histogram
from rejse.transforms.schema.parameters import DAY, HOUR, MINUTE, SECOND


def events(*silences: int) -> list[tuple[str, int]]:
    """One identity a silence, so that each pair makes exactly one."""
    return [
        pair for i, length in enumerate(silences) for pair in ((f"c{i}", 7), (f"c{i}", 7 + length))
    ]


def test_each_silence_is_counted_once_whatever_the_order() -> None:
    pairs = [("a", 0), ("b", DAY), ("a", MINUTE), ("a", 3 * DAY)]
    histogram = gap_histogram.of(pairs[::-1])
    assert histogram.total == 2
    assert histogram.counts[gap_histogram.EDGES.index(MINUTE)] == 1
    assert histogram.counts[gap_histogram.EDGES.index(4 * DAY)] == 1


def test_an_edge_belongs_to_its_own_bin() -> None:
    histogram = gap_histogram.of(events(30 * MINUTE, 30 * MINUTE + 1))
    assert histogram.counts[gap_histogram.EDGES.index(30 * MINUTE)] == 1
    assert histogram.counts[gap_histogram.EDGES.index(HOUR)] == 1


def test_gap_is_the_valley_between_visits_and_journeys() -> None:
    inside, between = [6 * HOUR, DAY, 2 * DAY] * 40, [60 * DAY, 90 * DAY] * 40
    gap, why = gap_histogram.of(events(*[SECOND] * 500, *inside, *between)).gap()
    assert (gap, "valley" in why) == (30 * DAY, True)
    gap, _ = gap_histogram.of(events(*inside, *[10 * DAY, 14 * DAY, 25 * DAY] * 40)).gap()
    assert gap == 7 * DAY


def test_gap_stays_the_default_without_a_valley() -> None:
    first = gap_histogram.EDGES.index(HOUR)
    falling = [
        edge for i, edge in enumerate(gap_histogram.EDGES[first:]) for _ in range(100 - 7 * i)
    ]
    gap, why = gap_histogram.of(events(*falling)).gap()
    assert (gap, why) == (30 * DAY, "the default: no valley; 90% beyond 30 min are within")


def test_a_few_long_silences_are_a_tail_and_no_hump() -> None:
    steady = [edge for edge in (HOUR, 6 * HOUR, DAY, 2 * DAY, 4 * DAY) for _ in range(40)]
    gap, why = gap_histogram.of(events(*steady, *[90 * DAY] * 10)).gap()
    assert (gap, why.split(":")[0]) == (30 * DAY, "the default")


def test_gap_is_not_proposed_from_a_handful() -> None:
    gap, why = gap_histogram.of(events(*[SECOND] * 900, DAY, 90 * DAY)).gap()
    assert (gap, why) == (30 * DAY, "the default: the sample has 2 silences beyond 30 min")


def test_histogram_in_words() -> None:
    lines = gap_histogram.of(events(MINUTE, MINUTE, HOUR, 900 * DAY)).text()
    assert lines[0].split() == ["<=", "1min", "#" * 32, "2"]
    assert lines[-1] == "longer: 1"
    assert gap_histogram.of([("a", 1)]).text() == ["no identity has two events"]


def test_a_case_closes_after_a_silence_that_hardly_any_case_has() -> None:
    days, weeks = [DAY] * 990, [5 * DAY] * 9
    assert gap_histogram.of(events(*days, *weeks, 100 * DAY)).case_gap()[0] == 7 * DAY
    assert gap_histogram.of(events(*days, *weeks, *[100 * DAY] * 2)).case_gap()[0] == 120 * DAY
    assert gap_histogram.of(events(*[HOUR] * 2000)).case_gap()[0] == DAY
    for rows, why in (
        (events(DAY, DAY), "the default: the sample has 2 silences in cases"),
        (events(*[500 * DAY] * 40), "too many silences in cases are longer"),
    ):
        gap, reason = gap_histogram.of(rows).case_gap()
        assert gap == 90 * DAY and why in reason
