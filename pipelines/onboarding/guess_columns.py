"""Guess which raw column holds which column of the contract, each with its reason."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from rejse.pipelines.onboarding import personal_columns as personal
from rejse.pipelines.onboarding import process_mining_formats, time_formats
from rejse.pipelines.onboarding.column_profile import Profile, snake
from rejse.transforms.schema.contract import BY_NAME, LIFECYCLES

#: Canonical column -> its usual names elsewhere, the best first.
NAMES: dict[str, tuple[str, ...]] = {
    "id": ("event_id", "eventid", "eid", "id", "uuid", "interaction_id", "record_id"),
    "recordedtime": ("recorded_at", "recorded_time", "ingested_at", "received_at", "loaded_at"),
    "correlationid": ("correlation_id", "conversation_id", "thread_id", "session_id"),
    "causationid": ("causation_id", "parent_id"),
    "activity": ("activity", "concept_name", "event", "event_name", "event_type", "action",
                 "activity_name", "operation", "what", "step", "ident_state", "incident_state",
                 "state", "status", "type", "haendelse", "haendelsestype", "aktivitet", "ereignis",
                 "evento", "evenement", "activite", "zdarzenie", "czynnosc"),
    "touchpoint": ("touchpoint", "page", "screen", "page_name", "page_type", "url", "form"),
    "lifecycle": ("lifecycle", "lifecycle_transition", "transition", "registration_type"),
    "start_time": ("start_time", "started_at", "start", "begin", "start_timestamp"),
    "end_time": ("end_time", "ended_at", "end", "finish", "finished_at", "complete_timestamp"),
    "activity_id": ("activity_id", "handling_id", "activity_instance", "concept_instance",
                    "lifecycle_id", "task_id"),
    "wait_s": ("wait_s", "wait_seconds", "waiting_time", "queue_seconds", "queue_time_s",
               "queue_time", "wait_time", "ventetid", "wartezeit"),
    "talk_s": ("talk_s", "talk_seconds", "talk_time", "duration_s", "taletid"),
    "hold_s": ("hold_s", "hold_seconds", "hold_time"),
    "wrap_s": ("wrap_s", "wrap_seconds", "wrap_up_time", "after_call_work"),
    "owner": ("owner", "department", "org_group", "business_unit"),
    "team": ("team", "assignment_group", "group", "queue", "skill"),
    "actor_id": ("actor_id", "agent_id", "agent", "org_resource", "resource", "employee_id",
                 "sys_updated_by", "operator"),
    "system": ("system", "application", "app_name"),
    "intent": ("intent", "reason", "contact_reason", "topic", "category", "subject_code", "arsag"),
    "product_id": ("product_id", "product", "sku"),
    "journey_type": ("journey_type", "journey", "process"),
    "lifecycle_stage": ("lifecycle_stage", "user_lifecycle"),
    "case_id": ("case_id", "case_concept_name", "case", "ticket_id", "ticket", "incident_id",
                "claim_id", "order_id", "case_number", "number"),
    "outcome": ("outcome", "result", "disposition", "resolution"),
    "error_code": ("error_code", "error"),
    "results_n": ("results_n", "n_results", "hits"),
    "campaign_id": ("campaign_id", "campaign"),
    "site_id": ("site_id", "site", "branch_id", "store_id"),
    "language": ("language", "locale", "lang"),
}  # fmt: skip
#: Names of a time of the event, the best first.
TIMES = ("time", "timestamp", "event_time", "event_timestamp", "time_timestamp", "ts", "datetime",
         "date_time", "occurred_at", "sys_updated_at", "updated_at", "created_at", "date",
         "start_time", "started_at", "tidspunkt", "tid_dato", "tid", "dato", "zeitpunkt", "datum",
         "fecha", "horodatage", "data_i_godzina", "czas", "derived_tstamp")  # fmt: skip
#: Names of an identity and its type, the best first.
IDENTITIES: dict[str, tuple[str, ...]] = {
    "customer": ("customer_id", "customer", "customer_number", "client_id", "client", "user_id",
                 "user", "userid", "uid", "member_id", "person_id", "patient_id", "contact_id",
                 "requester_id", "requester", "external_reference", "domain_userid", "klient"),
    "account": ("account_id", "account", "contract_id", "policy_id"),
    "email": ("email", "email_address", "mail", "recipient_email"),
    "phone": ("phone", "phone_number", "msisdn", "caller", "ani"),
    "cookie": ("cookie", "cookie_id", "visitor_id", "anonymous_id", "client_cookie"),
    "device": ("device_id", "device"),
    "case": ("case_id", "case_concept_name", "case", "ticket_id", "ticket", "incident_id",
             "case_number", "number", "order_id"),
}  # fmt: skip
#: Names of identities of persons.
_PEOPLE = frozenset(n for kind, names in IDENTITIES.items() if kind != "case" for n in names)
CHANNELS = ("channel", "contact_channel", "contact_type", "medium", "platform", "device_type",
            "kanal", "canal")  # fmt: skip
#: Columns of the contract that are hashed or stored apart; no other takes personal data.
HASHED = frozenset({"identity", "previousidentity", "actor_id", "text"})
#: Words in names of files or activities that imply the channel where no column has it.
CHANNEL_HINTS = {
    "web": ("click", "page", "catalog", "cart", "web", "shop", "visit"),
    "app": ("app", "screen"), "phone": ("call", "phone", "ivr"), "chat": ("chat",),
    "email": ("mail",), "internal": ("case", "ticket", "incident", "task", "claim"),
}  # fmt: skip
FEW = 200
#: A column named `source` with more values than this is no list of systems.
MOST_SOURCES = 20
CANDIDATES = 3
_NUMBERED = re.compile(r"(.+?)_?(?:no|nr|num|number|nummer)")
_CUSTOMER = re.compile(r"kunden?(?:_?(?:id|no|nr|num|number|nummer))?")
_LIKE_TIME = re.compile(r"\d{1,4}[-/.:]\d{1,2}|^\d{8,16}$|^\d{1,2} \w{3}")
_LIKE_CODE = re.compile(r"\S*\d\S*|[^@\s]+@\S+")


@dataclass(frozen=True)
class Guess:
    """A line of a SELECT: `sql` as `column`, why, and the raw columns it uses."""

    column: str
    sql: str
    why: str
    raw: tuple[str, ...] = ()


@dataclass
class Guesses:
    """The guesses of a source, required columns without one, and columns left over."""

    lines: list[Guess] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    rest: list[Profile] = field(default_factory=list)
    quote: dict[str, str] = field(default_factory=dict)
    #: Missing required column -> its best candidates by value, the best first.
    candidates: dict[str, list[Guess]] = field(default_factory=dict)
    #: Raw columns with a different value in every row, whatever their names.
    unique: list[str] = field(default_factory=list)
    #: Raw column that looks personal or like free text -> why.
    personal: dict[str, str] = field(default_factory=dict)

    def of(self, column: str) -> Guess | None:
        """Return the guess for a canonical column, if there is one."""
        return next((g for g in self.lines if g.column == column), None)

    @property
    def used(self) -> set[str]:
        """Return the raw columns that a guess uses."""
        return {name for g in self.lines for name in g.raw}

    def may_be(self, column: str, profile: Profile) -> bool:
        """Return whether a canonical column may use it; a personal one only if hashed."""
        reason = self.personal.get(profile.name, personal.EMPTY)
        return column in HASHED or reason == personal.EMPTY


def guess(profiles: Sequence[Profile], quote: dict[str, str], hint: str = "") -> Guesses:
    """Guess a mapping for the profiled columns of one source.

    `quote` is each raw column's name as SQL writes it; `hint` the file's name.
    """
    out = Guesses(quote=quote, personal=personal.reasons(profiles))
    _same_names(out, profiles)
    _source(out, profiles)
    find_identity(out, profiles)
    find_time(out, profiles)
    _channel(out, profiles, hint)
    for column, names in NAMES.items():
        if out.of(column) is None:
            _named(out, profiles, column, names)
    _lifecycle(out, profiles)
    _touchpoint(out)
    out.missing = [c for c in ("time", "identity", "activity") if out.of(c) is None]
    out.rest = [p for p in profiles if p.name not in out.used]
    out.candidates = {column: _candidates(out, column) for column in out.missing}
    out.unique = [p.name for p in profiles if is_unique(p)]
    out.lines.sort(key=lambda g: list(BY_NAME).index(g.column))
    return out


def named_profiles(profiles: Sequence[Profile]) -> dict[str, Profile]:
    """Return profiles by name, and by the usual form of variants such as `customer_no`."""
    named = {p.snake: p for p in profiles}
    for profile in profiles:
        named.setdefault(_usual(profile.snake), profile)
    return named


def identity_names(names: Sequence[str]) -> list[str]:
    """Return the raw names that name an identity, in their order."""
    known = {name for listed in IDENTITIES.values() for name in listed}
    return [name for name in names if {snake(name), _usual(snake(name))} & known]


def _usual(name: str) -> str:
    """Return the usual form of a name: `customer_no` and `kundennr` become `customer_id`."""
    name = process_mining_formats.plain(name, _PEOPLE) or name
    if _CUSTOMER.fullmatch(name):
        return "customer_id"
    numbered = _NUMBERED.fullmatch(name)
    return f"{numbered[1]}_id" if numbered else name


def is_unique(profile: Profile) -> bool:
    """Return whether it has a different value in every row."""
    return not profile.is_nested and profile.n_distinct == profile.n_rows > profile.n_null == 0


def _usable(column: str, profile: Profile) -> bool:
    """Return whether the values can be those of the canonical column."""
    wanted = BY_NAME[column]
    if wanted.values and not profile.fits(_words(column, profile)):
        return False
    if process_mining_formats.objects(profile.texts) == "several":
        return False
    kind, given = str(wanted.type), str(profile.kind)
    if profile.is_nested or wanted.type.num_fields > 0:
        return profile.is_nested and wanted.type.num_fields > 0
    if kind == "int32":
        if column.endswith("_s") and time_formats.seconds(profile.texts, "x") is not None:
            return True
        return all(_is_whole(text) for text in profile.texts) and bool(profile.texts)
    if column == "id":
        return is_unique(profile)
    if column == "activity" and profile.snake != column:
        return given == "string" and profile.n_distinct <= max(50, profile.n_rows // 2)
    return bool(profile.texts)


def _words(column: str, profile: Profile) -> tuple[str, ...]:
    """Return the values that the column may have; under its XES name also XES's transitions."""
    words = BY_NAME[column].values
    return (
        (*words, *process_mining_formats.TRANSITIONS)
        if profile.snake == process_mining_formats.LIFECYCLE
        else words
    )


