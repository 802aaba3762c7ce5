"""What the company says of its touchpoints, journey types and fields."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from tests.bench.polars import agreed, codes
from tests.bench.polars.agreed import Agreed
from tests.bench.polars.codes import DAY, NAME, OUTCOME, TOUCHPOINT, TYPE

#: Of a type that the company does not know.
GAP, CASE_GAP, REOPEN_WINDOW, CAP, HANDOFF_DUE = 30, 90, 14, 365, 3
END_OUTCOMES = "resolved;sold"
#: Bad ends of all types, where they are no good ones.
WEAK_OUTCOMES = ("unresolved", "abandoned", "declined")


#: Strands of a customer are numbered: his case-less ones by type, from here on his cases.
FIRST_CASE = 1 << 16


@dataclass(frozen=True)
class Cases:
    """Names of all cases by their code; what the desk says of each: its kind, and since when."""

    names: pl.Series
    kinds: pl.Series
    since: pl.Series


@dataclass(frozen=True)
class Company:
    """Small tables, and the first instant after which the log may still grow."""

    places: pl.DataFrame
    types: pl.DataFrame
    fields: pl.DataFrame
    levels: Agreed
    rates: Agreed
    cases: Cases
    passed: int

    @property
    def is_priced(self) -> bool:
        """Whether there are rates of costs."""
        return any(column.is_not_null().any() for column in self.rates.rows)

    @staticmethod
    def is_case(strand: pl.Expr) -> pl.Expr:
        """Strands that are cases."""
        return strand >= FIRST_CASE

    @property
    def largest_gap(self) -> int:
        """The longest silence that any type allows, microseconds."""
        gaps: list[int] = self.types["gap"].to_list()
        return max(GAP * DAY, *gaps)


def no_cases() -> Cases:
    """Cases of a log that has none."""
    return Cases(*(pl.Series([], dtype=kind) for kind in (pl.String, TYPE, pl.Int64)))


def read_cases(folder: Path, names: pl.Categorical) -> Cases:
    """Cases of a log whose events were read with these names; the desk's rows may lack some."""
    files = sorted((folder / "data" / "cases").glob("*.parquet"))
    if not files:
        return no_cases()
    recorded = pl.read_parquet(files).select(
        pl.col("case_no").cast(names).to_physical().alias("code"),
        pl.col("journey_type").cast(TYPE).alias("kind"),
        pl.col("opened_at").dt.timestamp("us").alias("since"),
    )
    known = names.categories.to_series()
    all_codes = pl.DataFrame({"code": pl.int_range(len(known), dtype=pl.UInt32, eager=True)})
    joined = all_codes.join(recorded, on="code", how="left", maintain_order="left")
    return Cases(known.cast(pl.String), joined["kind"], joined["since"])


def read(tables: Path, kinds: pl.Series, frontier: int, cases: Cases | None = None) -> Company:
    """Company of a log with these journey types, whose latest time is `frontier`."""
    cases = cases or no_cases()
    places = pl.read_csv(tables / "touchpoints.csv", infer_schema_length=None).select(
        pl.col("touchpoint").cast(TOUCHPOINT),
        pl.col("owner").cast(NAME).alias("place_owner"),
        pl.col("team").cast(NAME),
        pl.coalesce("silo", "owner").cast(NAME).alias("place_silo"),
        pl.col("system").cast(NAME),
        pl.col("journey_type").cast(TYPE).alias("place_kind"),
        pl.col("stage").cast(pl.Enum(["before", "during", "after"])),
        "expected_wait_s",
        "is_moment_of_truth",
    )
    journey_types = pl.concat(
        [kinds, cases.kinds, places["place_kind"], pl.Series(["other"], dtype=TYPE)]
    )
    types = _types(tables / "journey_types.csv", journey_types.drop_nulls().unique())
    fields = pl.read_csv(
        tables / "touchpoint_fields.csv", schema_overrides={"valid_from": pl.String}
    ).select(
        pl.col("touchpoint").cast(TOUCHPOINT),
        pl.col("field").cast(codes.FIELD),
        "op",
        _instant("valid_from"),
        _instant("valid_to"),
    )
    levels, rates = agreed.levels(tables / "slas.csv"), agreed.rates(tables / "cost_rates.csv")
    return Company(places, types, fields, levels, rates, cases, frontier - codes.LATENESS)


def _types(file: Path, kinds: pl.Series) -> pl.DataFrame:
    known = pl.read_csv(file, infer_schema_length=None)
    outcomes = OUTCOME.categories.to_list()
    weak = sum(1 << outcomes.index(o) for o in WEAK_OUTCOMES)
    end_bits = pl.sum_horizontal(
        pl.col("end_outcomes").fill_null(END_OUTCOMES).str.split(";").list.contains(o)
        * pl.lit(1 << n, pl.UInt32)
        for n, o in enumerate(outcomes)
    ).cast(pl.UInt32).alias("end_bits")  # fmt: skip
    return (
        kinds.to_frame("kind")
        .join(known.with_columns(kind=pl.col("journey_type").cast(TYPE)), on="kind", how="left")
        .select(
            "kind",
            pl.col("owner").cast(NAME).alias("type_owner"),
            _days("gap", GAP),
            _days("case_gap", CASE_GAP),
            _days("reopen_window", REOPEN_WINDOW),
            _days("cap", CAP),
            _days("handoff_due", HANDOFF_DUE),
            end_bits,
            (pl.lit(weak, pl.UInt32) & ~end_bits).alias("weak_bits"),
            pl.col("expects_outcome").cast(pl.Boolean),
            pl.col("is_problem").cast(pl.Boolean).fill_null(False),
        )
    )


def _days(column: str, otherwise: int) -> pl.Expr:
    days = pl.col(column).str.strip_suffix("d").cast(pl.Int64)
    return (days.fill_null(otherwise) * DAY).alias(column)


def _instant(column: str) -> pl.Expr:
    day = pl.col(column).cast(pl.String).str.to_datetime("%Y-%m-%d", time_unit="us")
    return day.dt.timestamp("us").alias(column)
