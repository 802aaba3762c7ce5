"""What a runner of Beam says in a text is raised as what its workers raised."""

from __future__ import annotations

from pathlib import Path

import pytest

from rejse.pipelines.jobs import beam_errors
from rejse.pipelines.jobs.beam_errors import NoJobServerError, RunnerError
from rejse.pipelines.jobs.request import RunRequest
from rejse.pipelines.jobs.run import run
from rejse.transforms.code_version import WorkerVersionError
from tests.support.installation import installation, lines, row
from tests.support.kafka_broker import free_port

#: As Flink's job server says it, shortened.
TEXT = """\
Pipeline BeamApp failed in state FAILED: java.lang.RuntimeException: Error received from SDK harness
Traceback (most recent call last):
  File "/app/bundle_processor.py", line 1950, in _create_pardo_operation
    dofn_data = pickler.loads(serialized_fn)
{}

\tat org.apache.beam.runners.fnexecution.control.FnApiControlClient$ResponseStreamObserver.onNext
"""
REFUSED = "expected a worker of the version that planned the graph, a; this one is b"


def raised(line: str) -> BaseException:
    with pytest.raises(Exception) as caught, beam_errors.translated():
        raise RuntimeError(TEXT.format(line))
    return caught.value


@pytest.mark.parametrize("more", ("", " [while running 'Read-ptransform-9']"))
def test_an_error_of_ours_is_what_it_was(more: str) -> None:
    fault = raised(f"rejse.transforms.code_version.WorkerVersionError: {REFUSED}{more}")
    assert isinstance(fault, WorkerVersionError) and str(fault) == REFUSED


def test_an_error_that_takes_more_than_a_text_is_told_by_its_name() -> None:
    fault = raised("rejse.pipelines.publication.audit.AuditError: three findings")
    assert type(fault) is RunnerError and str(fault) == "AuditError: three findings"


@pytest.mark.parametrize(
    "line",
    (
        "ValueError: not ours",
        "rejse.no.such.module.AnError: of another version",
        "rejse.pipelines.jobs.run.run: no error",
    ),
)
def test_what_is_not_ours_stays_as_it_is(line: str) -> None:
    assert type(raised(line)) is RuntimeError


def test_a_job_server_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    """Beam would wait for it for ever."""
    project = installation(tmp_path, {"log.jsonl": lines([row(1)])})
    options = ["--runner=PortableRunner", f"--job_endpoint=127.0.0.1:{free_port()}"]
    with pytest.raises(NoJobServerError, match="job_endpoint"):
        run(project, RunRequest(beam_args=options))
