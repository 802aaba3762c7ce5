"""The configuration file `rejse.toml` as frozen, checked values.

Paths in it are relative to its own folder; `${NAME}` in `store`, `key_file` and `files` is replaced
by the environment variable. The pseudonym key is never a setting: it is in `key_file` or in the
environment variable REJSE_KEY.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import tomllib
from collections.abc import Mapping
from copy import copy
from dataclasses import fields, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from rejse.pipelines.config import (
    journey_types,
    key_file,
    promise_check_files,
    store_place,
    topic_options,
)
from rejse.pipelines.config.alerts import AlertSettings
from rejse.pipelines.config.csv_options import PLAIN, CsvOptions
from rejse.pipelines.config.field_types import (
    Decides,
    Duration,
    Frozen,
    Ingest,
    Kept,
    Open,
    Place,
    Score,
    SettingsError,
    Share,
    Views,
    digest,
    expand,
    placed,
    text_of,
)
from rejse.pipelines.config.file_layout import FileLayout
from rejse.pipelines.config.key_file import KEY_VARIABLE as KEY_VARIABLE
from rejse.pipelines.config.retention import RetentionSettings
from rejse.pipelines.config.surveys import SurveySettings
from rejse.pipelines.config.texts import TextSettings
from rejse.pipelines.places import client
from rejse.pipelines.runtime.file_modes import Mode
from rejse.transforms.schema.parameters import (
    DAY,
    HOUR,
    LATE_PROMISE_WEIGHT,
    WEIGHTS,
    JourneyType,
    Rules,
    Windows,
)

NON_PERSONS = ("", "?", "undefined", "null", "none", "nan", "n/a", "unknown", "anonymous")
#: Kinds of sources whose declared columns decide between null and 0.
DECLARING = ("interaction", "experience")


class Source(Frozen):
    """One source: its files or its topic, its mapping, its frozen raw schema.

    `kind` selects the contract of its rows: events (interaction), survey answers and other feedback
    (experience), or master data (customers, cases, owned_products). `disorder`, the maximum out of
    orderness, is in microseconds. `declares` names the columns that the source is known to carry;
    without it they are those that the mapping maps.
    """

    name: Ingest[str]
    #: Which contract its rows keep (docs/reference/contract.md).
    kind: Ingest[Literal["interaction", "experience", "customers", "cases", "owned_products"]] = (
        "interaction"
    )
    #: Paths or globs: JSON, CSV, Parquet, Excel, XES; gzip, zstd. A source has these or `topic`.
    files: Kept[tuple[str, ...]] = ()
    #: A topic of Kafka; needs `pip install 'rejse[kafka]'`.
    topic: Kept[str | None] = Field(default=None, pattern=r"^[A-Za-z0-9._-]+$", max_length=249)
    #: Brokers to ask first: `host:port`, several with commas.
    servers: Kept[str] = ""
    #: What a message holds: a JSON object, an Avro record, or an Arrow IPC stream.
    format: Kept[Literal["json", "avro", "arrow"]] = "json"
    #: Options of librdkafka, and of the schema registry; `${NAME}` for secrets.
    options: Kept[dict[str, str]] = Field(default_factory=dict)
    #: Keep the messages that are read, for rebuilds beyond the topic's retention.
    archive: Kept[bool] = False
    #: A partition so far behind the fastest one of its topic does not delay the source.
    idle: Open[Duration] = 1 * HOUR
    #: File with the SELECT that maps the source to the contract.
    mapping: Ingest[Place]
    #: File with the frozen raw columns and types.
    schema_file: Ingest[Place] = Field(alias="schema")
    #: How its CSV files are written.
    csv: CsvOptions = PLAIN
    #: Name of the array that holds the rows, where a JSON file is one document.
    array: Ingest[str | None] = None
    #: Sheet of an Excel book; without it the first one.
    sheet: Ingest[str | None] = None
    #: How far out of order its rows come: complete up to its latest time less this.
    disorder: Open[Duration] = 0
    #: It sends nothing more: no journey waits for it.
    retired: Open[bool] = False
    #: Columns it is known to carry; without it those that the mapping maps.
    declares: Score[frozenset[str] | None] = None

    @field_validator("files", mode="before")
    @classmethod
    def _globs(cls, value: object, info: ValidationInfo) -> tuple[str, ...]:
        globs = [value] if isinstance(value, str) else value
        if not isinstance(globs, list | tuple) or not globs:
            raise ValueError(f"expected a list of paths or globs, came {value!r}")
        return tuple(_glob(glob, info) for glob in globs)

    @field_validator("options", mode="before")
    @classmethod
    def _checked(cls, value: object) -> object:
        return topic_options.checked(value) if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _from_somewhere(self) -> Source:
        if bool(self.files) == (self.topic is not None):
            given = "both" if self.files else "none"
            raise ValueError(f"expected `files` or `topic`, came {given}")
        if self.topic is not None and not self.servers:
            raise ValueError('expected `servers` of the topic, such as "localhost:9092", came none')
        of_topics = {"servers", "format", "options", "archive", "idle"}
        if self.topic is None and (strange := sorted(of_topics & self.model_fields_set)):
            raise ValueError(f"expected `topic` with {', '.join(strange)}, came `files`")
        return self

    @property
    def layout(self) -> FileLayout:
        """Return how its files are laid out."""
        return FileLayout(self.csv, self.array, self.sheet)

    def mapping_text(self) -> str:
        """Read the mapping's SQL. Raises SettingsError where the file is missing."""
        return text_of(self.mapping, f"mapping of source {self.name}")

    def fingerprint_inputs(self) -> dict[str, Any]:
        """Return all that results depend on, except its files or messages. Raises SettingsError."""
        idle = {} if self.topic is None else {"idle": self.idle}
        layout = {"csv": self.csv.given(), "array": self.array, "sheet": self.sheet}
        return {
            **idle,
            **{name: given for name, given in layout.items() if given},
            "kind": self.kind,
            "mapping": self.mapping_text(),
            "schema": json.loads(text_of(self.schema_file, f"schema of source {self.name}")),
            "declares": None if self.declares is None else sorted(self.declares),
            "disorder": self.disorder,
            "retired": self.retired,
        }

    def declared(self) -> frozenset[str]:
        """Return the canonical columns this source declares: as configured, else as mapped."""
        if self.declares is not None:
            return self.declares
        return frozenset(self.select().columns)

    def select(self) -> Any:
        """Compile the mapping under the contract of its kind. Raises MappingError."""
        from rejse.pipelines.config.raw_schema import read

        compiled = _compiled(self.mapping_text(), read(self.schema_file), self.name, self.kind)
        return copy(compiled)  # with a connection of its own


