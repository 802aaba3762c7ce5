"""A step that travels to a worker is refused by one of another version."""

from __future__ import annotations

import pickle

import pytest

from rejse.transforms import code_version, ptransforms
from rejse.transforms.code_version import WorkerVersionError
from rejse.transforms.steps import Accept


def test_a_worker_of_the_same_version_takes_the_step() -> None:
    taken = pickle.loads(pickle.dumps(ptransforms._StepFn(Accept())))
    assert isinstance(taken._part, Accept)


def test_a_worker_of_another_version_refuses_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    travelling = pickle.dumps(ptransforms._StepFn(Accept()))
    planned = code_version.code_version()
    monkeypatch.setattr(code_version, "code_version", lambda: "rejse of tomorrow")
    with pytest.raises(WorkerVersionError) as refused:
        pickle.loads(travelling)
    assert planned in str(refused.value) and "rejse of tomorrow" in str(refused.value)
