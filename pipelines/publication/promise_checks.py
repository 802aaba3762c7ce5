"""Claims of campaigns, judged by the user's SQL where no event delivers them
(docs/reference/friction.md#promises).

A check is one SELECT over the published tables and views with the columns `customer_key`,
`promise_id` and `status` (kept or broken). It becomes a view of the publication and is never
evidence: friction is a function of the events alone. It may use neither the clock nor chance, so
that the same publication gives the same answer again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rejse.pipelines.config.field_types import SettingsError
from rejse.transforms.schema.contract import CUSTOMER_KEY

if TYPE_CHECKING:
    import duckdb

VIEW = "v_promise_checks"
COLUMNS = (CUSTOMER_KEY, "promise_id", "status")
STATUS = ("kept", "broken")
_ABOUT = {
    "check_name": "Check of the configuration (promise_checks) that judged.",
    CUSTOMER_KEY: "Customer to whom the promise was made.",
    "promise_id": "Promise, unique for its customer.",
    "status": "kept or broken, as the check says.",
}


def define(con: duckdb.DuckDBPyConnection, checks: Mapping[str, str]) -> None:
    """Create a view for each check, and `v_promise_checks` over all; empty without checks.

    Raises SettingsError where a check is not one SELECT with the three columns. Checks are bound,
    not run: what they may open follows from the lockdown of `con`.
    """
    for name, text in checks.items():
        _define_one(con, name, text)
    parts = [
        f"select '{name}' as check_name, {_typed()} from {_view(name)}" for name in checks
    ] or [
        "select cast(null as varchar) as check_name, "
        + ", ".join(f"cast(null as varchar) as {column}" for column in COLUMNS)
        + " where false"
    ]
    con.execute(f"create or replace view {VIEW} as {' union all by name '.join(parts)}")
    con.execute(
        f"comment on view {VIEW} is 'One row per check and promise that it judges. A view over "
        "what is published and never evidence: no friction or health changes by it.'"
    )
    _comment(con, VIEW, ("check_name", *COLUMNS))


def refuse_rows(con: duckdb.DuckDBPyConnection) -> None:
    """Run all checks; raises SettingsError for an unlawful status or key, or a failing check."""
    import duckdb

    unlike = "status is null or status not in ('kept', 'broken')"
    try:
        unlawful = con.execute(
            f"select check_name, status, count(*) from {VIEW} where {unlike}"
            " or customer_key is null or promise_id is null group by all order by all limit 1"
        ).fetchone()
    except duckdb.Error as fault:
        raise SettingsError(
            f"promise_checks: expected checks that run over what is to be published, came: {fault}"
        ) from None
    if unlawful is None:
        return
    name, status, rows = unlawful
    problem = "no customer_key or no promise_id" if status in STATUS else f"status {status!r}"
    raise SettingsError(
        f"promise_checks.{name}: expected customer_key, promise_id and a status of kept or broken "
        f"in each row, came {problem} in {rows:,}; nothing was published"
    )


def _define_one(con: duckdb.DuckDBPyConnection, name: str, text: str) -> None:
    import duckdb

    from rejse.pipelines.publication import steady_sql

    try:
        kinds = [statement.type.name for statement in con.extract_statements(text)]
        if kinds != ["SELECT"]:
            raise _refused(name, f"{len(kinds)} ({', '.join(kinds).lower()})")
        if problem := steady_sql.problem(text):
            raise _refused(name, problem)
        con.execute(f"create view {_view(name)} as\n{text}\n")
        columns = [row[0] for row in con.execute(f"describe {_view(name)}").fetchall()]
    except duckdb.Error as fault:
        raise _refused(name, f"one that fails: {fault}") from None
    if sorted(columns) != sorted(COLUMNS):
        raise _refused(name, f"the columns {', '.join(columns)}")
    con.execute(
        f"comment on view {_view(name)} is "
        f"'One row per promise that the check {name} judges. Never evidence.'"
    )
    _comment(con, _view(name), COLUMNS)


def _refused(name: str, problem: str) -> SettingsError:
    return SettingsError(
        f"promise_checks.{name}: expected one SELECT over the published tables and views with "
        f"the columns {', '.join(COLUMNS)}, came {problem}; nothing was published"
    )


def _comment(con: duckdb.DuckDBPyConnection, view: str, names: tuple[str, ...]) -> None:
    for name in names:
        con.execute(f"comment on column {view}.{name} is '{_ABOUT[name]}'")


def _view(name: str) -> str:
    return f'"v_promise_check_{name}"'


def _typed() -> str:
    return ", ".join(f"cast({column} as varchar) as {column}" for column in COLUMNS)