def _is_whole(text: str) -> bool:
    return text.lstrip("-").isdigit()


def _sql(column: str, profile: Profile, quoted: str) -> str | None:
    """Return the SQL that casts a raw column to the canonical type."""
    wanted = BY_NAME[column]
    if str(wanted.type).startswith("timestamp"):
        time = profile.time_sql(quoted)
        return time[0] if time else None
    if wanted.type.num_fields > 0:
        return quoted
    given = quoted
    # `undefined` and its like are counted by non_persons; null would reject the row.
    if profile.missing is not None and not wanted.values and column != "identity":
        given = f"nullif({quoted}, '{profile.missing}')"
    if str(wanted.type) == "string":
        text = given if str(profile.kind) == "string" else f"cast({given} as varchar)"
        if process_mining_formats.objects(profile.texts):
            return process_mining_formats.only_object(text)
        if profile.snake == process_mining_formats.LIFECYCLE:
            return process_mining_formats.transition(f"lower({text})", profile.texts)
        return f"lower({text})" if wanted.values else text
    if column.endswith("_s") and (seconds := time_formats.seconds(profile.texts, given)):
        return seconds
    names = {"int32": "integer", "int64": "bigint", "bool": "boolean"}
    name = names.get(str(wanted.type), str(wanted.type))
    return f"try_cast({given} as {name})"


