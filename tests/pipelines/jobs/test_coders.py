"""Arrow elements travel unchanged, and their size is asked for, not tried."""

from __future__ import annotations

from typing import Any

import apache_beam as beam
import pytest

from rejse.pipelines.jobs import beam_coders
from rejse.pipelines.sources.files import RawBatch
from rejse.transforms.incremental.table_rows import TableRows
from rejse.transforms.ingest import rejects
from tests.support import builders

ROWS = builders.table([{"time": n, "intent": "bill"} for n in range(5)]).combine_chunks()


def elements() -> list[Any]:
    batch = ROWS.to_batches()[0]
    raw = RawBatch("crm", "a.csv", 1, batch, None, rejects.empty())
    return [ROWS, ROWS.slice(0, 0), batch, batch.slice(1, 2), batch.slice(0, 0), raw,
            TableRows("events", ROWS)]  # fmt: skip


@pytest.mark.parametrize("element", elements(), ids=lambda e: type(e).__name__)
def test_elements_travel_unchanged(element: Any) -> None:
    beam_coders.register()
    coder = beam.coders.registry.get_coder(type(element))
    again = coder.decode(coder.encode(element))
    assert type(again) is type(element)
    assert again == element


def test_size_is_not_found_by_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    beam_coders.register()
    for element in elements():
        coder = beam.coders.registry.get_coder(type(element))
        monkeypatch.setattr(type(coder), "encode", lambda self, value: pytest.fail("encoded"))
        size, _ = coder.get_impl().get_estimated_size_and_observables(element)
        assert size == element.nbytes
        monkeypatch.undo()