@lru_cache(maxsize=256)
def _compiled(sql: str, raw_schema: Any, source: str, kind: str) -> Any:
    from rejse.transforms.incremental.input_kinds import INPUTS
    from rejse.transforms.ingest.mapping import SourceMapping

    return SourceMapping(sql, raw_schema, source, INPUTS[kind].contract).close()


def _glob(glob: Any, info: ValidationInfo) -> str:
    """Return a glob below the configuration's folder, or one of an object store as it is."""
    if not isinstance(glob, str) or not client.is_address(glob):
        return str(placed(glob, info))
    client.checked(expand(glob).partition("*")[0].rpartition("/")[0])
    return expand(glob)


class Operational(Frozen):
    """Files of the operational tables (CSV or Parquet); None where a table is not configured."""

    #: Owners, silos, expected waits of places of contact.
    touchpoints: Open[Place | None] = None
    #: Fields that a touchpoint asks, knows or passes.
    touchpoint_fields: Open[Place | None] = None
    #: Owner, windows and ends by journey type.
    journey_types: Score[Place | None] = None
    #: Team of an employee.
    agents: Open[Place | None] = None
    #: Owner, silo and tier of a team.
    teams: Open[Place | None] = None
    #: Working hours and time zone by owner.
    calendar: Open[Place | None] = None
    #: Weather by site and hour.
    weather: Open[Place | None] = None
    #: Service levels by journey type.
    slas: Open[Place | None] = None
    #: Minutes and money by kind of friction.
    cost_rates: Open[Place | None] = None
    #: Names and prices.
    products: Open[Place | None] = None
    #: Purpose and claim of a campaign.
    campaigns: Open[Place | None] = None
    #: Which identities are one person.
    identity_links: Open[Place | None] = None


