"""Draw the survey answers of the synthetic company.

An answer depends on the pain of the journey so far (`made/pains.csv`), on how sensitive the
question is to it, and on noise of the person and of the answer. Customers with pain answer less
often. Draws are hashes, as for the events: the size of the chunks changes no answer.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rejse.pipelines.demo import specs as demo_specs
from rejse.pipelines.demo import systems
from rejse.pipelines.demo.journeys import END, NOTHING, Drawn, Longs, Reals, draw
from rejse.pipelines.demo.planted_friction import SURVEYS
from rejse.pipelines.demo.specs import MADE, Company, journey_specs
from rejse.transforms.schema import durations
from rejse.transforms.schema.parameters import DAY, HOUR, MINUTE

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

#: Half the width of the noise that a person adds to all their answers; a null company has none.
TEMPER = 0.08


@dataclass(frozen=True)
class Question:
    """A row of questions.csv: after which events it is asked, how often, and the answers."""

    number: int
    columns: Mapping[str, str]
    specs: tuple[int, ...]

    @property
    def name(self) -> str:
        """Return the name of the question; its draws are named by it."""
        return self.columns["question"]

    def __getitem__(self, column: str) -> float:
        return float(self.columns[column] or "nan")

    @property
    def after(self) -> int:
        """Return the mean delay between event and question, in microseconds."""
        return durations.parse(self.columns["after"])

    @property
    def is_complaint(self) -> bool:
        """Return whether it is a complaint: unasked, without a score."""
        return self.columns["instrument"] == "complaint"


@dataclass(frozen=True)
class SurveyRecords:
    """Questions asked, as narrow columns; times are microseconds since 1970, NOTHING where none.

    `pain` is the pain of the journey so far; `points` is NaN where there is no score.
    """

    question: Longs
    journey: Longs
    customer: Longs
    spec: Longs
    event: Longs
    event_at: Longs
    asked_at: Longs
    answered_at: Longs
    acted_at: Longs
    points: Reals
    pain: Reals

    def __len__(self) -> int:
        return len(self.question)

    @property
    def is_answered(self) -> np.ndarray:
        """Return a mask of the questions that were answered by the end of the year."""
        return np.asarray(self.answered_at != NOTHING)


@cache
def questions(company: Company = MADE) -> tuple[Question, ...]:
    """Read the questions of a company, in the order of its file."""
    listed = []
    for number, row in enumerate(demo_specs.rows(company.questions)):
        some = journey_specs(company)[row["journey_type"]]
        specs = tuple(some[int(nr) - 1].spec for nr in row["nr"].split(";"))
        listed.append(Question(number, row, specs))
    return tuple(listed)


@cache
def pains(company: Company = MADE) -> Reals:
    """Read the pain of each event specification, in points of one."""
    some = journey_specs(company)
    points = np.zeros(sum(map(len, some.values())))
    if not company.is_null:
        for row in demo_specs.rows("pains.csv"):
            points[some[row["journey_type"]][int(row["nr"]) - 1].spec] = float(row["pain"])
    return points


def draw_answers(seed: int, drawn: Drawn, company: Company = MADE) -> SurveyRecords:
    """Draw the questions after drawn events (all events of each journey), with their answers."""
    if not len(drawn):
        return _concat([])
    first = int(drawn.journey.min())
    place = drawn.journey - first
    hurt = pains(company)[drawn.spec]
    parts = []
    for question in questions(company):
        # Specifications are numbered in the order of events, within each type.
        so_far = drawn.spec <= max(question.specs)
        pain = np.zeros(int(place.max()) + 1)
        np.add.at(pain, place[so_far], hurt[so_far])
        put = np.isin(drawn.spec, question.specs)
        put &= draw(seed, "asks" + question.name, drawn.number) < question["asked"]
        rows = drawn.take(put)
        temper = 0.0 if company.is_null else TEMPER
        parts.append(_answered(seed, question, rows, pain[rows.journey - first], temper))
    return _concat(parts)


def _answered(
    seed: int, question: Question, rows: Drawn, pain: Reals, temper: float
) -> SurveyRecords:
    def of(purpose: str) -> Reals:
        return draw(seed, purpose + question.name, rows.number)

    at = rows.at + (question.after * (0.5 + of("asked"))).astype(np.int64)
    delay = 5 * MINUTE + (of("delay") ** 2 * 20 * HOUR).astype(np.int64)
    answered_at = at if question.is_complaint else at + delay
    chance = np.where(pain > 0, question["answered_hurt"], question["answered"])
    answered = (of("answers") < chance) & (answered_at < END)
    u = question["mean"] - question["feels"] * pain + question["noise"] * (2 * of("noise") - 1)
    u = np.clip(u + temper * (2 * draw(seed, "temper", rows.journey) - 1), 0, 1)
    points = question["lowest"] + np.rint(u * (question["highest"] - question["lowest"]))
    acted_at = answered_at + DAY + (of("acts after") * 5 * DAY).astype(np.int64)
    acted = answered & (of("acts") < question["acted"]) & (acted_at < END)
    kept = at < END
    return SurveyRecords(
        question=np.full(int(kept.sum()), question.number, dtype=np.int64),
        journey=rows.journey[kept],
        customer=rows.customer[kept],
        spec=rows.spec[kept],
        event=rows.number[kept],
        event_at=rows.at[kept],
        asked_at=at[kept],
        answered_at=np.where(answered, answered_at, NOTHING)[kept],
        acted_at=np.where(acted, acted_at, NOTHING)[kept],
        points=np.where(answered, points, np.nan)[kept],
        pain=pain[kept],
    )


def _concat(parts: list[SurveyRecords]) -> SurveyRecords:
    names = SurveyRecords.__dataclass_fields__
    whole = {
        name: np.concatenate([getattr(part, name) for part in parts] or [np.zeros(0, np.int64)])
        for name in names
    }
    return SurveyRecords(**whole)


def _table(answers: SurveyRecords) -> pa.Table:
    import pyarrow as pa

    def moments(values: Longs) -> pa.Array:
        return pa.array(values, mask=values == NOTHING).cast(pa.timestamp("us"))

    points = np.nan_to_num(answers.points).astype(np.int32)
    names = ("question", "journey", "customer", "spec", "event")
    columns = {name: getattr(answers, name) for name in names}
    times = {
        n: moments(getattr(answers, n)) for n in ("event_at", "asked_at", "answered_at", "acted_at")
    }
    return pa.table({**columns, **times, "points": pa.array(points, mask=np.isnan(answers.points))})


def write(
    con: duckdb.DuckDBPyConnection,
    answers: SurveyRecords,
    data: Path,
    part: str,
    company: Company = MADE,
) -> int:
    """Write `data/surveys/<part>.csv` in a session of `systems.connect`; return its rows."""
    import pyarrow as pa

    table = [
        {"number": q.number, **{name: text or None for name, text in q.columns.items()}}
        for q in questions(company)
    ]
    con.register("questions", pa.Table.from_pylist(table))
    con.register("asked", _table(answers))
    (data / SURVEYS).mkdir(parents=True, exist_ok=True)
    file = data / SURVEYS / f"{part}.csv"
    return systems.copy(con, SURVEYS, file, "format csv, header true")


def write_stories(data: Path) -> int:
    """Write `data/surveys/stories.csv` from `made/surveys.csv`; return its rows."""
    kept = demo_specs.rows("surveys.csv")
    names = [name for name in kept[0] if name != "story"]
    place = data / SURVEYS / "stories.csv"
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(
            out, [*names, "entry", "visit", "flow", "survey"], extrasaction="ignore"
        )
        writer.writeheader()
        writer.writerows(kept)
    return len(kept)