def _same_names(out: Guesses, profiles: Sequence[Profile]) -> None:
    """Guess columns that have the contract's own names."""
    for profile in profiles:
        column = profile.snake
        known = column in BY_NAME and column not in ("source", "attrs")
        if known and _usable(column, profile) and out.may_be(column, profile):
            sql = _sql(column, profile, out.quote[profile.name])
            if sql is not None and out.of(column) is None:
                why = f"its name{_question(column, profile)}"
                out.lines.append(Guess(column, sql, why, (profile.name,)))


def _question(column: str, profile: Profile) -> str:
    """Return what the values of a time leave open, after a semicolon."""
    is_time = str(BY_NAME[column].type).startswith("timestamp")
    time = profile.time("x") if is_time else None
    return f"; {time.question}" if time is not None and time.question else ""


def _source(out: Guesses, profiles: Sequence[Profile]) -> None:
    """Guess `source`: a raw column of that name with few values names the logging systems."""
    for profile in profiles:
        few = str(profile.kind) == "string" and 0 < profile.n_distinct <= MOST_SOURCES
        if profile.snake == "source" and few and profile.texts and out.may_be("source", profile):
            sql = _sql("source", profile, out.quote[profile.name]) or ""
            why = f"its name and its few values ({profile.n_distinct}); see above"
            out.lines.append(Guess("source", sql, why, (profile.name,)))
            return


