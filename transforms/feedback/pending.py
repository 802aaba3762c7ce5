"""Deadlines of answers, as rows of `pending`."""

from __future__ import annotations

import pyarrow as pa

from rejse.transforms.feedback.answers import Answers
from rejse.transforms.journeys.watermarks import passed
from rejse.transforms.schema import contract
from rejse.transforms.scoring.pending import earliest


def of_answers(answers: Answers, watermark: int) -> pa.Table:
    """Return the earliest deadline of each customer over their answers.

    An answer is pending while an identity link can move it, and until its source is complete beyond
    the windows for answers and for actions.
    """
    events, lateness = answers.events, answers.windows.lateness
    customer = events.coded(contract.CUSTOMER_KEY)
    known = events.time + answers.windows.identity_wait
    parts = [earliest(customer, known, ~passed(known, watermark, lateness))]
    source = events.coded("source")
    for code, name in enumerate(source.names.to_pylist()):
        of_source = source.codes == code
        for until in (answers.ignored_due, answers.answer_due):
            open_ = of_source & ~passed(until, answers.complete_until, lateness)
            parts.append(earliest(customer, until, open_, name))
    return pa.concat_tables(parts)
