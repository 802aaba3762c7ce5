"""A run over the synthetic company, with what is true of it."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from rejse.pipelines.config.settings import load
from rejse.pipelines.demo import write
from rejse.pipelines.demo.planted_friction import Truths
from rejse.pipelines.jobs.request import RunRequest
from rejse.pipelines.jobs.run import RunResult, run
from rejse.pipelines.publication.catalogue import connect
from rejse.pipelines.reporting.explain.journey import explain

KEY = "5a" * 32


@dataclass(frozen=True)
class CompanyRun:
    """A finished run over sample data, with what is true of it."""

    con: duckdb.DuckDBPyConnection
    truths: Truths
    result: RunResult

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        return self.con.execute(query, list(values)).fetchall()

    def value(self, query: str, *values: Any) -> Any:
        ((value,),) = self.rows(query, *values)
        return value

    def journeys(self, name: str) -> list[dict[str, Any]]:
        answer = self.con.execute(
            "select * from v_journeys where customer_key = ? order by started_at", [key_of(name)]
        )
        names = [column[0] for column in answer.description]
        return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]

    def felt(self, journey: dict[str, Any]) -> dict[str, Any]:
        """The journey's row of `journey_experience`."""
        answer = self.con.execute(
            "select * from v_journey_experience where journey_id = ?", [journey["journey_id"]]
        )
        names = [column[0] for column in answer.description]
        ((row,),) = ([dict(zip(names, values, strict=True))] for values in answer.fetchall())
        return row

    def explained(self, journey: dict[str, Any]) -> str:
        """The journey told in words."""
        return explain(self.con, journey["journey_id"]).text()

    def evidence(self, journey: dict[str, Any]) -> dict[str, float]:
        rows = self.rows(
            "select kind, sum(severity) from v_friction_evidence where journey_id = ? group by all",
            journey["journey_id"],
        )
        return dict(rows)


def key_of(name: str) -> str:
    text = f"customer:{name}".encode()
    return hmac.new(bytes.fromhex(KEY), text, hashlib.sha256).hexdigest()[:32]


@contextmanager
def running(folder: Path, truths: Truths) -> Iterator[CompanyRun]:
    """Run the company in the folder up to its end, and open what came of it."""
    settings = load(folder / "rejse.toml")
    end = int(datetime.fromisoformat(truths.end).timestamp()) * 1_000_000
    result = run(
        settings, RunRequest(complete=True, complete_until=dict.fromkeys(settings.sources, end))
    )
    con = connect(settings.store)
    yield CompanyRun(con, truths, result)
    con.close()


def company(folder: Path, customers: int = 2_500) -> Truths:
    """Write the synthetic company with its stories."""
    return write.write(folder, customers=customers, key=KEY)
