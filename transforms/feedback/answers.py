"""Feedback records and their journeys, as the metrics of feedback read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from rejse.transforms.columnar.arrays import NULL, Bools, Ints, Reals, flat, take, valid, values
from rejse.transforms.columnar.event_table import Categorical, Events
from rejse.transforms.columnar.groups import Array, Groups, distinct, pick
from rejse.transforms.columnar.radix_sort import sorted_by
from rejse.transforms.feedback import scale
from rejse.transforms.feedback.join import Joined
from rejse.transforms.feedback.scale import Scaled
from rejse.transforms.feedback.schema import LOGGED_WHEN_PRESENT
from rejse.transforms.journeys import watermarks
from rejse.transforms.schema.parameters import Windows
from rejse.transforms.schema.registry import Needs

#: An answer of at most this score needs an action, as every complaint does
#: (docs/reference/scores.md#ignored-feedback).
LOW = 0.4


@dataclass(frozen=True)
class Answers:
    """Feedback records in total order, with the journey and step of each."""

    events: Events
    joined: Joined
    windows: Windows
    watermarks: Mapping[str, int]  # of the sources of feedback
    sources: Mapping[str, frozenset[str]]  # columns that they declare

    def carry(self, needs: Needs) -> Bools:
        """Return the records that carry all fields of one of the alternatives."""
        carried = [[self.logs(name) for name in sorted(names)] for names in needs]
        return np.asarray(np.any([np.all(logged, axis=0) for logged in carried], axis=0))

    def logs(self, name: str) -> Bools:
        """Return records with a field; of `LOGGED_WHEN_PRESENT` also those whose source maps it."""
        return self.events.logs(name, self.sources if name in LOGGED_WHEN_PRESENT else {})

    @cached_property
    def scaled(self) -> Scaled:
        """Scores on one scale."""
        return scale.scaled(self.events)

    @cached_property
    def solicited(self) -> Bools:
        """Records that the company asked for."""
        return scale.solicited(self.events)

    @cached_property
    def is_customer(self) -> Bools:
        """Records of customers; those of employees and partners make no scores."""
        return self.events.is_any("respondent_type", "customer")

    @cached_property
    def is_measured(self) -> Bools:
        """Records with a score."""
        return ~np.isnan(self.scaled.u)

    @cached_property
    def has_text(self) -> Bools:
        """Records with a text, in any language."""
        value, known = self.events.number("has_text")
        return np.asarray(known & value.astype(bool))

    @cached_property
    def sentiment(self) -> Reals:
        """Sentiment of each record's text, NaN where there is none."""
        value, known = self.events.number("sentiment01")
        return np.where(known, value.astype(np.float64), np.nan)

    @cached_property
    def is_spoken(self) -> Bools:
        """Customers' texts about a step, of records that give no score themselves."""
        at_step: Bools = self.events.is_any("level", "touchpoint") & (self.joined.step != NULL)
        return self.is_customer & ~self.is_measured & ~np.isnan(self.sentiment) & at_step

    @cached_property
    def is_trusted(self) -> Bools:
        """Solicited texts of these, in a language whose model is validated on own data."""
        validated, known = self.events.number("sentiment_validated")
        return np.asarray(self.is_spoken & self.solicited & known & validated.astype(bool))

    @cached_property
    def value(self) -> Reals:
        """Value of a record for its step: its score, else the sentiment of its text."""
        return np.where(self.is_measured, self.scaled.u, self.sentiment)

    @cached_property
    def is_top_box(self) -> Bools:
        """Records in the top box of their scale; texts with a sentiment from .9 on."""
        return scale.top_box(self.scaled, self.sentiment)

    @cached_property
    def is_answered(self) -> Bools:
        """Records with an answer."""
        given = self.events.number("raw_score")[1] | self.events.number("responded_time")[1]
        written = self.has_text | self.events.is_any("instrument", "complaint")
        return np.asarray(given | written)

    @cached_property
    def is_invited(self) -> Bools:
        """Records with a known invitation: it is logged, or there is no answer.

        Answers without a logged invitation are in no rate: those who did not answer are unknown.
        """
        silent = self.solicited & ~self.is_answered
        return np.asarray(silent | self.events.number("invited_time")[1])

    @cached_property
    def in_time(self) -> tuple[Bools, Bools]:
        """Records answered within the survey window, and invitations whose window has passed.

        An answer without a logged time counts as in time.
        """
        responded, known = self.events.number("responded_time")
        late = known & (responded > self.answer_due)
        matured = watermarks.passed(self.answer_due, self.complete_until, self.windows.lateness)
        return self.is_answered & ~late, self.is_invited & matured

    @cached_property
    def answer_due(self) -> Ints:
        """Time until which each answer counts: the survey window after the invitation."""
        invited, logged = self.events.number("invited_time")
        return np.where(logged, invited, self.events.time) + self.windows.survey

    @cached_property
    def ignored_due(self) -> Ints:
        """Time until which the company must act on each record."""
        return self.events.time + self.windows.ignored

    @cached_property
    def complete_until(self) -> Ints:
        """Watermark of each record's source."""
        source = self.events.coded("source")
        return source.lookup(
            [self.watermarks.get(name, watermarks.NOTHING) for name in source.names.to_pylist()],
            watermarks.NOTHING,
        )

    @cached_property
    def of_step(self) -> Bools:
        """Measured answers of customers about a step."""
        at_step: Bools = self.events.is_any("level", "touchpoint") & (self.joined.step != NULL)
        return self.is_customer & self.is_measured & at_step

    @cached_property
    def of_whole(self) -> Bools:
        """Solicited, measured answers of customers about a whole journey."""
        at_whole: Bools = self.events.is_any("level", "journey") & (self.joined.journey != NULL)
        return np.asarray(self.is_customer & self.is_measured & self.solicited & at_whole)

    @cached_property
    def ignored(self) -> tuple[Bools, Bools]:
        """Customers' complaints and low answers without an action in time; and where known.

        A missing action is known only for a source that logs actions and is complete beyond the
        window.
        """
        acted, logged = self.events.number("action_time")
        low = self.is_measured & (np.where(self.is_measured, self.scaled.u, 1.0) <= LOW)
        asks = self.is_customer & (low | self.events.is_any("instrument", "complaint"))
        passed = watermarks.passed(self.ignored_due, self.complete_until, self.windows.lateness)
        known = logged | (passed & self.logs("action_time"))
        return asks & ~(logged & (acted <= self.ignored_due)), asks & known