class WindowSettings(Frozen):
    """Windows and thresholds of the rules. Durations are microseconds here."""

    #: Silence that ends a journey without a case.
    gap: Score[Duration] = JourneyType.gap
    #: Silence that closes a case without an end.
    case_gap: Score[Duration] = JourneyType.case_gap
    #: Time after an end in which a journey can be opened again.
    reopen_window: Score[Duration] = JourneyType.reopen_window
    #: Longest life of a journey.
    cap: Score[Duration] = JourneyType.cap
    #: Time in which a hand-off must be taken up.
    handoff_due: Score[Duration] = JourneyType.handoff_due
    #: Age at which views judge a journey; without it as measured.
    horizon: Views[Duration | None] = None
    #: Silence that ends a session.
    session_gap: Score[Duration] = Windows.session_gap
    #: How late an event may come after its source was complete up to its time.
    lateness: Score[Duration] = Windows.lateness
    #: How far ahead of the run's clock the clock of a source may be.
    future: Ingest[Duration] = 1 * DAY
    #: How long an identity without a link waits for its first one.
    identity_wait: Ingest[Duration] = Windows.identity_wait
    #: Time in which a contact of the same intent is a repeat.
    repeat: Score[Duration] = Windows.repeat
    #: Time after its due time at which a promise is broken.
    promise_give_up: Score[Duration] = Windows.promise_give_up
    #: Events above which an identity is taken for no person.
    max_events: Ingest[int] = Field(default=Windows.max_events, ge=1)
    #: Evidence coverage below which a journey without evidence has no score.
    coverage_floor: Score[Share] = Windows.coverage_floor
    #: A contact abandoned after a shorter logged wait is no abandonment.
    short_abandon: Score[Duration] = Windows.short_abandon
    #: Window of `pressure_cap`, up to and with the message.
    pressure_window: Score[Duration] = Windows.pressure_window
    #: Messages without relevance basis in the window before there are too many.
    pressure_cap: Score[int] = Field(default=Windows.pressure_cap, ge=1)
    #: Intents that state a quick need: any upsell against them counts.
    quick_intents: Score[tuple[str, ...]] = ()
    #: Fields that are not compared: passwords, wished dates.
    volatile_fields: Score[tuple[str, ...]] = ()
    #: Activities that ask; the same one again is an inferred re-ask.
    question_activities: Score[tuple[str, ...]] = Windows.question_activities
    #: How far back an answer is joined by its touchpoint.
    x_touchpoint: Score[Duration] = Windows.x_touchpoint
    #: How far back an answer is joined by the customer's journeys.
    survey: Score[Duration] = Windows.survey
    #: Time in which a complaint or low answer must be acted on.
    ignored: Score[Duration] = Windows.ignored
    #: How long what a customer does next is looked for after a journey.
    follow_up: Score[Duration] = Windows.follow_up
    #: Friction from which a best answer is relief.
    relief_friction: Score[float] = Field(default=Windows.relief_friction, ge=0, le=100)

    def of_core(self) -> Windows:
        """Return the windows that hold for all journey types."""
        return Windows(**{f.name: getattr(self, f.name) for f in fields(Windows)})

    def default_type(self) -> JourneyType:
        """Return the journey type `other`, whose values types without their own take."""
        names = ("gap", "case_gap", "reopen_window", "cap", "handoff_due", "horizon")
        return JourneyType(**{name: getattr(self, name) for name in names})


