"""Count the truths planted in the synthetic company: friction, promises, waits."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from rejse.pipelines.demo.journeys import FAULTS, NOTHING, Drawn
from rejse.pipelines.demo.specs import AGAIN, journey_specs

Rows = tuple[tuple[str, int], ...]
SURVEYS = "surveys"  # the source of survey answers


@dataclass(frozen=True)
class Plant:
    """A planted truth: where it is, and the specifications (type, nr) of its hits and misses."""

    about: str
    where: dict[str, str]
    hits: Rows
    misses: Rows
    base_where: dict[str, str]
    base_hits: Rows
    base_misses: Rows


PLANTS = {
    "context_lost": Plant(
        "The assessor asks again what the claim form had asked: hand-offs with re-asked fields.",
        {"from_owner": "web", "to_owner": "claims"}, (("claim", 6),), (("claim", 7),),
        {"from_owner": "sales", "to_owner": "technician"},
        (("installation", 7),), (("installation", 6),),
    ),
    "dead_end": Plant(
        "The page fails and the customer must phone: fallbacks from this touchpoint.",
        {"touchpoint": "web_delivery_status"}, (("purchase", 13),), (("purchase", 15),),
        {"touchpoint": "web_help"}, (("support", 6),), (("support", 5), ("support", 7)),
    ),
    "promise_broken": Plant(
        "Promised and never delivered: promises by kind and owner.",
        {"kind": "callback", "owner": "service_centre"}, (("support", 13),), (("support", 12),),
        {"kind": "date", "owner": "logistics"}, (("purchase", 17),), (("purchase", 16),),
    ),
    "handoff_dropped": Plant(
        "Handed over and never received: hand-offs asked for.",
        {"from_owner": "sales", "to_owner": "technician"},
        (("installation", 13),), (("installation", 6), ("installation", 7)),
        {"from_owner": "service_centre", "to_owner": "technician"},
        (("support", 20),), (("support", 16),),
    ),
}  # fmt: skip
WAITS = ("phone_support", "phone_service")


def repurchase() -> dict[str, object]:
    """Return how many customers of the story buy again within the follow-up of 90 days."""
    n = sum(group.n for group in AGAIN.values())
    hits = sum(group.n for group in AGAIN.values() if group.hit)
    return {
        "about": "They bought, it was delivered, and some bought again within the follow-up.",
        "where": {"story": "again"}, "n": n, "hits": hits, "rate": hits / n,
    }  # fmt: skip


@dataclass
class Truths:
    """What is true of a folder of synthetic data; `write` saves it as truths.json.

    `counts` are rows: read = kept + duplicate + rejected; `end` is a time that no event reaches,
    so that every source is complete up to it.
    """

    seed: int
    customers: int
    journeys: int
    start: str
    end: str
    counts: dict[str, int] = field(default_factory=dict)
    sources: dict[str, int] = field(default_factory=dict)
    faults: dict[str, int] = field(default_factory=dict)
    planted: dict[str, dict[str, object]] = field(default_factory=dict)
    stories: dict[str, list[str]] = field(default_factory=dict)
    made_by: str = "rejse demo-data"

    def save(self, folder: Path) -> None:
        """Write truths.json."""
        text = json.dumps(asdict(self), indent=2, ensure_ascii=False)
        (folder / "truths.json").write_text(text + "\n", encoding="utf-8")


class Tally:
    """Counts over chunks of events, from which the truths are computed."""

    def __init__(self) -> None:
        self.events: Counter[int] = Counter()
        self.faults: Counter[str] = Counter(dict.fromkeys(FAULTS[1:], 0))
        self.sources: Counter[str] = Counter()
        self.waits: dict[str, list[int]] = {name: [0, 0] for name in WAITS}

    def add(self, drawn: Drawn, rows: dict[str, int]) -> None:
        """Count a chunk: its events, its faulty copies, its rows by source."""
        good = drawn.take(drawn.fault == 0)
        self.events.update(dict(enumerate(np.bincount(good.spec).tolist())))
        faults = np.bincount(drawn.fault, minlength=len(FAULTS)).tolist()
        self.faults.update(dict(zip(FAULTS[1:], faults[1:], strict=True)))
        self.sources.update(rows)
        for touchpoint, sums in self.waits.items():
            specs = [
                s.spec
                for some in journey_specs().values()
                for s in some
                if s["touchpoint"] == touchpoint
            ]
            waits = good.wait_s[np.isin(good.spec, specs) & (good.wait_s != NOTHING)]
            sums[0] += int(waits.sum())
            sums[1] += len(waits)

    def count_register(self, rows: dict[str, int]) -> None:
        """Count the rows of the customer register."""
        self.sources.update(rows)

    def count_answers(self, rows: int) -> None:
        """Count the rows of surveys."""
        self.sources[SURVEYS] += rows

    def _n(self, rows: Rows) -> int:
        return sum(self.events[journey_specs()[kind][nr - 1].spec] for kind, nr in rows)

    def planted(self) -> dict[str, dict[str, object]]:
        """Return the truths by name: where, how many of how many, and the same at the base."""
        truths: dict[str, dict[str, object]] = {}
        for name, plant in PLANTS.items():
            hits, base = self._n(plant.hits), self._n(plant.base_hits)
            n, base_n = hits + self._n(plant.misses), base + self._n(plant.base_misses)
            truths[name] = {
                "about": plant.about, "where": plant.where, "n": n, "hits": hits,
                "rate": hits / max(n, 1), "base_where": plant.base_where, "base_n": base_n,
                "base_hits": base, "base_rate": base / max(base_n, 1),
            }  # fmt: skip
        long, usual = ([name, total / max(n, 1)] for name, (total, n) in self.waits.items())
        truths["waits"] = {
            "about": "Customers wait here: mean seconds before a call is answered.",
            "where": {"touchpoint": long[0]},
            "mean_wait_s": long[1],
            "base_where": {"touchpoint": usual[0]},
            "base_mean_wait_s": usual[1],
        }
        return truths

    def fill(self, truths: Truths) -> None:
        """Copy the counts into the truths."""
        truths.counts, truths.sources = self.counts(), dict(self.sources)
        truths.faults = dict(self.faults)

    def counts(self) -> dict[str, int]:
        """Return how many rows are read, kept, duplicate and rejected."""
        read = sum(self.sources.values())
        duplicate = self.faults["duplicate"]
        rejected = sum(self.faults.values()) - duplicate
        kept = read - duplicate - rejected
        return {"read": read, "kept": kept, "duplicate": duplicate, "rejected": rejected}