@dataclass(frozen=True)
class JourneyFeedback:
    """Journeys with feedback, one row each, in the order of `journeys`."""

    answers: Answers
    journeys: pa.Table  # the whole published table
    steps: pa.Table

    @cached_property
    def rows(self) -> Ints:
        """Rows of `journeys` with feedback."""
        joined = self.answers.joined.journey
        return distinct(joined[joined != NULL])

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def place(self) -> Ints:
        """Place of each record's journey among `rows`, -1 if it has none."""
        journey = self.answers.joined.journey
        return np.where(journey == NULL, NULL, np.searchsorted(self.rows, journey))

    def carry(self, needs: Needs) -> Bools:
        """Return journeys with a record that carries all fields of one of the alternatives."""
        return self.count(self.answers.carry(needs)) > 0

    def count(self, mask: Bools) -> Ints:
        """Count the records of each journey in `mask`."""
        return np.bincount(self.place[mask & (self.place != NULL)], minlength=len(self))

    def of_journey(self, name: str) -> pa.Array:
        """Return a column of `journeys` for each row."""
        return take(flat(self.journeys.column(name)), self.rows)

    def real(self, name: str) -> Reals:
        """Return a numeric column of `journeys`, NaN where it is null."""
        column = self.of_journey(name)
        return np.where(valid(column), values(column), np.nan)

    @cached_property
    def is_closed(self) -> Bools:
        """Journeys whose deadline has passed."""
        return Categorical.of(self.of_journey("state")).of_names(["closed"])

    @cached_property
    def step_answers(self) -> Bools:
        """Records that make the step scores: solicited answers, else trusted texts."""
        step_answers = self.answers.of_step & self.answers.solicited
        return self._first_of(step_answers, self.answers.is_trusted)

    @cached_property
    def step_scores(self) -> Scores:
        """Mean of these records of each step, in step order."""
        return self._by_step(self.step_answers)

    @cached_property
    def emotions(self) -> Scores:
        """Emotion of each step: its score, else unsolicited scores, else its texts."""
        unasked = self.answers.of_step & ~self.answers.solicited
        return self._by_step(self._first_of(self.step_answers, unasked, self.answers.is_spoken))

    def _first_of(self, *masks: Bools) -> Bools:
        """Return the records of the first mask that has any for their step."""
        step, has_any = self.answers.joined.step, np.zeros(self.steps.num_rows, bool)
        out = np.zeros(len(step), bool)
        for mask in masks:
            new = mask & ~pick(has_any, step, False)
            has_any[step[new]] = True
            out |= new
        return out

    @cached_property
    def whole(self) -> Ints:
        """Last answer about each whole journey, -1 if there is none."""
        last_answer = np.full(len(self), NULL, np.int64)
        rows = np.flatnonzero(self.answers.of_whole)
        last_answer[self.place[rows]] = rows  # the last of equal places remains
        return last_answer

    @cached_property
    def scores(self) -> Scores:
        """Step scores in step order, the last journey-level score appended."""
        steps, answered = self.step_scores, np.flatnonzero(self.whole != NULL)
        journey = np.concatenate([steps.journey, answered])
        order = sorted_by(journey)
        value = np.concatenate([steps.value, self.answers.scaled.u[self.whole[answered]]])
        record = np.concatenate([steps.record, self.whole[answered]])
        measured = self.answers.is_measured[record]
        return Scores(journey[order], value[order], record[order], ~measured[order], len(self))

    def _by_step(self, mask: Bools) -> Scores:
        rows = np.flatnonzero(mask)
        step = self.answers.joined.step[rows]
        seq = values(flat(self.steps.column("seq")))[step]
        rows = rows[sorted_by(self.place[rows], seq)]
        groups = Groups.of(self.answers.joined.step[rows])
        mean = groups.sum(self.answers.value[rows]) / groups.lengths
        last = groups.last(rows)
        of_text = ~self.answers.is_measured[last]  # a step's answers are all scores, or all texts
        return Scores(self.place[last], np.clip(mean, 0.0, 1.0), last, of_text, len(self))


