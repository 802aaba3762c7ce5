"""The Beam edge of the steps: one PTransform for each step of the graph."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import apache_beam as beam

from rejse.transforms.code_version import code_version, refuse_other
from rejse.transforms.steps import KEPT, Step


class Apply(beam.PTransform):  # type: ignore[misc]
    """Apply a step to elements, with values of side inputs.

    Returns the outputs by name where the step has some beside `KEPT`, else those alone.
    """

    def __init__(self, step: Step, *sides: Any) -> None:
        super().__init__()
        self._step, self._sides = step, sides

    def expand(self, elements: beam.PCollection) -> Any:
        """Return the outputs of the step."""
        fn = (_StepWithSides if self._sides else _StepFn)(self._step)
        work = beam.ParDo(fn, *self._sides).with_output_types(self._step.element)
        if not self._step.outputs:
            return elements | work
        return elements | work.with_outputs(*self._step.outputs, main=KEPT)


class Travelling(beam.DoFn):  # type: ignore[misc]
    """A DoFn with one part, which travels with the version of its code.

    A worker compares that before it looks at the part. Raises WorkerVersionError there.
    """

    def __init__(self, part: Any) -> None:
        self._part = part

    def __getstate__(self) -> tuple[str, bytes]:
        return code_version(), pickle.dumps(self._part)

    def __setstate__(self, state: tuple[str, bytes]) -> None:
        planned, part = state
        refuse_other(planned)
        self._part = pickle.loads(part)


class _StepFn(Travelling):
    """Runs a step."""

    _part: Step

    def setup(self) -> None:
        self._part.setup()

    def start_bundle(self) -> None:
        self._part.start_bundle()

    def process(self, element: Any) -> Iterator[Any]:
        for name, value in self._part.process(element):
            yield value if name == KEPT else beam.pvalue.TaggedOutput(name, value)

    def finish_bundle(self) -> Iterator[Any]:
        for name, value in self._part.finish_bundle():
            windowed = beam.transforms.window.GlobalWindows.windowed_value(value)
            yield windowed if name == KEPT else beam.pvalue.TaggedOutput(name, windowed)


class _StepWithSides(_StepFn):
    """Beam takes any number of side inputs for a wrong type where there are none."""

    def process(self, element: Any, *sides: Any) -> Iterator[Any]:
        for name, value in self._part.process(element, *sides):
            yield value if name == KEPT else beam.pvalue.TaggedOutput(name, value)
