"""Row rules of feedback records, and notes on their scales."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from rejse.transforms.columnar.arrays import Bools, valid, values
from rejse.transforms.columnar.event_table import Events
from rejse.transforms.feedback.scale import scaled
from rejse.transforms.feedback.schema import EXPERIENCE
from rejse.transforms.ingest import validate
from rejse.transforms.ingest.validate import PREVIOUS_TYPED, Rule, in_range, listed, missing

TIMES = ("time", "recordedtime", "invited_time", "responded_time", "action_time")
LISTED = ("identitytype", "respondent_type", "level")


def _upside_down(batch: pa.RecordBatch) -> Bools:
    least, most = batch.column("scale_min"), batch.column("scale_max")
    with np.errstate(invalid="ignore"):
        right: Bools = np.isfinite(values(most) - values(least)) & (values(most) > values(least))
    return ~right & valid(least) & valid(most)


def _unsure(batch: pa.RecordBatch) -> Bools:
    column = batch.column("confidence")
    sure = (values(column) >= 0) & (values(column) <= 1)
    return ~sure & valid(column)


def _unscored(batch: pa.RecordBatch) -> Bools:
    if "has_text" not in batch.schema.names:
        return np.zeros(batch.num_rows, bool)
    return np.asarray(values(batch.column("has_text")) & ~valid(batch.column("sentiment01")))


#: All row rules; the first that fails gives a row its reason.
RULES: tuple[Rule, ...] = (
    *(missing(EXPERIENCE.by_name[name]) for name in EXPERIENCE.required),
    *(listed(EXPERIENCE.by_name[name]) for name in LISTED),
    *(in_range(name) for name in TIMES),
    PREVIOUS_TYPED,
    Rule(
        "scale_upright", "scale_upside_down", ("scale_min", "scale_max"),
        "scale_min is less than scale_max; say higher_is_better = false where less is better",
        "coalesce(isfinite(scale_max - scale_min) and scale_min < scale_max, true)", _upside_down,
    ),
    Rule(
        "confidence_is_share", "confidence_out_of_range", ("confidence",),
        "confidence is from 0 to 1",
        "coalesce(confidence >= 0 and confidence <= 1, true)", _unsure,
    ),
)  # fmt: skip


def accept(batch: pa.RecordBatch) -> tuple[pa.RecordBatch, pa.Table, dict[str, int]]:
    """Return the records that pass all rules, rejects and notes (see `ingest.validate.accept`).

    A score outside its scale, or of no known scale, stays as it is and has no `score01`; notes
    count them as `score_outside_scale` and `score_without_scale`, and texts that nothing scored as
    `text_without_sentiment`.
    """
    accepted, refused, notes = validate.accept(batch, RULES, EXPERIENCE)
    scores = scaled(Events.of(pa.Table.from_batches([accepted])))
    for name, mask in (
        ("score_outside_scale", scores.is_outside),
        ("score_without_scale", scores.has_no_scale),
        ("text_without_sentiment", _unscored(accepted)),
    ):
        if mask.any():
            notes[name] = int(mask.sum())
    return accepted, refused, notes
