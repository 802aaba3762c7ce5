"""Guess whether a file holds survey answers, and which raw column holds which of their columns."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from rejse.pipelines.onboarding import personal_columns
from rejse.pipelines.onboarding.column_profile import ENOUGH, Profile
from rejse.pipelines.onboarding.guess_columns import (
    NAMES,
    Guess,
    Guesses,
    find_identity,
    find_time,
    is_unique,
    named_profiles,
)
from rejse.transforms.feedback.scale import SCALES, contradicts
from rejse.transforms.feedback.schema import EXPERIENCE, INSTRUMENTS, LEVELS, RESPONDENTS

#: Name of a score -> the instrument that it names, the best first; None: the values decide.
SCORES: dict[str, str | None] = {
    "nps": "nps", "nps_score": "nps", "likelihood_to_recommend": "nps", "csat": "csat",
    "csat_score": "csat", "satisfaction": "csat", "satisfaction_score": "csat", "ces": "ces",
    "ces_score": "ces", "customer_effort_score": "ces", "effort": "effort", "enps": "enps",
    "stars": "star", "star_rating": "star", "rating": "star", "raw_score": None, "score": None,
    "points": None, "answer_value": None, "grade": None,
}  # fmt: skip
#: Canonical column -> its usual names elsewhere, the best first.
X_NAMES: dict[str, tuple[str, ...]] = {
    "id": ("response_id", "answer_id", "review_id", "feedback_id", "id", "uuid", "record_id"),
    "correlationid": NAMES["correlationid"],
    "case_id": NAMES["case_id"],
    "touchpoint": (*NAMES["touchpoint"], "place", "location", "contact_point"),
    "journey_type": NAMES["journey_type"],
    "target": ("target", "event_id", "interaction_id", "contact_event"),
    "survey_id": ("survey_id", "survey", "survey_name", "questionnaire"),
    "question_id": ("question_id", "question", "question_code"),
    "invited_time": ("invited_at", "invited_time", "invited", "invitation_date", "sent_at",
                     "asked_at", "survey_sent"),
    "responded_time": ("responded_at", "responded_time", "answered_at", "submitted_at",
                       "completed_at", "response_date", "answer_date"),
    "action_time": ("acted_at", "action_time", "followed_up_at", "closed_loop_at"),
    "actor_id": ("respondent", "respondent_id"),
    "scale_min": ("scale_min", "lowest", "min_score"),
    "scale_max": ("scale_max", "highest", "max_score"),
    "text": ("text", "comment", "comments", "verbatim", "feedback", "review_text", "free_text"),
    "language": ("language",),
}  # fmt: skip
#: Names that no log of events has: with a score they mean a file of answers.
SURVEY_NAMES = frozenset(
    {
        n
        for names in ("survey_id", "question_id", "invited_time", "responded_time", "actor_id")
        for n in X_NAMES[names]
    }
    | {n for n, of in SCORES.items() if of not in (None, "effort")}
)
SURVEY_FILES = ("survey", "nps", "csat", "review", "rating", "feedback")
#: Names that only a log of events has.
EVENTS = ("activity", "concept_name", "event", "event_name", "event_type", "action",
          "activity_name")  # fmt: skip
#: Usual scales, the narrowest first.
USUAL = ((1.0, 5.0), (1.0, 7.0), (0.0, 10.0), (0.0, 100.0))
#: The usual instrument of a scale, where no name decides.
BY_SCALE = {(1.0, 5.0): "csat", (1.0, 7.0): "ces", (0.0, 10.0): "nps"}
#: An answer as a number, or as a label that begins with one and has no other: `10 - Very likely`.
LABEL = r"^\s*([+-]?\d+([.,]\d+)?)\D*$"
#: What an answer may be about, for the user to choose.
ABOUT = {
    "relationship": "where the company as a whole was judged",
    "journey": "where the whole matter was, from the first contact to the end",
    "touchpoint": "where one contact was",
    "product": "where a product was",
}
#: Columns worth having, with what is lost without them.
WANTED = {
    "invited_time": "when the company asked; keep the silent too, or there is no response rate",
    "touchpoint": "the place asked about; else only case, conversation or time find the step",
    "action_time": "when somebody acted on it; else nothing is known to be ignored",
}


def is_survey(profiles: Sequence[Profile], file: str) -> bool:
    """Return whether it looks like answers: a score, a name that only surveys have, no activity."""
    names = {p.snake for p in profiles}
    if names & set(EVENTS) or _score(profiles) is None:
        return False
    return bool(names & SURVEY_NAMES) or any(word in file.lower() for word in SURVEY_FILES)


def guess_survey(profiles: Sequence[Profile], quote: dict[str, str]) -> Guesses:
    """Guess a mapping under the experience contract for the profiled columns of one source."""
    out = Guesses(quote=quote, personal=personal_columns.reasons(profiles))
    for column, words in (
        ("respondent_type", RESPONDENTS),
        ("level", LEVELS),
        ("instrument", INSTRUMENTS),
    ):
        _listed(out, profiles, column, words)
    _identity(out, profiles)
    for column, names in X_NAMES.items():
        _named(out, profiles, column, names)
    _when(out, profiles)
    _level(out)
    _scored(out, profiles)
    wanted = ("time", "identity", "instrument", "level", "raw_score")
    out.missing = [column for column in wanted if out.of(column) is None]
    out.rest = [p for p in profiles if p.name not in out.used]
    out.candidates = {column: [] for column in out.missing}
    if "level" in out.missing:
        out.candidates["level"] = [Guess("level", f"'{of}'", why) for of, why in ABOUT.items()]
    out.unique = [p.name for p in profiles if is_unique(p)]
    out.lines.sort(key=lambda g: list(EXPERIENCE.by_name).index(g.column))
    return out


def remarks(guesses: Guesses) -> list[str]:
    """Return comments for above the SELECT: columns worth having, and answers left out."""
    lines = [
        f"-- Not found: {column}, {why}."
        for column, why in WANTED.items()
        if guesses.of(column) is None
    ]
    lines += _again(guesses)
    more = [p.name for p in guesses.rest if p.snake in SCORES and _values(p)]
    if more:
        named = ", ".join(" ".join(name.split()) for name in more)
        lines.append(f"-- A row is one answer: {named} needs a source of its own on these files.")
    return lines


def _again(guesses: Guesses) -> list[str]:
    """Explain how an unanswered invitation and its later answer become one record."""
    asked_and_answered = ("invited_time", "responded_time")
    if guesses.of("id") is not None or any(guesses.of(name) is None for name in asked_and_answered):
        return []
    return [
        "-- An invitation that a later export repeats with its answer is two rows: an id",
        "-- column would make them one, the answer. Map the invitation's number to `id`.",
    ]


def _score(profiles: Sequence[Profile]) -> Profile | None:
    """Return the column of the answer, by its name and its numbers.

    Without any answer it is empty: then a name of an instrument decides.
    """
    by_name = {p.snake: p for p in profiles}
    named = [(by_name[name], of) for name, of in SCORES.items() if name in by_name]
    held = [profile for profile, _ in named if _values(profile)]
    empty = [profile for profile, of in named if of is not None and _is_empty(profile)]
    return next(iter((*held, *empty)), None)


def _is_empty(profile: Profile) -> bool:
    return not profile.is_nested and not any(text.strip() for text in profile.texts)


def _values(profile: Profile) -> list[float]:
    """Return the values as numbers, labels by the number that they begin with; else none.

    A few may be no numbers: `check` and `run` count what cannot be read.
    """
    if profile.is_nested or str(profile.kind) == "bool":
        return []
    texts = [text for text in profile.texts if text.strip()]
    if not str(profile.kind).endswith("string"):
        return [float(text) for text in texts if _is_number(text)]
    matches = [re.match(LABEL, text, re.ASCII) for text in texts]
    numbers = [float(match[1].replace(",", ".")) for match in matches if match]
    return numbers if len(numbers) >= ENOUGH * len(texts) else []


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def answer_sql(quoted: str) -> str:
    """Return SQL for the number that a text is, or begins with; null where there is none."""
    return f"try_cast(replace(regexp_extract({quoted}, '{LABEL}', 1), ',', '.') as double)"


def _line(out: Guesses, column: str, profile: Profile, why: str) -> bool:
    """Add a line for a raw column where its values fit; return whether they do."""
    quoted, kind = out.quote[profile.name], str(EXPERIENCE.by_name[column].type)
    if profile.is_nested or profile.name in out.used or not out.may_be(column, profile):
        return False
    if kind.startswith("timestamp"):
        # Time columns may still be empty: then the name alone decides.
        time = (
            profile.time_sql(quoted) if profile.texts else (f"try_cast({quoted} as timestamptz)",)
        )
        if time is None:
            return False
        sql = time[0]
    elif kind == "double":
        if not _values(profile) and not (column == "raw_score" and _is_empty(profile)):
            return False
        is_text = column == "raw_score" and str(profile.kind).endswith("string")
        sql = answer_sql(quoted) if is_text else f"try_cast({quoted} as double)"
    elif not profile.texts:
        return False
    else:
        sql = quoted if str(profile.kind) == "string" else f"cast({quoted} as varchar)"
    out.lines.append(Guess(column, sql, why, (profile.name,)))
    return True


def _named(out: Guesses, profiles: Sequence[Profile], column: str, names: Sequence[str]) -> None:
    by_name = named_profiles(profiles)
    for name in names:
        profile = by_name.get(name)
        if profile is None or (column == "id" and not is_unique(profile)):
            continue
        if _line(out, column, profile, f"the name {profile.name}"):
            return


def _identity(out: Guesses, profiles: Sequence[Profile]) -> None:
    """Guess the customer; where only a respondent is named, it is the customer."""
    find_identity(out, profiles)
    if out.of("identity") is None:
        _named(out, profiles, "identity", X_NAMES["actor_id"])
        given = out.of("identity")
        if given is not None:
            why = f"{given.raw[0]}: customers answer for themselves"
            out.lines.append(Guess("identitytype", "'customer'", why))


def _when(out: Guesses, profiles: Sequence[Profile]) -> None:
    """Guess the time: of the answer, else of the invitation, which the unanswered have only."""
    answered, invited = out.of("responded_time"), out.of("invited_time")
    if answered is None and invited is None:
        find_time(out, [p for p in profiles if p.name not in out.used])
        return
    if answered is None:
        named = [p for p in profiles if p.snake in ("time", "timestamp", "date", "created_at")]
        for profile in named:
            if _line(out, "responded_time", profile, f"the name {profile.name}"):
                answered = out.of("responded_time")
                break
    given = [guess for guess in (answered, invited) if guess is not None]
    sql = given[0].sql if len(given) == 1 else f"coalesce({', '.join(g.sql for g in given)})"
    why = " else ".join(g.raw[0] for g in given)
    out.lines.append(Guess("time", sql, why))


def _listed(out: Guesses, profiles: Sequence[Profile], column: str, words: Sequence[str]) -> None:
    """Guess a column by values that are the contract's own words, whatever its name."""
    for profile in profiles:
        if profile.name not in out.used and profile.texts and profile.fits(words):
            sql = f"lower({out.quote[profile.name]})"
            out.lines.append(Guess(column, sql, f"the values of {profile.name}", (profile.name,)))
            return


