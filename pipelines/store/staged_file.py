"""What is known of a data file of the store without opening it."""

from __future__ import annotations

from dataclasses import dataclass

#: The column by whose values files are skipped.
KEY = "customer_key"
#: Customer keys are hexadecimal digits: all lie between these two.
FIRST_KEY, LAST_KEY = "", "g"


@dataclass(frozen=True)
class StagedFile:
    """A written file; `path` is relative to the store, with `/`.

    Its customer keys lie between `first` and `last`.
    """

    table: str
    path: str
    rows: int
    bytes: int
    first: str = FIRST_KEY
    last: str = LAST_KEY
