"""Shares of start cohorts old enough to be judged, and times that censor what is not over."""

from __future__ import annotations

import math
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from rejse.pipelines.publication import catalogue
from rejse.pipelines.publication.catalogue import Session
from rejse.sql import scripts
from tests.support import store_builder
from tests.support.sql_world import DAY, table
from tests.support.store_builder import START, Rows, journey

#: What a served type says; its gap is as long as its window for re-opening.
SETTLING = 10
_DAY_US = 86_400_000_000


def windows(**horizon_days: int) -> dict[str, int]:
    """The rules of the type `other`, and horizons of others."""
    rules = {"settling.other": SETTLING * _DAY_US, "cap.other": 60 * _DAY_US, "lateness": 0}
    return rules | {f"horizon.{name}": days * _DAY_US for name, days in horizon_days.items()}


def opened(place: Path, rows: Rows, until: timedelta, **horizon_days: int) -> Session:
    """A store complete until so long after START, the lateness 0."""
    end = int((START + until).timestamp()) * 1_000_000
    store_builder.published(
        place, rows, frontiers={"crm": end}, windows={"repeat": _DAY_US, **windows(**horizon_days)}
    )
    session: Session = catalogue.connect(place)
    return session


def took(number: int, at: float, lasts: float | None, **own: Any) -> Rows:
    """A journey that started so many days after START: resolved after so many, or open."""
    start = START + at * DAY
    if lasts is None:
        state = {"state": "open", "close_reason": None, "outcome01": None, "ended_at": start}
    else:
        state = {"outcome01": 1.0, "ended_at": start + lasts * DAY, "close_reason": "end rule",
                "throughput_s": lasts * 86_400, "time_to_resolution_s": lasts * 86_400}  # fmt: skip
    return journey(number, [{}], started_at=start, **{**state, **own})


def test_what_is_stuck_counts_in_the_share_of_its_cohort(tmp_path: Path) -> None:
    """Of ten that started at once, five are resolved in 2 days, one in 30 (its horizon is 20),
    one has ended badly, three are open to this day; ten more are too young.
    """
    bad = {"outcome01": 0.0, "time_to_resolution_s": None, "outcome": "unresolved"}
    rows = store_builder.joined(
        *(took(n, 0, 2) for n in range(1, 6)),
        took(6, 0, 30),
        took(7, 0, 5, **bad),
        *(took(n, 0, None) for n in range(8, 11)),
        *(took(n, 71, 1) for n in range(11, 16)),
        *(took(n, 71, None) for n in range(16, 21)),
    )
    with opened(tmp_path, rows, 100 * DAY, claim=20) as session:
        months = table(session, "from v_months order by started_month")
        (whole,) = table(session, "from v_by_journey_type")
        (kind,) = table(session, "from v_journey_types")
        (line,) = table(session, scripts("questions")["headline"].text)
    old, young = months
    names = ("n_journeys", "n_open", "n_too_young", "n_judged", "n_resolved", "n_resolved_late",
             "n_undecided", "resolved_share")  # fmt: skip
    assert [old[name] for name in names] == [10, 3, 0, 10, 5, 1, 3, 0.5]
    # Wilson at 5 of 10
    assert (old["resolved_share_lo"], old["resolved_share_hi"]) == pytest.approx(
        (0.2366, 0.7634), abs=5e-5
    )
    assert [young[name] for name in names] == [10, 5, 10, 0, 0, 0, 0, None]
    for cohort in (whole, kind):
        counts = ("n_too_young", "n_judged", "n_resolved", "n_undecided", "resolved_share")
        assert [cohort[name] for name in counts] == [10, 10, 5, 3, 0.5]
    percents = [line[name] for name in ("resolved_percent", "late_percent", "undecided_percent")]
    assert percents == [50, 10, 30]


@pytest.mark.parametrize(("age", "mature"), [(30, True), (30 - 1 / 86_400, False)])
def test_a_journey_is_judged_once_its_horizon_has_settled(
    tmp_path: Path, age: float, mature: bool
) -> None:
    """The horizon is 20 days, and what ended then may be taken back for 10 more."""
    with opened(tmp_path, took(1, 0, 20), age * DAY, claim=20) as session:
        (row,) = table(session, "from v_journey_cohorts")
    assert (row["is_mature"], row["is_judged"]) == (mature, mature)
    assert row["is_resolved_in_time"] is (True if mature else None)


