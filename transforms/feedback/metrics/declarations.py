"""Declarations that several metrics of feedback share but for their label."""

from __future__ import annotations

from functools import partial

import pyarrow as pa

from rejse.transforms.schema.registry import metric

#: A count of feedback records of a journey, known wherever the journey has any.
answer_count = partial(metric, "journey_experience", pa.int32(), unit="1", low=0, nullable=False)
#: What customers felt about a journey, from 0 (worst) to 1 (best).
feedback_score = partial(
    metric, "journey_experience", pa.float64(), unit="1", low=0, high=1,
    direction="higher_is_better",
)  # fmt: skip