def find_identity(out: Guesses, profiles: Sequence[Profile]) -> None:
    """Guess the identity and its type by the names of columns."""
    given = out.of("identity")
    if given is not None:
        if out.of("identitytype") is None:
            out.lines.append(Guess("identitytype", "'customer'", "nothing: no column tells"))
        return
    by_name = named_profiles([p for p in profiles if not p.is_nested and p.texts])
    for kind, names in IDENTITIES.items():
        for name in names:
            if name in by_name:
                profile = by_name[name]
                sql = _sql("identity", profile, out.quote[profile.name]) or ""
                why = f"the name {profile.name}"
                if kind == "customer" and personal.are_mails(profile):
                    kind, why = "email", f"{why} and its values"
                out.lines.append(Guess("identity", sql, why, (profile.name,)))
                out.lines.append(Guess("identitytype", f"'{kind}'", why))
                return


def find_time(out: Guesses, profiles: Sequence[Profile]) -> None:
    """Guess the time by names, then by values."""
    if out.of("time") is not None:
        return

    def rank(profile: Profile) -> tuple[int, float]:
        named = [n for n in (profile.snake, _usual(profile.snake)) if n in TIMES]
        place = TIMES.index(named[0]) if named else len(TIMES)
        return place, -profile.n_distinct / max(1, profile.n_rows)

    for profile in sorted(profiles, key=rank):
        time = profile.time_sql(out.quote[profile.name]) if out.may_be("time", profile) else None
        if time is not None and profile.n_null * 2 < profile.n_rows:
            sql, why = time
            out.lines.append(Guess("time", sql, f"{why} in {profile.name}", (profile.name,)))
            return


def _channel(out: Guesses, profiles: Sequence[Profile], hint: str) -> None:
    if out.of("channel") is not None:
        return
    for profile in sorted(profiles, key=lambda p: p.snake not in CHANNELS):
        words = {} if profile.is_nested else profile.channels()
        if words and profile.snake in CHANNELS:
            quoted = out.quote[profile.name]
            cases = " ".join(f"when '{w}' then '{c}'" for w, c in sorted(words.items()))
            sql = f"case lower({quoted}) {cases} else 'other' end"
            out.lines.append(
                Guess("channel", sql, f"the values of {profile.name}", (profile.name,))
            )
            return
    for words_in in (hint.lower(), " ".join(p.snake for p in profiles), _activities(profiles)):
        for channel, words_of in CHANNEL_HINTS.items():
            word = next((w for w in words_of if w in words_in), None)
            if word:
                why = f"the word {word!r} in file, columns or values; no column tells"
                out.lines.append(Guess("channel", f"'{channel}'", why))
                return
    out.lines.append(Guess("channel", "'other'", "nothing: no column tells"))