@dataclass(frozen=True)
class Scores:
    """Scores in [0, 1], sorted by journey; `record` is the latest answer behind each."""

    journey: Ints
    value: Reals
    record: Ints
    of_text: Bools  # sentiment of texts, not scores of answers
    size: int

    @cached_property
    def groups(self) -> Groups:
        """Journeys over scores."""
        return Groups.of(self.journey)

    @cached_property
    def n(self) -> Ints:
        """Scores of each journey."""
        return np.bincount(self.journey, minlength=self.size)

    @cached_property
    def n_of_text(self) -> Ints:
        """Scores of each journey that are sentiment of texts."""
        return np.bincount(self.journey[self.of_text], minlength=self.size)

    def broadcast(self, values: Array, empty: float = np.nan) -> Array:
        """Return one value a journey from one a journey with scores."""
        out = np.full(self.size, empty)
        out[self.groups.first(self.journey)] = values
        return out

    @property
    def mean(self) -> Reals:
        """Mean, NaN where there is none."""
        means = self.groups.sum(self.value) / self.groups.lengths
        # Rounding must not move a mean beyond the least or greatest value.
        bounded = np.clip(means, self.groups.min(self.value), self.groups.max(self.value))
        return self.broadcast(bounded)

    @property
    def first(self) -> Reals:
        """First score."""
        return self.broadcast(self.groups.first(self.value))

    @property
    def last(self) -> Reals:
        """Last score."""
        return self.broadcast(self.groups.last(self.value))

    @property
    def least(self) -> Reals:
        """Lowest score."""
        return self.broadcast(self.groups.min(self.value))

    @property
    def most(self) -> Reals:
        """Highest score."""
        return self.broadcast(self.groups.max(self.value))

    @property
    def slope(self) -> Reals:
        """Least squares over 0, 1, …; NaN where there are fewer than two."""
        x = self.groups.row_number.astype(np.float64)
        away = x - self.groups.broadcast((self.groups.lengths - 1) / 2)
        mean = self.groups.broadcast(self.groups.sum(self.value) / self.groups.lengths)
        across, along = self.groups.sum(away * (self.value - mean)), self.groups.sum(away**2)
        return self.broadcast(np.where(along > 0, across / np.where(along > 0, along, 1), np.nan))

    @property
    def deciding(self) -> Ints:
        """Answer behind the last score, -1 where there is none."""
        return self.broadcast(self.groups.last(self.record), NULL).astype(np.int64)
