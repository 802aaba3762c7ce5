"""Airflow: publish what is new every hour, maintain the store every night.

Put this file into the folder of DAGs and set the variable REJSE_CONFIG for the workers; `rejse`
must be on their PATH, in an environment of its own (its versions are not Airflow's). The line of
JSON that a command prints is the task's result (XCom `return_value`).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

#: Another run holds the store, and does the work of this one: skipped, not failed.
ANOTHER_WRITER = 75
DEFAULTS = {
    "append_env": True,  # PATH and REJSE_CONFIG of the worker
    "execution_timeout": timedelta(hours=2),
    "skip_on_exit_code": ANOTHER_WRITER,
}


def command(name: str) -> str:
    """Return a command on the configuration that the worker names."""
    return f'rejse {name} --config "$REJSE_CONFIG" --json'


# One at a time: a run reads all that is new, so missed hours need no runs of their own.
with DAG(
    "rejse",
    schedule="7 * * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
):
    BashOperator(task_id="run", bash_command=command("run"))

with DAG(
    "rejse_care",
    schedule="40 3 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
):
    compact = BashOperator(task_id="compact", bash_command=command("compact"))
    vacuum = BashOperator(task_id="vacuum", bash_command=command("vacuum"))
    compact >> vacuum