def _activities(profiles: Sequence[Profile]) -> str:
    named = [p for p in profiles if p.snake in NAMES["activity"]]
    return " ".join(text.lower() for p in named for text in p.texts[:FEW])


def _named(out: Guesses, profiles: Sequence[Profile], column: str, names: Sequence[str]) -> None:
    by_name = named_profiles(profiles)
    for name in names:
        profile = by_name.get(name)
        # A case may be the identity too; any other raw column is used once.
        free = profile is not None and (profile.name not in out.used or column == "case_id")
        if profile is None or not free or not _usable(column, profile):
            continue
        sql, why = _sql(column, profile, out.quote[profile.name]), f"the name {profile.name}"
        if not out.may_be(column, profile):
            if column != "touchpoint" or not personal.is_page(profile):
                continue
            sql = f"regexp_replace({sql}, '[?#].*$', '')"
            why += ", without what is asked of the page"
        if sql is not None:
            out.lines.append(Guess(column, sql, why, (profile.name,)))
            return


def _lifecycle(out: Guesses, profiles: Sequence[Profile]) -> None:
    """Guess the lifecycle by its values, whatever the name of the column."""
    if out.of("lifecycle") is not None:
        return
    for profile in profiles:
        if profile.name not in out.used and profile.n_distinct > 1 and profile.fits(LIFECYCLES):
            sql = _sql("lifecycle", profile, out.quote[profile.name]) or ""
            out.lines.append(
                Guess("lifecycle", sql, f"the values of {profile.name}", (profile.name,))
            )
            return


def _touchpoint(out: Guesses) -> None:
    """Use the activity as touchpoint where no column has one."""
    activity = out.of("activity")
    if out.of("touchpoint") is None and activity is not None:
        why = f"{activity.raw[0]}: no column names a place; strike it out if it is none"
        out.lines.append(Guess("touchpoint", activity.sql, why))


def _candidates(out: Guesses, column: str) -> list[Guess]:
    """Return columns left over that may be a required column by their values, the best first."""
    usable = [p for p in out.rest if not p.is_nested and p.texts and out.may_be(column, p)]
    rated = [(_rating(column, p), p) for p in usable]
    best = sorted((r for r in rated if r[0] > 0), key=lambda pair: -pair[0])[:CANDIDATES]
    return [_candidate(column, p, out.quote[p.name]) for _, p in best]


def _candidate(column: str, profile: Profile, quoted: str) -> Guess:
    sql = _sql(column, profile, quoted) or f"try_cast({quoted} as timestamptz)"
    why = f"{profile.n_distinct} values in {profile.n_rows} rows"
    return Guess(column, sql, why, (profile.name,))


def _rating(column: str, profile: Profile) -> float:
    """Rate how well the values fit the column, in (0, 2]; 0 where they cannot."""
    like_time = _share(_LIKE_TIME.search, profile)
    if column == "time":
        return like_time if like_time >= 0.5 else 0.0
    if like_time >= 0.5 and profile.time_sql("x"):
        return 0.0
    repeats = 1 < profile.n_distinct < profile.n_rows - profile.n_null
    if not repeats or str(profile.kind) in ("double", "float", "bool"):
        return 0.0
    codes = _share(_LIKE_CODE.fullmatch, profile)
    if column == "activity":
        named = str(profile.kind) == "string" and profile.n_distinct <= max(50, profile.n_rows // 2)
        # Many different words describe events better than two or three.
        return (1 - codes) * (1 + min(profile.n_distinct, 50) / 50) if named else 0.0
    # A person has about five events in a log; far from that it is a category, or a row's id.
    away = abs(math.log(profile.n_rows / profile.n_distinct / 5))
    return (0.2 + codes) / (1 + away)


def _share(test: Callable[[str], object], profile: Profile) -> float:
    return sum(bool(test(text.strip())) for text in profile.texts) / len(profile.texts)