def _level(out: Guesses) -> None:
    """Guess what was judged: the touchpoint where one is named, else the journey of the case."""
    if out.of("level") is not None:
        return
    for level, columns in (("touchpoint", ("touchpoint", "target")), ("journey", ("case_id",))):
        for column in columns:
            given = out.of(column)
            if given is not None:
                why = f"{given.raw[0]}: each answer names one; no column says what was judged"
                out.lines.append(Guess("level", f"'{level}'", why))
                return


def _scored(out: Guesses, profiles: Sequence[Profile]) -> None:
    """Guess answer, scale and instrument: by name, else by the scale that contains the values."""
    profile = _score(profiles)
    if profile is None or not _line(out, "raw_score", profile, f"the name {profile.name}"):
        return
    by_column = out.of("instrument") is not None
    named = SCORES[profile.snake]
    # Without an answer the usual scale of the instrument is used.
    values = _values(profile) or list(SCALES.get(named or "", USUAL[0]))
    least, most = min(values), max(values)
    seen = f"values from {least:g} to {most:g} in {profile.name}"
    if not _values(profile):
        seen = f"the name {profile.name}, no row has an answer"
    scale = None if by_column else _scale(named, values)
    if not by_column and (named or scale in BY_SCALE):
        sure = f"the name {profile.name}" if named else f"{seen}; say what was asked"
        out.lines.append(Guess("instrument", f"'{named or BY_SCALE[scale or USUAL[0]]}'", sure))
    for column, bound in zip(("scale_min", "scale_max"), scale or (), strict=False):
        if out.of(column) is None:
            out.lines.append(Guess(column, f"{bound:g}", f"{seen}; the scale may be wider"))


def _scale(instrument: str | None, values: Sequence[float]) -> tuple[float, float] | None:
    """Return the instrument's usual scale if it contains the values, else the narrowest that does.

    A scale that the values contradict is used only where all are contradicted. The instrument's own
    scale may begin at zero, as with stars where none is an answer.
    """
    own, (least, most) = [], (min(values), max(values))
    if instrument is not None and instrument in SCALES:
        own = [SCALES[instrument], (0.0, SCALES[instrument][1])]
    holding = [s for s in (*own, *USUAL) if s[0] <= least and most <= s[1]]
    likely = [s for s in holding if not contradicts(values, *s)]
    return next(iter((*likely, *holding)), None)
