"""Read, row rules, codes, keyed pseudonyms, duplicates. Grain: one event."""

from __future__ import annotations

from dataclasses import dataclass, field

import polars as pl
import polars_hash as plh

from tests.bench.polars import codes
from tests.bench.polars.codes import NAME

BLOCK = 64
FIRST, LAST = pl.datetime(1970, 1, 1, time_zone="UTC"), pl.datetime(2200, 1, 1, time_zone="UTC")


@dataclass(frozen=True)
class Key:
    """The two padded blocks of HMAC-SHA-256."""

    inner: bytes
    outer: bytes

    @classmethod
    def of(cls, key: bytes) -> Key:
        """Blocks of a key of at most 64 bytes."""
        block = key.ljust(BLOCK, b"\0")
        return cls(bytes(b ^ 0x36 for b in block), bytes(b ^ 0x5C for b in block))

    def keyed(self, text: pl.Expr, digits: int) -> pl.Expr:
        """First digits of the HMAC of a text."""
        inner = hashed(pl.lit(self.inner) + text.cast(pl.Binary)).str.decode("hex")
        return hashed(pl.lit(self.outer) + inner).str.slice(0, digits)


def hashed(text: pl.Expr) -> pl.Expr:
    """SHA-256 in hexadecimal digits."""
    return plh.CryptographicHashingNameSpace(text).sha2_256()


def frontier(data: str) -> int:
    """Latest time of the log, accepted or not, in microseconds."""
    latest = pl.scan_parquet(data).select(pl.col("time").dt.timestamp("us").max())
    return int(latest.collect().item())


@dataclass(frozen=True)
class Names:
    """Names that are given codes as they come: of customers and of cases."""

    people: pl.Categorical = field(default_factory=lambda: _random("people"))
    cases: pl.Categorical = field(default_factory=lambda: _random("cases"))
    #: Codes are forgotten with the last column that has them.
    kept: list[pl.Series] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.kept.extend(pl.Series([], dtype=kind) for kind in (self.people, self.cases))

    def customers(self, key: Key) -> pl.DataFrame:
        """Pseudonym of each customer read so far, in order of the codes."""
        named = pl.lit("customer:") + pl.col("identity")
        people = self.people.categories.to_series().to_frame("identity")
        return people.select(key.keyed(named, 32).alias("customer_key"))


def _random(name: str) -> pl.Categorical:
    return pl.Categorical(pl.Categories.random(f"rival_{name}"))


def read(data: str, key: Key, names: Names) -> pl.DataFrame:
    """Accepted events; `customer` is the code of a customer's name."""
    raw = pl.scan_parquet(data)
    known = raw.collect_schema().names()
    # Some logs have neither visits nor cases.
    raw = raw.with_columns(
        pl.lit(None, pl.String).alias(n) for n in ("visit", "case_no") if n not in known
    )
    events = raw.pipe(_coded, key, names).collect(engine="streaming")
    events = without_duplicates(events).with_columns(pl.col("id").cast(pl.String))
    events = events.with_columns(pl.col("identity").to_physical().alias("customer"))
    return events.drop("identity")


def _coded(raw: pl.LazyFrame, key: Key, names: Names) -> pl.LazyFrame:
    return raw.filter(
        pl.col("id").is_not_null(),
        pl.col("time") >= FIRST,
        pl.col("time") < LAST,
        pl.col("identity") != "",
        pl.col("activity") != "",
        pl.col("channel") != "",
        pl.col("direction").is_in(codes.DIRECTION.categories.implode()),
        pl.col("actor_type").is_in(codes.ACTOR.categories.implode()),
        (pl.col("wait_s") >= 0).fill_null(True),
        (pl.col("talk_s") >= 0).fill_null(True),
    ).select(
        pl.col("identity").cast(names.people),
        "id",
        "time",
        pl.col("channel").cast(codes.CHANNEL, strict=False).fill_null("other"),
        pl.col("activity").cast(codes.ACTIVITY),
        pl.col("direction").cast(codes.DIRECTION),
        pl.col("actor_type").cast(codes.ACTOR),
        pl.col("touchpoint").cast(codes.TOUCHPOINT),
        pl.col("owner").cast(NAME),
        pl.col("journey_type").cast(codes.TYPE),
        pl.col("visit").alias("correlationid"),
        pl.col("case_no").cast(names.cases).alias("case_id"),
        pl.col("intent").cast(codes.INTENT),
        pl.when(pl.col("outcome").is_not_null()).then(
            pl.col("outcome").cast(codes.OUTCOME, strict=False).fill_null("other")
        ),
        pl.col("to_owner").cast(NAME),
        "wait_s",
        "talk_s",
        pl.col("message_kind").cast(codes.MESSAGE, strict=False),
        pl.col("relevance_basis").cast(codes.BASIS, strict=False),
        pl.col("info").list.eval(_answer(key)),
        pl.when(pl.col("promise_no").is_not_null())
        .then(
            pl.struct(id="promise_no", kind="promise_kind", op="promise_op", due_time="promise_due")
        )
        .alias("promise"),
    )


def _answer(key: Key) -> pl.Expr:
    name, answer = (pl.element().struct.field(part) for part in ("name", "answer"))
    signed = key.keyed(name + pl.lit("\x1f") + answer, 16)
    return pl.struct(
        name.alias("field"),
        pl.element().struct.field("use").alias("op"),
        signed.alias("value_hmac"),
    )


def without_duplicates(events: pl.DataFrame) -> pl.DataFrame:
    """Events with each id once; of several rows the least, columns by their names."""
    if events["id"].n_unique() == len(events):
        return events
    columns = sorted(set(events.columns) - {"info", "promise"})
    return events.sort(columns).unique("id", keep="first", maintain_order=True)