class TypeSettings(Frozen):
    """Settings `[types.NAME]` of a journey type; they override the journey_types table."""

    #: Department that owns journeys of the type.
    owner: Score[str | None] = None
    gap: Score[Duration | None] = None
    case_gap: Score[Duration | None] = None
    reopen_window: Score[Duration | None] = None
    cap: Score[Duration | None] = None
    handoff_due: Score[Duration | None] = None
    horizon: Views[Duration | None] = None
    #: Activities that begin a new journey.
    start_activities: Score[tuple[str, ...] | None] = None
    #: Activities that end one.
    end_activities: Score[tuple[str, ...] | None] = None
    #: Good ends; `resolved` and `sold` without it.
    end_outcomes: Score[tuple[str, ...] | None] = None
    #: Bad ends; `unresolved`, `abandoned` and `declined` without it.
    weak_end_outcomes: Score[tuple[str, ...] | None] = None
    #: Value of each outcome, from 0 to 1.
    outcome_map: Score[dict[str, Share] | None] = None
    #: Whether a journey without an outcome counts as unresolved; else if it has a case.
    expects_outcome: Score[bool | None] = None
    #: Whether such a journey is a problem of the customer.
    is_problem: Score[bool | None] = None


class Settings(Frozen):
    """The whole configuration. `root` is the folder of `rejse.toml`.

    `keep_quarantine` is how long refused raw rows are kept, in microseconds. `store` is a path, or
    a table of `path` and `mode`.
    """

    root: Kept[Path]
    #: Folder of the store, or the address of one on an object store; or a table with `path`,
    #: `mode` and, for an address, `local`: the folder of this machine for what is private.
    store: Kept[Place] = Field(default=Path("store"), validate_default=True)
    #: `private`: its owner reads it (0700). `group`: accounts of one group do (2770).
    store_mode: Kept[Mode] = "private"
    #: File with the pseudonym key, which only its owner may read.
    key_file: Kept[Place] = Field(default=Path("rejse.key"), validate_default=True)
    #: File with the token of `rejse live --http`, made at its first start.
    token_file: Kept[Place] = Field(default=Path("rejse.token"), validate_default=True)
    sources: dict[str, Source]
    operational: Operational = Operational()
    #: How long refused rows are kept in quarantine.
    keep_quarantine: Kept[Duration] = 14 * DAY
    #: Identities that are no person.
    non_persons: Ingest[tuple[str, ...]] = NON_PERSONS
    windows: WindowSettings = WindowSettings()
    #: Weight of a kind of friction, in (0, 0.95]; also `promise_late`.
    weights: Score[dict[str, float]] = Field(default_factory=dict)
    types: dict[str, TypeSettings] = Field(default_factory=dict)
    texts: TextSettings = TextSettings()
    retention: RetentionSettings = RetentionSettings()
    surveys: SurveySettings = SurveySettings()
    #: Rules of alerts, and who is told; without it nothing is evaluated.
    alerts: AlertSettings | None = None
    #: SQL that judges what campaigns claim, by name.
    promise_checks: Views[dict[str, Place]] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _with_store(cls, value: Any, info: ValidationInfo) -> Any:
        store = value.get("store") if isinstance(value, dict) else None
        if isinstance(store, str):
            return {**value, "store": store_place.folder(store, None, info)}
        if not isinstance(store, dict):
            return value
        if strange := sorted(store.keys() - {"path", "mode", "local"}):
            raise ValueError(f"store: expected path, mode and local, came {', '.join(strange)}")
        path, mode = store.get("path", "store"), store.get("mode", "private")
        folder = store_place.folder(path, store.get("local"), info)
        return {**value, "store": folder, "store_mode": mode}

    @field_validator("sources", mode="before")
    @classmethod
    def _named(cls, value: object) -> object:
        if not isinstance(value, dict) or not value:
            raise ValueError("expected at least one table [sources.NAME], came none")
        return {
            name: {"name": name, **table} if isinstance(table, dict) else table
            for name, table in value.items()
        }

    @field_validator("weights")
    @classmethod
    def _known(cls, value: dict[str, float]) -> dict[str, float]:
        for kind, weight in value.items():
            if kind not in WEIGHTS and kind != "promise_late":
                raise ValueError(f"expected one of {sorted(WEIGHTS)}, came {kind!r}")
            if not 0 < weight <= 0.95:
                raise ValueError(f"{kind}: expected a weight in (0, 0.95], came {weight}")
        return value

    @model_validator(mode="after")
    def _with_private_folder(self) -> Settings:
        private = {
            "keep_quarantine = 0": self.keep_quarantine > 0,
            'texts.keep = "dropped"': self.texts.keep != "dropped",
            "no archive = true of a source": bool(self.archived),
            "no [alerts]": self.alerts is not None,
        }
        store_place.refuse_private(self.store, [setting for setting, on in private.items() if on])
        return self

    def of_kind(self, kind: str) -> dict[str, Source]:
        """Return the sources of a kind, by name."""
        return {name: source for name, source in self.sources.items() if source.kind == kind}

    @property
    def archived(self) -> frozenset[str]:
        """Return the names of sources whose messages are kept in the archive."""
        return frozenset(name for name, source in self.sources.items() if source.archive)

    def promise_check_texts(self) -> dict[str, str]:
        """Read the SQL that checks claims, by name. Raises SettingsError."""
        return promise_check_files.read(self.promise_checks)

    def journey_types(self) -> dict[str, JourneyType]:
        """Return journey types by name: the table's rows, overridden by `[types.NAME]`."""
        default = self.windows.default_type()
        table = self.operational.journey_types
        types = journey_types.from_table(table, default) if table else {}
        for name, given in self.types.items():
            overrides = {k: v for k, v in given.model_dump().items() if v is not None}
            types[name] = replace(types.get(name, default), name=name, **overrides)
        return types

    def rules(self, declared: Mapping[str, frozenset[str]] | None = None) -> Rules:
        """Return the settings of the core.

        `declared`, columns by source, saves compiling the mappings again where the caller did.
        """
        types = self.journey_types()
        weights = {**WEIGHTS, **self.weights}
        late = weights.pop("promise_late", LATE_PROMISE_WEIGHT)
        return Rules(
            windows=self.windows.of_core(),
            weights=weights,
            late_promise_weight=late,
            types=types,
            default_type=types.get("other", self.windows.default_type()),
            sources=declared
            or {n: s.declared() for kind in DECLARING for n, s in self.of_kind(kind).items()},
        )

    @cached_property
    def version(self) -> str:
        """16 hex digits that change with all that can change a result, and with nothing else.

        The places of data, store and key are left out, and so is the key itself.
        """
        operational = {
            name: hashlib.sha256(path.read_bytes()).hexdigest()
            for name, path in self.operational
            if path is not None and name != "identity_links"  # each run compares them row by row
        }
        return digest({**self._fingerprint_inputs, "operational": operational})

    @cached_property
    def versions(self) -> dict[str, str]:
        """Hashes of what accepted rows, or what is made of them, depend on, by name.

        A name is `ingest.settings` or `score.settings` for what holds for all sources, and
        `ingest.sources.NAME` or `score.sources.NAME`. They leave out operational tables, which have
        validity and grow, and settings that only views or rows that are not final depend on.
        """
        inputs = self._fingerprint_inputs
        shared: dict[str, Any] = {
            "ingest": {
                "windows": self.windows.values_that(Decides.INGEST),
                "non_persons": inputs["non_persons"],
            },
            "score": {
                "windows": self.windows.values_that(Decides.SCORE),
                "weights": inputs["weights"], "types": inputs["types"],
            },
        }  # fmt: skip
        return {
            **{f"{part}.settings": digest(values) for part, values in shared.items()},
            **{f"ingest.sources.{name}": at for name, at in self.source_versions.items()},
            **{
                f"score.sources.{name}": digest({"declares": of_source["declares"]})
                for name, of_source in inputs["sources"].items()
            },
        }

    @cached_property
    def source_versions(self) -> dict[str, str]:
        """Hash by source of what its accepted rows depend on."""
        texts = {"experience": self._fingerprint_inputs["texts"]}
        decisive = ("kind", "mapping", "schema", "csv", "array", "sheet")
        return {
            name: digest(
                {
                    **{part: inputs[part] for part in decisive if part in inputs},
                    "texts": texts.get(inputs["kind"]),
                }
            )
            for name, inputs in self._fingerprint_inputs["sources"].items()
        }

    @cached_property
    def _fingerprint_inputs(self) -> dict[str, Any]:
        return {
            "windows": self.windows.model_dump(exclude={"horizon"}),
            "surveys": self.surveys.thresholds(),
            "texts": self.texts.fingerprint_inputs() if self.of_kind("experience") else None,
            "weights": {**WEIGHTS, **self.weights},
            "types": journey_types.of_core(self.journey_types()),
            "horizons": [self.windows.horizon, journey_types.horizons(self.journey_types())],
            "non_persons": sorted(self.non_persons),
            "promise_checks": self.promise_check_texts(),
            "sources": {name: source.fingerprint_inputs() for name, source in self.sources.items()},
        }

    def key(self) -> bytes:
        """Read the pseudonym key, from REJSE_KEY, else from `key_file` (hex digits).

        Raises:
            SettingsError: there is no key, it is too short or others can read it. The message
                holds no part of the key.
        """
        return key_file.key(self.key_file, self.store_mode)


