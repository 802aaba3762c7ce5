"""Write sample data: stories and a synthetic company, in its systems' own columns.

`write` makes a folder that `rejse run --complete` can run at once; `write_events` makes one big
log for benchmarks. Both depend on the seed alone.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from rejse.pipelines.demo import surveys
from rejse.pipelines.demo import systems as demo_systems
from rejse.pipelines.demo.journeys import (
    END,
    JOURNEYS_A_CUSTOMER,
    START,
    Drawn,
    concat,
    faulty,
    journeys,
    story_events,
)
from rejse.pipelines.demo.planted_answers import AnswerTally
from rejse.pipelines.demo.planted_friction import SURVEYS, Tally, Truths, repurchase
from rejse.pipelines.demo.specs import MADE, Company, Spec, folder, journey_specs, story_specs
from rejse.transforms.errors import MisuseError

CHUNK = 25_000  # journeys drawn at once: some 300,000 events, half a gigabyte at most
FORMATS = {"parquet": demo_systems.PARQUET, "jsonl": "format json"}


class DemoError(MisuseError):
    """Sample data cannot be written here; the message says where it can."""


def _prepare(out: Path) -> None:
    """Make the folder, or clear one with sample data. Raises DemoError where it has other files."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        truths = out / "truths.json"
        own = truths.is_file() and json.loads(truths.read_text()).get("made_by") == Truths.made_by
        if not own:
            raise DemoError(
                f"expected a new or empty folder, came {out} with other files in it;"
                " choose another folder"
            )
        if (out / "store").exists():
            raise DemoError(
                f"{out} holds results of other sample data in its store;"
                " remove that folder or choose another one"
            )
        shutil.rmtree(out / "data", ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)


def _copy(names: dict[str, str], out: Path) -> None:
    for target, source in names.items():
        file = out / target
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text((folder() / source).read_text(encoding="utf-8"), encoding="utf-8")


