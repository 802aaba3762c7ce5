"""The core as one call, for tests that look at nothing between."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from rejse.transforms.core import build_context, score_journeys
from rejse.transforms.dimensions.tables import Operational
from rejse.transforms.features.context import JourneyContext
from rejse.transforms.journeys.sessionise import sessionise
from rejse.transforms.schema.parameters import Rules
from tests.support import builders
from tests.support.transcript import Transcript, operational_of


def score_events(
    events: pa.Table, data: Operational, rules: Rules, frontiers: Mapping[str, int]
) -> dict[str, pa.Table]:
    return score_journeys(build_context(events, data, rules, frontiers))


def context_of(t: Transcript) -> JourneyContext:
    data = operational_of(t)
    return JourneyContext(
        sessionise(builders.table(t.events), data, t.rules), data, t.rules, t.frontiers
    )


def score_transcript(transcript: Transcript, events: pa.Table) -> dict[str, pa.Table]:
    return score_events(events, operational_of(transcript), transcript.rules, transcript.frontiers)
