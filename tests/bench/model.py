"""What more events than were ever run here would take: `python -m tests.bench.model CURVE.json`.

The parts are measured: `curve --json CURVE.json` gives the CPU of a run that workers share and
that they cannot share, that of the audit, memory and the store; `first_result` gives an increment.
Each part is a line, fixed + slope x events, through the sizes of `--fit`; all other sizes of the
file are the check: measured / predicted. Printed then is a day of so many events in so many runs:
CPU, cores, wall, memory, store and money, and every part with the share of its limit that it takes,
the one that breaks first at the top. Money is what the given prices make of it: assumptions.

An increment scores the history of each customer whom its rows are of. Of n customers, e new rows of
a run are of n (1 - exp(-e / n)) if they are as likely of any; with `--history` stored events each.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import exp
from pathlib import Path
from typing import Any

import numpy as np

HOUR, DAY, MONTH_DAYS, GIGABYTE = 3_600, 86_400, 30.4, 1e9
#: Names of what a curve measures, with their units.
MEASURES = {
    "alone": "CPU s that no worker shares", "shared": "CPU s that workers share",
    "audit": "CPU s of the audit", "memory": "MB of all processes", "bytes": "bytes of the store",
    "files": "files of the store",
}  # fmt: skip


@dataclass(frozen=True)
class Line:
    """fixed + slope x events."""

    fixed: float
    slope: float

    @classmethod
    def through(cls, points: Mapping[int, float]) -> Line:
        """Fit by least squares of relative errors; neither part is negative."""
        events = np.array(list(points), float)
        values = np.array(list(points.values()), float)
        weights = 1 / np.maximum(values, 1e-9)
        columns = np.stack([weights, weights * events], axis=1)
        fixed, slope = np.linalg.lstsq(columns, np.ones(len(points)))[0]
        if fixed < 0 or slope < 0:
            fixed, slope = (0.0, float((values / events).mean())) if fixed < 0 else (
                float(values.mean()), 0.0)  # fmt: skip
        return cls(float(fixed), float(slope))

    def at(self, events: float) -> float:
        """Return the value at so many events."""
        return self.fixed + self.slope * events


@dataclass(frozen=True)
class Load:
    """A day.

    Attributes:
        events: New events.
        runs: Runs.
        customers: Customers of whom the events are.
        history: Stored events of a customer, the years that are kept.
        days: Days that are kept.
        cores: Cores that share the work.
        memory_gb: Memory of a machine.
    """

    events: float
    runs: int
    customers: float
    history: float
    days: float
    cores: int
    memory_gb: float

    @property
    def rescored(self) -> float:
        """Events that a run scores: those of the customers whom its rows are of."""
        new = self.events / self.runs
        return max(new, self.customers * (1 - exp(-new / self.customers)) * self.history)


@dataclass(frozen=True)
class Prices:
    """Assumed prices in one currency."""

    core_hour: float
    gb_month: float


def points(rows: Iterable[Mapping[str, Any]]) -> dict[str, dict[int, float]]:
    """Return what a curve has measured, by measure and events."""
    out: dict[str, dict[int, float]] = {name: {} for name in MEASURES}
    for row in rows:
        events = row["events"]
        if row.get("name", "").endswith("workers"):
            out["alone"][events], out["shared"][events] = row["here"], row["workers"]
            out["memory"][events] = row["peak_mb"]
        elif row.get("name") == "audit":
            out["audit"][events] = row["here"] + row["workers"]
        elif "store" in row:
            out["bytes"][events] = row["store"]["bytes"]
            out["files"][events] = row["store"]["files"]
    return {name: of_measure for name, of_measure in out.items() if of_measure}


def checked(
    measured: Mapping[str, Mapping[int, float]], fit: Sequence[int]
) -> tuple[dict[str, Line], list[tuple[str, int, float, float]]]:
    """Return the line of each measure; of other sizes the measure, events, value, prediction."""
    lines, check = {}, []
    for name, values in measured.items():
        lines[name] = Line.through({n: value for n, value in values.items() if n in fit})
        check += [(name, n, v, lines[name].at(n)) for n, v in values.items() if n not in fit]
    return lines, check


def day(
    lines: Mapping[str, Line], load: Load, increment: Line, prices: Prices
) -> tuple[dict[str, float], dict[str, float]]:
    """Return what a day takes, and of each part the share of its limit.

    `increment`: CPU seconds of a run by the events that it scores, on a store (`first_result`).
    """
    cpu = increment.at(load.rescored)
    alone = lines["alone"].at(load.events / load.runs)
    audit = lines["audit"].at(load.rescored)
    wall = alone + (cpu - min(alone, cpu) + audit) / load.cores
    stored = load.events * load.days
    store_gb = lines["bytes"].slope * stored / GIGABYTE
    memory_gb = lines["memory"].at(load.rescored) / 1000
    busy = load.runs * (cpu + audit) / DAY
    takes = {
        "new events a run": load.events / load.runs, "events scored a run": load.rescored,
        "CPU s a run": cpu, "of the audit": audit, "wall s a run": wall,
        "cores busy all day": busy, "GB of memory": memory_gb,
        "GB of store": store_gb, "files of the store": lines["files"].slope * stored,
        "money a month": busy * 24 * MONTH_DAYS * prices.core_hour + store_gb * prices.gb_month,
    }  # fmt: skip
    interval = DAY / load.runs
    shares = {
        "all cores": busy / load.cores, "wall of a run in its interval": wall / interval,
        "what no worker shares": alone / interval,
        "memory of one machine": memory_gb / load.memory_gb,
    }  # fmt: skip
    return takes, dict(sorted(shares.items(), key=lambda part: -part[1]))


def main() -> None:
    """Print the check and the day."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.model", description=__doc__)
    parser.add_argument("curves", type=Path, nargs="+", help="what `curve --json` wrote")
    parser.add_argument("--fit", type=int, nargs="+", default=[1_000_000, 2_000_000], metavar="N")
    parser.add_argument("--small-run", type=float, default=3.6, help="CPU s of ten new rows")
    parser.add_argument(
        "--touched", type=float, nargs=2, default=[252_582, 13.0], metavar=("EVENTS", "CPU"),
        help="a run that scored so many events",
    )  # fmt: skip
    parser.add_argument("--events", type=float, default=1e9, help="a day")
    parser.add_argument("--runs", type=int, default=24, help="a day")
    parser.add_argument("--customers", type=float, default=50e6)
    parser.add_argument("--history", type=float, default=100, help="stored events of a customer")
    parser.add_argument("--days", type=float, default=365, help="that are kept")
    parser.add_argument("--cores", type=int, default=64)
    parser.add_argument("--memory-gb", type=float, default=256)
    parser.add_argument("--core-hour", type=float, default=0.05, help="price, assumed")
    parser.add_argument("--gb-month", type=float, default=0.023, help="price, assumed")
    given = parser.parse_args()
    rows = [row for curve in given.curves for row in json.loads(curve.read_text())["rows"]]
    lines, check = checked(points(rows), given.fit)
    for name, line in lines.items():
        print(f"{MEASURES[name]:32}{line.fixed:12.4g} + {line.slope * 1e6:.4g} a million events")
    print(f"\n{'check':32}{'events':>14}{'measured':>12}{'predicted':>12}{'ratio':>8}")
    for name, events, value, predicted in check:
        print(f"{MEASURES[name]:32}{events:>14,}{value:>12.4g}{predicted:>12.4g}"
              f"{value / predicted:>8.2f}")  # fmt: skip
    touched, cpu = given.touched
    increment = Line(given.small_run, (cpu - given.small_run) / touched)
    load = Load(given.events, given.runs, given.customers, given.history, given.days, given.cores,
                given.memory_gb)  # fmt: skip
    takes, shares = day(lines, load, increment, Prices(given.core_hour, given.gb_month))
    print(f"\n{given.events:,.0f} events a day in {given.runs} runs, {given.cores} cores")
    for name, value in takes.items():
        print(f"  {name:32}{value:>18,.1f}")
    print("what breaks first, by the share of its limit:")
    for name, share in shares.items():
        print(f"  {name:32}{share:>18.2f}")


if __name__ == "__main__":
    main()