def _key(file: Path, key: str | None) -> None:
    """Write a key that only its owner may read; an existing key stays unless `key` is given."""
    if file.exists() and key is None:
        return
    file.unlink(missing_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as lines:
        lines.write((key or secrets.token_hex(32)) + "\n")
    (file.parent / ".gitignore").write_text(f"{file.name}\nstore/\n", encoding="utf-8")


def _tables() -> dict[str, str]:
    names = ("touchpoints.csv", "touchpoint_fields.csv", "journey_types.csv")
    return {f"tables/{name}": f"tables/{name}" for name in names}


def _all_specs(company: Company = MADE) -> tuple[Spec, ...]:
    return tuple(s for some in journey_specs(company).values() for s in some)


def _chunks(
    seed: int, total: int, customers: int, chunk: int, company: Company = MADE
) -> Iterator[Drawn]:
    for first in range(0, total, chunk):
        yield journeys(seed, first, min(first + chunk, total), total, customers, company)


def _faults(specs: tuple[Spec, ...], company: Company) -> dict[int, frozenset[str]]:
    """Return the faults of each specification's system; a null company has none."""
    if company.is_null:
        return {}
    systems = demo_systems.places()
    return {s.spec: demo_systems.SYSTEMS[systems[s["touchpoint"] or ""]].faults for s in specs}


def _people() -> dict[str, list[str]]:
    """Return the customers of each story."""
    by_story: dict[str, list[str]] = {}
    for spec in story_specs():
        people, customer = by_story.setdefault(spec["story"] or "", []), spec["customer"] or ""
        if customer not in people:
            people.append(customer)
    return by_story


def _time(at: int) -> str:
    return datetime.fromtimestamp(at // 1_000_000, UTC).isoformat()


def write(
    out: Path,
    customers: int = 20_000,
    seed: int = 7,
    stories: bool = True,
    *,
    company: Company = MADE,
    key: str | None = None,
    chunk: int = CHUNK,
) -> Truths:
    """Write the synthetic company of so many customers, its configuration and its truths.

    The `company` NULL, without stories, has no friction. `key` (hex) is the pseudonym key; without
    it a random one is made.

    Raises:
        DemoError: the folder holds files that are not sample data, or results of a run.
    """
    _prepare(out)
    specs = _all_specs(company) + (story_specs() if stories else ())
    faults = _faults(specs, company)
    total, tally, answer_tally = round(customers * JOURNEYS_A_CUSTOMER), Tally(), AnswerTally()
    truths = Truths(seed, customers, total, _time(START), _time(END))
    truths.save(out)  # marks the folder as sample data, in case of an interruption
    with closing(demo_systems.connect(specs)) as con:
        tally.count_register(demo_systems.write_register(con, customers, out / "data"))
        for number, drawn in enumerate(_chunks(seed, total, customers, chunk, company)):
            whole, part = concat([drawn, faulty(seed, drawn, faults)]), f"part-{number:04d}"
            tally.add(whole, demo_systems.write(con, whole, out / "data", part))
            answers = surveys.draw_answers(seed, drawn, company)
            answer_tally.add(answers)
            tally.count_answers(surveys.write(con, answers, out / "data", part, company))
        if stories:
            drawn = story_events(story_specs())
            tally.add(drawn, demo_systems.write(con, drawn, out / "data", "stories"))
            tally.count_answers(surveys.write_stories(out / "data"))
            truths.stories = _people()
    tally.fill(truths)
    truths.planted = {} if company.is_null else {**tally.planted(), **answer_tally.planted()}
    if stories:
        truths.planted |= {"repurchase": repurchase()}
    tables = ("calendar", "weather", "cost_rates", "slas")
    more = ("rejse.toml", *(f"tables/{name}.csv" for name in tables))
    configuration = {name: name for name in more} | _tables()
    for name in (*demo_systems.SYSTEMS, demo_systems.OWNED, demo_systems.REGISTER, SURVEYS):
        for file in (f"mappings/{name}.sql", f"schemas/{name}.json"):
            configuration[file] = file
    _copy(configuration, out)
    _key(out / "rejse.key", key)
    truths.save(out)
    return truths


def write_events(
    out: Path,
    events: int,
    seed: int = 7,
    format: str = "parquet",
    *,
    key: str | None = None,
    chunk: int = CHUNK,
) -> Truths:
    """Write exactly so many events of the synthetic company as one log without cases.

    `format` is parquet or jsonl.

    Raises:
        DemoError: as `write`, or the format is another.
    """
    if format not in FORMATS:
        raise DemoError(f"expected one of {sorted(FORMATS)} as format, came {format!r}")
    _prepare(out)
    (out / "data").mkdir(exist_ok=True)
    # A sample estimates how many journeys make so many events; 2 % more, the last chunk is cut.
    sample = len(journeys(seed, 0, 10_000, 11_500, 10_000)) / 10_000
    total = int(events / sample * 1.02) + 100
    customers = max(1, round(total / JOURNEYS_A_CUSTOMER))
    truths = Truths(seed, customers, 0, _time(START), _time(END))
    truths.save(out)
    tally, left = Tally(), events
    with closing(demo_systems.connect(_all_specs(), cases=False)) as con:
        for number, drawn in enumerate(_chunks(seed, total, customers, chunk)):
            some = drawn.take(drawn.at.argsort(kind="stable")[:left])
            file = out / "data" / f"part-{number:04d}.{format}"
            rows = demo_systems.write_log(con, some, file, FORMATS[format])
            tally.add(some, {"events": rows})
            truths.journeys += len(set(some.journey.tolist()))
            left -= rows
            if left <= 0:
                break
    tally.fill(truths)
    truths.planted = tally.planted()
    names = {name: f"../events/{name}" for name in ("rejse.toml", "mapping.sql", "schema.json")}
    _copy(names | _tables(), out)
    _key(out / "rejse.key", key)
    truths.save(out)
    return truths


def main() -> None:
    """Write sample data from the command line, without the rest of the program."""
    parser = argparse.ArgumentParser(
        prog="python -m rejse.pipelines.demo.write", description=__doc__
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--customers", type=int, default=20_000)
    parser.add_argument("--events", type=int, help="one log of so many events, to measure with")
    parser.add_argument("--format", choices=sorted(FORMATS), default="parquet")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    try:
        if options.events:
            truths = write_events(options.out, options.events, options.seed, options.format)
        else:
            truths = write(options.out, options.customers, options.seed)
    except DemoError as fault:
        parser.error(str(fault))
    print(json.dumps({"journeys": truths.journeys, **truths.counts}))


if __name__ == "__main__":
    main()
