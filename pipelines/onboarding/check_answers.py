"""Check for misread values: cells that became null, wrong scales of answers, due dates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from rejse.pipelines.onboarding.guess_survey import answer_sql
from rejse.pipelines.runtime.text_safety import clean
from rejse.transforms.columnar.arrays import valid, values
from rejse.transforms.columnar.event_table import Categorical, Events
from rejse.transforms.feedback.scale import contradicts, scaled
from rejse.transforms.schema.parameters import DAY

if TYPE_CHECKING:
    from rejse.transforms.columnar.arrays import Bools

#: Fewest due times to judge all by.
FEW = 2
#: Values shown of those that could not be read.
SHOWN = 3
#: Share of answers outside their scale above which the scale is taken to be wrong.
OUTSIDE = 0.05


def unread(column: str, cells: Iterable[pa.RecordBatch]) -> str:
    """Report how many raw values became null in a column, some of them, and SQL that reads them."""
    batches = list(cells)
    n = sum(batch.num_rows for batch in batches)
    raw = batches[0].schema.names
    texts = {
        str(value)
        for batch in batches
        for array in batch.columns
        for value in array.slice(0, 1_000).to_pylist()
        if value is not None and str(value).strip()
    }
    shown = ", ".join(repr(clean(text, 40)) for text in sorted(texts)[:SHOWN])
    line = f"{column}: the mapping gives null for {n:,} values of {', '.join(raw)}, such as {shown}"
    if column != "raw_score":
        return line
    quoted = '"' + raw[-1].replace('"', '""') + '"'
    return f"{line}; instead: {answer_sql(quoted)} as raw_score"


def scales(batches: Iterable[pa.RecordBatch]) -> Iterator[str]:
    """Report instruments whose answers contradict their stated scale."""
    tables = [pa.Table.from_batches([batch]) for batch in batches if batch.num_rows]
    if not tables:
        return
    answers = Events.of(pa.concat_tables(tables, promote_options="permissive").combine_chunks())
    answered_on, instrument = scaled(answers), answers.coded("instrument")
    answered = np.isfinite(answered_on.raw) & ~answered_on.has_no_scale
    scales_of = _scales(instrument, answered_on.least, answered_on.most, answered)
    for name, least, most in sorted(set(scales_of)):
        mine = answered & instrument.of_names([name]) & (answered_on.least == least)
        mine &= answered_on.most == most
        raw = answered_on.raw[mine]
        outside = int(answered_on.is_outside[mine].sum())
        span = f"from {raw.min():g} to {raw.max():g}"
        if outside > OUTSIDE * len(raw):
            why = f"{outside:,} of {len(raw):,} lie outside of it"
        elif contradicts(raw, least, most):
            why = f"{len(raw):,} answers, and none in its upper third"
        else:
            continue
        yield (
            f"the scale of {name}, {least:g} to {most:g}, is contradicted: answers run"
            f" {span}, {why}; say their own, such as"
            f" {raw.min():g} as scale_min, {raw.max():g} as scale_max"
        )


def midnights(batches: Iterable[pa.RecordBatch]) -> Iterator[str]:
    """Report due times of promises that all are midnights: they may be dates without a time."""
    times = [
        values(due)[valid(due) & valid(batch.column("promise"))]
        for batch in batches
        if "promise" in batch.schema.names
        for due in [batch.column("promise").field("due_time")]
    ]
    due_times = np.concatenate(times) if times else np.zeros(0, np.int64)
    if len(due_times) >= FEW and not (due_times % DAY).any():
        yield (
            f"promise.due_time: all {len(due_times):,} are a midnight (UTC), due as the day begins;"
            " if they are days, instead: 'due_time': cast(... as date), due until the local day"
            " ends"
        )


def _scales(
    instrument: Categorical, least: np.ndarray, most: np.ndarray, answered: Bools
) -> Iterator[tuple[str, float, float]]:
    names = instrument.names.to_pylist()
    for row in np.flatnonzero(answered):
        yield names[instrument.codes[row]], float(least[row]), float(most[row])