def _nearest(place: list[str]) -> str:
    """Suggest the known setting that an unknown one may mean."""
    parts: dict[str, type[Frozen]] = {
        "windows": WindowSettings, "operational": Operational, "sources": Source,
        "types": TypeSettings, "texts": TextSettings, "retention": RetentionSettings,
        "alerts": AlertSettings, "csv": CsvOptions,
    }  # fmt: skip
    part: type[Frozen] = Settings if len(place) == 1 else parts.get(place[0], Settings)
    known = [field.alias or name for name, field in part.model_fields.items()]
    close = difflib.get_close_matches(place[-1], known, n=1)
    if close:
        return f"did you mean {close[0]}?"
    return f"known are {', '.join(sorted(set(known) - {'root', 'name'}))}"


def _described(fault: ValidationError, name: str) -> str:
    lines = []
    for error in fault.errors(include_url=False):
        place = ".".join(str(part) for part in error["loc"]) or "the file"
        message = error["msg"].removeprefix("Value error, ")
        if error["type"] == "extra_forbidden":
            message = f"is no setting; {_nearest([str(part) for part in error['loc']])}"
        elif error["type"] == "missing":
            message = "is needed and missing"
        lines.append(f"{name}: {place}: {message}")
    return "\n".join(lines)


def load(path: Path) -> Settings:
    """Read and check a configuration file.

    Raises:
        SettingsError: a setting is wrong, missing or unknown; the message names all of them.
    """
    if path.is_dir():
        path = path / "rejse.toml"
    if not path.is_file():
        raise SettingsError(
            f"expected the configuration {path}, found none;"
            " make one with `rejse init FILES...` or name it with --config"
        )
    try:
        document: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise SettingsError(f"{path.name}: expected TOML, came: {fault}") from None
    root = path.resolve().parent
    try:
        settings = Settings.model_validate({"root": root, **document}, context={"root": root})
    except ValidationError as fault:
        raise SettingsError(_described(fault, path.name)) from None
    _check_tables(settings)
    return settings


def _check_tables(settings: Settings) -> None:
    for name, table in settings.operational:
        if table is not None and not table.is_file():
            raise SettingsError(f"operational.{name}: expected the file {table.name}, found none")
    settings.promise_check_texts()
    if settings.alerts is not None:
        settings.alerts.refuse_incomplete()
    try:
        settings.journey_types()
    except ValueError as fault:
        raise SettingsError(str(fault)) from None