def test_a_type_whose_outcomes_nobody_records_is_not_judged(tmp_path: Path) -> None:
    unknown = {"outcome01": None, "time_to_resolution_s": None}
    rows = store_builder.joined(
        took(1, 0, 2, journey_type="visit", **unknown),
        took(2, 0, None, journey_type="visit"),
        took(3, 0, 2, **unknown),
        took(4, 0, 2),
    )
    with opened(tmp_path, rows, 100 * DAY) as session:
        by_type = {row["journey_type"]: row for row in table(session, "from v_journey_types")}
    visit, claim = by_type["visit"], by_type["claim"]
    assert (visit["n_mature"], visit["n_judged"], visit["resolved_share"]) == (2, 0, None)
    assert (claim["n_judged"], claim["n_undecided"], claim["resolved_share"]) == (2, 1, 0.5)


def test_the_horizon_is_set_or_measured_with_the_open_ones_or_the_default(tmp_path: Path) -> None:
    rows = store_builder.joined(
        *(took(n, 0, n) for n in range(1, 21)),  # the 18th of twenty
        *(took(100 + n, 0, n, journey_type="stuck") for n in range(1, 11)),
        *(took(200 + n, 0, None, journey_type="stuck") for n in range(10)),
        *(took(300 + n, 0, n, journey_type="few") for n in range(1, 10)),
        took(400, 0, 1, journey_type="chosen"),
    )
    with opened(tmp_path, rows, 100 * DAY, chosen=45) as session:
        horizons = {
            row["journey_type"]: (row["basis"], row["horizon_s"] / 86_400)
            for row in table(session, "from v_horizons")
        }
    assert horizons == {
        "claim": ("measured", 18),
        "stuck": ("default", 60),  # half are open: nine tenths of the closed ones would say 9 days
        "few": ("default", 60),
        "chosen": ("set", 45),
    }


def test_times_are_censored_as_an_independent_implementation_does_it(tmp_path: Path) -> None:
    """Kaplan-Meier against scipy.stats.ecdf: the curve, its interval, ties, and the medians."""
    rng = np.random.default_rng(17)
    lasts = np.round(rng.exponential(12, 80), 0)
    starts = np.round(rng.uniform(0, 60, 80), 0)
    is_open = rng.random(80) < 0.2
    rows = store_builder.joined(
        *(
            took(n, float(at), None if stuck else float(long))
            for n, (at, long, stuck) in enumerate(zip(starts, lasts, is_open, strict=True), 1)
        )
    )
    until = 70
    known = until - starts - SETTLING
    seen = ~is_open & (lasts <= known)
    assert 20 < seen.sum() < 70 and len(set(lasts[seen])) < seen.sum(), "ties, and censored ones"
    data = stats.CensoredData(uncensored=lasts[seen], right=known[~seen & (known >= 0)])
    curve = stats.ecdf(data).sf
    band = curve.confidence_interval(method="log-log")
    with opened(tmp_path, rows, until * DAY) as session:
        both = {}
        for measure in ("throughput_s", "time_to_resolution_s"):
            both[measure] = table(
                session,
                "from v_survival where scope = 'all' and n_seen > 0"
                f" and measure = '{measure}' order by time_s",
            )
        (median,) = table(
            session,
            "from v_durations where scope = 'journey_type_owner' and measure = 'throughput_s'",
        )
    expected = {
        float(t): (s, lo, hi)
        for t, s, lo, hi in zip(
            curve.quantiles,
            curve.probabilities,
            band.low.probabilities,
            band.high.probabilities,
            strict=True,
        )
    }
    for times in both.values():
        assert len(times) == len(set(lasts[seen]))
        for row in times:
            wanted = expected[row["time_s"] / 86_400]
            bounds = (row["survival"], row["survival_lo"], row["survival_hi"])
            for bound, other in zip(bounds, wanted, strict=True):
                assert bound == (None if math.isnan(other) else pytest.approx(other, abs=1e-12))
    half = min(t for t, (s, _, _) in expected.items() if s <= 0.5)
    low = min(t for t, (_, lo, _) in expected.items() if lo <= 0.5)
    high = min(t for t, (_, _, hi) in expected.items() if hi <= 0.5)
    assert median["median_s"] == half * 86_400 > np.median(lasts[seen]) * 86_400
    assert (median["median_s_lo"], median["median_s_hi"]) == (low * 86_400, high * 86_400)
    assert median["n_seen"] + median["n_censored"] == (known >= 0).sum()


def test_an_empty_store_has_no_cohorts(tmp_path: Path) -> None:
    views = ("v_journey_times", "v_survival", "v_durations", "v_horizons", "v_journey_cohorts",
             "v_months")  # fmt: skip
    with opened(tmp_path, {}, 100 * DAY) as session:
        assert [table(session, f"from {view}") for view in views] == [[] for _ in views]
