"""Draw the journeys of the synthetic company from a seed.

Every draw is a hash of (seed, purpose, journey), never the next number of a stream: a journey is
the same in a chunk of ten and in a chunk of a million.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from rejse.pipelines.demo.specs import MADE, SHARES, Company, Spec, journey_specs
from rejse.transforms.schema.parameters import DAY, HOUR

Longs = npt.NDArray[np.int64]
Reals = npt.NDArray[np.float64]

START = int(datetime(2025, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
END = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
DAYS = (END - START) // DAY
JOURNEYS_A_CUSTOMER = 1.3
#: Event numbers: 64 to a journey, 32 for its own, 32 for the faulty copies of them.
NUMBERS = 64
COPY = 32
FAULTS = ("", "duplicate", "bad_time", "missing_identity", "undefined")
#: Upper ends of the draws that make a fault, of FAULTS[1:]: 0.04 % duplicates, 0.02 % others each.
FAULT_ENDS = (0.0004, 0.0006, 0.0008, 0.0010)
NOTHING = -1


def _mix(x: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    # The finaliser of SplitMix64 (Steele, Lea, Flood 2014).
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def draw(seed: int, purpose: str, number: Longs) -> Reals:
    """Return uniform draws in [0, 1), one a number, by hash of seed, purpose and number."""
    salt = np.array([(seed << 32) ^ zlib.crc32(purpose.encode())], dtype=np.uint64)
    x = number.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + _mix(salt)
    return (_mix(x) >> np.uint64(11)).astype(np.float64) * 2.0**-53


@dataclass(frozen=True)
class Drawn:
    """Drawn events as narrow columns; `at` is in microseconds, `spec` numbers a specification."""

    journey: Longs
    customer: Longs
    spec: Longs
    number: Longs
    at: Longs
    wait_s: Longs
    talk_s: Longs
    fault: Longs

    def __len__(self) -> int:
        return len(self.journey)

    def take(self, rows: npt.NDArray[np.bool_] | npt.NDArray[np.intp] | slice) -> Drawn:
        """Return some of the rows."""
        return Drawn(*(column[rows] for column in vars(self).values()))


def concat(parts: list[Drawn]) -> Drawn:
    """Concatenate the rows of all parts."""
    columns = zip(*(vars(part).values() for part in parts), strict=True)
    return Drawn(*(np.concatenate(column) for column in columns))


def _exponential(mean: int | None, u: Reals, most: int) -> Longs:
    if mean is None:
        return np.full(len(u), NOTHING, dtype=np.int64)
    drawn: Longs = np.minimum(np.rint(-mean * np.log1p(-u)), most).astype(np.int64)
    return drawn


def _of_type(
    seed: int, company: Company, kind: str, journey: Longs, start: Longs, customer: Longs
) -> list[Drawn]:
    turns = {name: draw(seed, name, journey) < chance for name, chance in company.turns.items()}
    at, parts = start.copy(), []
    for spec in journey_specs(company)[kind]:
        own = f"{kind}{spec.nr}"
        on = draw(seed, "p" + own, journey) < spec.p
        for name, wanted in spec.when:
            on &= turns[name] == wanted
        delay = spec.after * (0.5 + draw(seed, "after" + own, journey))
        at = at + np.where(on, delay, 0).astype(np.int64)
        rows = on & (at < END)
        some = journey[rows]
        wait, talk = spec.seconds
        parts.append(
            Drawn(
                journey=some,
                customer=customer[rows],
                spec=np.full(len(some), spec.spec, dtype=np.int64),
                number=some * NUMBERS + spec.nr,
                at=at[rows],
                wait_s=_exponential(wait, draw(seed, "wait" + own, some), spec.longest_s),
                talk_s=_exponential(talk, draw(seed, "talk" + own, some), 7200),
                fault=np.zeros(len(some), dtype=np.int64),
            )
        )
    return parts


def journeys(
    seed: int, first: int, last: int, total: int, customers: int, company: Company = MADE
) -> Drawn:
    """Draw the events of the journeys first..last (exclusive) of `total`, of so many customers.

    Journeys start in the order of their numbers, spread over the year, by day between 7 and 22.
    """
    journey = np.arange(first, last, dtype=np.int64)
    day = ((journey + draw(seed, "day", journey)) * (DAYS / total)).astype(np.int64)
    start = START + day * DAY + 7 * HOUR
    start = start + (draw(seed, "hour", journey) * 15 * HOUR).astype(np.int64)
    customer = (draw(seed, "customer", journey) * customers).astype(np.int64)
    if company.is_null:  # in turn, so that no two journeys of a customer meet
        customer = journey % customers
    ends = np.cumsum(list(SHARES.values()))
    kind = np.searchsorted(ends, draw(seed, "type", journey) * ends[-1], side="right")
    parts = []
    for number, name in enumerate(SHARES):
        rows = kind == number
        parts += _of_type(seed, company, name, journey[rows], start[rows], customer[rows])
    return concat(parts)


def faulty(seed: int, drawn: Drawn, faults: dict[int, frozenset[str]]) -> Drawn:
    """Draw faulty copies of some events: exact duplicates, and events that must be rejected.

    `faults` are the faults that the system of a specification can make.
    """
    kind = np.searchsorted(FAULT_ENDS, draw(seed, "fault", drawn.number), side="right") + 1
    parts = []
    for code, fault in enumerate(FAULTS[1:], start=1):
        able = [spec for spec, names in faults.items() if fault in names]
        rows = drawn.take((kind == code) & np.isin(drawn.spec, able))
        numbers = rows.number if fault == "duplicate" else rows.number + COPY
        parts.append(
            Drawn(**{**vars(rows), "number": numbers, "fault": np.full_like(rows.fault, code)})
        )
    return concat(parts)


def story_events(specs: tuple[Spec, ...]) -> Drawn:
    """Return the events of stories, at their own times; each customer of a story is a journey."""
    # Far above the numbers of drawn journeys, so that ids never meet.
    people = {
        name: 10**12 + n for n, name in enumerate(dict.fromkeys(s["customer"] for s in specs))
    }
    journey = np.array([people[s["customer"]] for s in specs], dtype=np.int64)
    seconds = [[NOTHING if v is None else v for v in s.seconds] for s in specs]
    return Drawn(
        journey=journey,
        customer=journey,
        spec=np.array([s.spec for s in specs], dtype=np.int64),
        number=journey * NUMBERS + _places(journey),
        at=np.array([s.at for s in specs], dtype=np.int64),
        wait_s=np.array([s[0] for s in seconds], dtype=np.int64),
        talk_s=np.array([s[1] for s in seconds], dtype=np.int64),
        fault=np.zeros(len(specs), dtype=np.int64),
    )


def _places(journey: Longs) -> Longs:
    """Return the index of each row among the rows of its journey, which are consecutive."""
    first = np.r_[True, journey[1:] != journey[:-1]]
    begins = np.flatnonzero(first)
    return np.arange(len(journey)) - np.repeat(begins, np.diff(np.r_[begins, len(journey)]))
