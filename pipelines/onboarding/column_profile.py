"""Profile the values of raw columns; mappings are guessed from the profiles."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rejse.pipelines.onboarding import time_formats
from rejse.pipelines.onboarding.personal_words import fold
from rejse.transforms.schema.contract import CHANNELS

if TYPE_CHECKING:
    import pyarrow as pa

VALUES = 2_000
MISSING = ("?", "null", "none", "n/a", "na", "-", "undefined", "nan", "unknown")
ENOUGH = 0.95
_ZONE = re.compile(r"(?:Z|[A-Z]{3,4}|[A-Z][a-z]+/[A-Za-z_/]+|[+-]\d\d(?::?\d\d)?)$")
#: The half of the day, which is no zone.
_HALF = re.compile(r"\s*[AaPp][Mm]$")
#: Personal data anywhere in a value (RE2), looked for in all rows of a sample: mail addresses,
#: page addresses with a query, tokens.
PERSONAL = r"(?i)[^@\s](?:@|%40)[\w-]+\.[a-z]|\?[\w.-]+=|\beyj[\w-]{8,}\.|\bbearer\s"
#: Values taken of those that match it.
PERSONAL_VALUES = 5
#: Other names of the contract's channels.
CHANNEL_WORDS = {
    "call": "phone", "telephone": "phone", "tel": "phone", "voice": "phone", "callcenter": "phone",
    "mail": "email", "e-mail": "email", "website": "web", "desktop": "web", "browser": "web",
    "online": "web", "self service": "web", "self-service": "web", "portal": "web",
    "mobile": "app", "ios": "app", "android": "app", "mobile app": "app", "mobile_app": "app",
    "store": "branch", "shop": "branch", "in person": "visit", "in_person": "visit",
    "field": "visit", "bot": "chatbot", "livechat": "chat", "live chat": "chat",
    "whatsapp": "chat", "messenger": "chat", "post": "letter", "facebook": "social",
    "twitter": "social", "instagram": "social", "text": "sms", "newsletter": "campaign",
    "telefon": "phone", "telefonisk": "phone", "opkald": "phone", "teléfono": "phone",
    "telefono": "phone", "e-post": "email", "correo": "email", "hjemmeside": "web",
    "brev": "letter", "brief": "letter", "list": "letter", "carta": "letter", "butik": "branch",
    "filial": "branch", "filiale": "branch", "oddział": "branch", "sucursal": "branch",
}  # fmt: skip


def snake(name: str) -> str:
    """Return a name in lower case with underscores and without accents.

    `org:resource` and `orgResource` become `org_resource`, `Årsag` becomes `arsag`.
    """
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return re.sub(r"[^a-z0-9]+", "_", fold(spaced)).strip("_")


@dataclass(frozen=True)
class Profile:
    """A raw column: its name, type, up to `VALUES` values from all over the sample, counts.

    In a larger sample some values with personal data are added, however rare they are.
    """

    name: str
    kind: pa.DataType
    n_rows: int
    n_null: int
    n_distinct: int
    values: tuple[Any, ...]

    @cached_property
    def snake(self) -> str:
        """Name in lower case with underscores."""
        return snake(self.name)

    @cached_property
    def missing(self) -> str | None:
        """The text that means a missing value, such as `?`."""
        seen = Counter(v for v in self.values if isinstance(v, str) and v.lower() in MISSING)
        return seen.most_common(1)[0][0] if seen else None

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """The values as text, without missing ones."""
        return tuple(
            str(v) for v in self.values if not (isinstance(v, str) and v.lower() in MISSING)
        )

    @property
    def is_nested(self) -> bool:
        """Return whether it holds lists, structs or maps."""
        return bool(self.kind.num_fields > 0)

    def fits(self, words: Sequence[str]) -> bool:
        """Return whether nearly all values are among these words, whatever their case."""
        return self._share(lambda text: text.strip().lower() in words) >= ENOUGH

    def channels(self) -> dict[str, str]:
        """Return the channel by value in lower case, where most values name one; else empty."""
        lower = Counter(text.strip().lower() for text in self.texts)
        channels = {
            w: CHANNEL_WORDS.get(w, w) for w in lower if w in CHANNELS or w in CHANNEL_WORDS
        }
        share = sum(lower[w] for w in channels) / max(1, len(self.texts))
        return channels if share >= 0.8 else {}

    @property
    def has_no_zone(self) -> bool:
        """Return whether it holds times of which none names its zone."""
        if str(self.kind).startswith("timestamp"):
            return "tz=" not in str(self.kind)
        clocks = [_HALF.sub("", text.strip()) for text in self.texts if ":" in text]
        return bool(clocks) and not any(_ZONE.search(text) for text in clocks)

    def _share(self, test: Any) -> float:
        return sum(map(test, self.texts)) / len(self.texts) if self.texts else 0.0

    def time_sql(self, quoted: str) -> tuple[str, str] | None:
        """Return SQL that reads the column as a time, and why; None where it holds no times."""
        time = self.time(quoted)
        return None if time is None else (time.sql, time.why)

    def time(self, quoted: str) -> time_formats.ReadTime | None:
        """Return how the column is read as a time; None where it holds no times."""
        name = str(self.kind)
        if name.startswith(("timestamp", "date")):
            return time_formats.ReadTime(quoted, f"its type {name}")
        if not self.texts or self.is_nested or name == "bool":
            return None
        given = quoted
        if self.missing is not None:
            given = f"nullif({quoted}, '{self.missing}')"
        return time_formats.read(self.texts, given, self.snake, is_text=name == "string")


def zone(columns: Sequence[Profile], sql: str) -> list[str]:
    """Explain in comments the zone assumed for times without one, and how to change it.

    `columns` are the raw columns that `sql` reads as a time.
    """
    if not any(column.has_no_zone for column in columns) or len(sql.splitlines()) > 1:
        return []
    plain = sql.replace("as timestamptz)", "as timestamp)")
    return [
        "-- No time names its zone, so all are taken as UTC. Where they are local times, write",
        f"-- timezone('Europe/Copenhagen', {plain}) as time, with the zone that holds.",
    ]


def profiles(table: pa.Table) -> list[Profile]:
    """Profile every column of a sample."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    profiled = []
    stride = max(1, table.num_rows // VALUES)
    for field, column in zip(table.schema, table.columns, strict=True):
        nested = field.type.num_fields > 0
        present = column.drop_null()
        values = _plain(present.take(np.arange(0, len(present), stride)))[:VALUES]
        if stride > 1 and pa.types.is_string(field.type):
            telling = present.filter(pc.match_substring_regex(present, PERSONAL))
            values += telling.slice(0, PERSONAL_VALUES).to_pylist()
        profiled.append(
            Profile(
                name=field.name,
                kind=field.type,
                n_rows=table.num_rows,
                n_null=column.null_count,
                n_distinct=0 if nested else _distinct(present),
                values=tuple(values),
            )
        )
    return profiled


def _distinct(present: pa.ChunkedArray) -> int:
    """Count different values, also of types that Arrow does not count, such as null."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        return int(pc.count_distinct(present).as_py())
    except pa.ArrowNotImplementedError:
        return len({str(value) for value in _plain(present)})


def _plain(column: pa.ChunkedArray) -> list[Any]:
    """Convert to Python values; times that Python cannot hold become what DuckDB returns."""
    import pyarrow as pa

    try:
        return list(column.to_pylist())
    except (ValueError, OverflowError):
        import duckdb

        with duckdb.connect() as con:
            rows = con.from_arrow(pa.table({"value": column})).fetchall()
        return [row[0] for row in rows]
