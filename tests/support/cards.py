"""Cards of a story by the core alone: its events and answers up to a moment, scored."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import pyarrow as pa

from rejse.pipelines.reporting.card.card import Card, Rules, card_of
from rejse.transforms.core import build_context, score_journeys
from rejse.transforms.feedback.attach import attach
from rejse.transforms.schema.registry import LIVE
from tests.support import builders
from tests.support.transcript import Transcript, operational_of


def tables_at(story: Transcript, now: datetime) -> dict[str, pa.Table]:
    """The tables of a story when only what happened before a moment is known."""
    happened = [e for e in story.events if builders.moment(e["time"]) < now]
    heard = [x for x in story.experience if builders.moment(x["time"]) < now]
    until = dict.fromkeys(story.frontiers, builders.micros(now))
    events = builders.table(happened)
    context = build_context(events, operational_of(story), story.rules, until)
    scored = score_journeys(context)
    feedback: dict[str, pa.Table] = {}
    if heard:
        x_until = dict.fromkeys(story.x_frontiers, builders.micros(now))
        answers = builders.x_table(heard)
        feedback = attach(answers, context.sessionised, scored, story.rules, until, x_until)
    return {**scored, **feedback, "events": events}


def live(tables: Mapping[str, pa.Table]) -> dict[str, list[pa.Table]]:
    """The tables as they are stored while nothing is final."""
    return {name if name == "events" else name + LIVE: [rows] for name, rows in tables.items()}


def rules_of(story: Transcript) -> Rules:
    """Settings of a story that a card depends on."""
    rules = story.rules
    windows = rules.windows
    return Rules(windows.lateness, windows.volatile_fields, rules.types, rules.default_type)


def card_at(story: Transcript, now: datetime, customer: str = "ann") -> Card:
    """The card of a customer at a moment; all sources are complete up to it."""
    tables = live(tables_at(story, now))
    micros = builders.micros(now)
    return card_of(builders.key_of(customer), tables, micros, now, rules_of(story))
