"""The configuration file `rejse.toml` as frozen, checked values.

Paths in it are relative to its own folder; `${NAME}` in `store`, `key_file` and `files` stands
for an environment variable. The pseudonym key is never a setting: it lies in `key_file` or in
the environment variable REJSE_KEY.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from rejse.pipelines.config import journey_types, key_file, promise_check_files
from rejse.pipelines.config.field_types import (
    Duration,
    Frozen,
    Place,
    SettingsError,
    Share,
    digest,
    placed,
    text_of,
)
from rejse.pipelines.config.key_file import KEY_VARIABLE as KEY_VARIABLE
from rejse.pipelines.config.retention import RetentionSettings
from rejse.pipelines.config.surveys import SurveySettings
from rejse.pipelines.config.texts import TextSettings
from rejse.pipelines.runtime.file_modes import Mode
from rejse.transforms.schema.parameters import (
    DAY,
    LATE_PROMISE_WEIGHT,
    WEIGHTS,
    JourneyType,
    Rules,
    Windows,
)

NON_PERSONS = ("", "?", "undefined", "null", "none", "nan", "n/a", "unknown", "anonymous")
#: Kinds of sources whose declared columns tell what is null and what is 0.
DECLARING = ("interaction", "experience")


class Source(Frozen):
    """One source: its files (absolute globs), its mapping, its frozen raw schema.

    `kind` says which contract its rows keep: what happened (interaction), what somebody felt or
    said (experience), or what holds of a customer (customers, cases, owned_products). `disorder` is
    in microseconds. `declares` names the columns that the source is known to carry; without it they
    are those that the mapping maps.
    """

    name: str
    kind: Literal["interaction", "experience", "customers", "cases", "owned_products"] = (
        "interaction"
    )
    files: tuple[str, ...]
    mapping: Place
    schema_file: Place = Field(alias="schema")
    disorder: Duration = 0
    retired: bool = False
    declares: frozenset[str] | None = None

    @field_validator("files", mode="before")
    @classmethod
    def _globs(cls, value: object, info: ValidationInfo) -> tuple[str, ...]:
        globs = [value] if isinstance(value, str) else value
        if not isinstance(globs, list | tuple) or not globs:
            raise ValueError(f"expected a list of paths or globs, came {value!r}")
        return tuple(str(placed(glob, info)) for glob in globs)

    def mapping_text(self) -> str:
        """The mapping's SQL. Raises SettingsError where the file is missing."""
        return text_of(self.mapping, f"mapping of source {self.name}")

    def told(self) -> dict[str, Any]:
        """All that results depend on, but its files. Raises SettingsError."""
        return {
            "kind": self.kind, "mapping": self.mapping_text(),
            "schema": json.loads(text_of(self.schema_file, f"schema of source {self.name}")),
            "declares": None if self.declares is None else sorted(self.declares),
            "disorder": self.disorder, "retired": self.retired,
        }  # fmt: skip

    def declared(self) -> frozenset[str]:
        """Canonical columns this source declares: as configured, else as mapped."""
        if self.declares is not None:
            return self.declares
        return frozenset(self.select().columns)

    def select(self) -> Any:
        """The mapping, checked under the contract of its kind. Raises MappingError."""
        from rejse.pipelines.config.raw_schema import read
        from rejse.transforms.incremental.input_kinds import INPUTS
        from rejse.transforms.ingest.mapping import Mapping as Select

        contract = INPUTS[self.kind].contract
        return Select(self.mapping_text(), read(self.schema_file), self.name, contract)


class Operational(Frozen):
    """Where the operational tables lie (CSV or Parquet); None where there is none."""

    touchpoints: Place | None = None
    touchpoint_fields: Place | None = None
    journey_types: Place | None = None
    agents: Place | None = None
    teams: Place | None = None
    calendar: Place | None = None
    weather: Place | None = None
    slas: Place | None = None
    cost_rates: Place | None = None
    products: Place | None = None
    campaigns: Place | None = None
    identity_links: Place | None = None


class WindowSettings(Frozen):
    """Windows and thresholds; durations in microseconds, the defaults of the rules."""

    gap: Duration = JourneyType.gap
    case_gap: Duration = JourneyType.case_gap
    reopen_window: Duration = JourneyType.reopen_window
    cap: Duration = JourneyType.cap
    handoff_due: Duration = JourneyType.handoff_due
    horizon: Duration | None = None
    session_gap: Duration = Windows.session_gap
    lateness: Duration = Windows.lateness
    #: How far ahead of the run's clock the clock of a source may be.
    future: Duration = 1 * DAY
    identity_wait: Duration = Windows.identity_wait
    repeat: Duration = Windows.repeat
    promise_give_up: Duration = Windows.promise_give_up
    max_events: int = Field(default=Windows.max_events, ge=1)
    coverage_floor: Share = Windows.coverage_floor
    #: A contact abandoned after a shorter logged wait is no abandonment.
    short_abandon: Duration = Windows.short_abandon
    #: So many messages without relevance basis a customer bears in (t - window, t].
    pressure_window: Duration = Windows.pressure_window
    pressure_cap: int = Field(default=Windows.pressure_cap, ge=1)
    #: Intents that state a quick need: any upsell against them counts.
    quick_intents: tuple[str, ...] = ()
    volatile_fields: tuple[str, ...] = ()
    question_activities: tuple[str, ...] = Windows.question_activities
    x_touchpoint: Duration = Windows.x_touchpoint
    survey: Duration = Windows.survey
    ignored: Duration = Windows.ignored
    #: How long what a customer does next is looked for after a journey.
    follow_up: Duration = Windows.follow_up
    relief_friction: float = Field(default=Windows.relief_friction, ge=0, le=100)

    def of_core(self) -> Windows:
        """The windows that hold over all journey types."""
        return Windows(**{f.name: getattr(self, f.name) for f in fields(Windows)})

    def default_type(self) -> JourneyType:
        """The journey type `other`: what a type does not say itself."""
        names = ("gap", "case_gap", "reopen_window", "cap", "handoff_due", "horizon")
        return JourneyType(**{name: getattr(self, name) for name in names})


class TypeSettings(Frozen):
    """What `[types.NAME]` says of a journey type; it goes before the journey_types table."""

    owner: str | None = None
    gap: Duration | None = None
    case_gap: Duration | None = None
    reopen_window: Duration | None = None
    cap: Duration | None = None
    handoff_due: Duration | None = None
    horizon: Duration | None = None
    start_activities: tuple[str, ...] | None = None
    end_activities: tuple[str, ...] | None = None
    end_outcomes: tuple[str, ...] | None = None
    weak_end_outcomes: tuple[str, ...] | None = None
    outcome_map: dict[str, Share] | None = None
    expects_outcome: bool | None = None
    is_problem: bool | None = None


class Settings(Frozen):
    """The whole configuration. `root` is the folder of `rejse.toml`.

    `keep_quarantine` says how long raw rows that were refused are kept, in microseconds. `store` is
    a path, or a table of `path` and `mode`.
    """

    root: Path
    store: Place = Field(default=Path("store"), validate_default=True)
    store_mode: Mode = "private"
    key_file: Place = Field(default=Path("rejse.key"), validate_default=True)
    sources: dict[str, Source]
    operational: Operational = Operational()
    keep_quarantine: Duration = 14 * DAY
    non_persons: tuple[str, ...] = NON_PERSONS
    windows: WindowSettings = WindowSettings()
    weights: dict[str, float] = Field(default_factory=dict)
    types: dict[str, TypeSettings] = Field(default_factory=dict)
    texts: TextSettings = TextSettings()
    retention: RetentionSettings = RetentionSettings()
    surveys: SurveySettings = SurveySettings()
    promise_checks: dict[str, Place] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _with_store(cls, value: Any) -> Any:
        store = value.get("store") if isinstance(value, dict) else None
        if not isinstance(store, dict):
            return value
        if strange := sorted(store.keys() - {"path", "mode"}):
            raise ValueError(f"store: expected path and mode, came {', '.join(strange)}")
        said = {"store": store.get("path", "store"), "store_mode": store.get("mode", "private")}
        return {**value, **said}

    @field_validator("sources", mode="before")
    @classmethod
    def _named(cls, value: object) -> object:
        if not isinstance(value, dict) or not value:
            raise ValueError("expected at least one table [sources.NAME], came none")
        return {
            name: {"name": name, **one} if isinstance(one, dict) else one
            for name, one in value.items()
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

    def of_kind(self, kind: str) -> dict[str, Source]:
        """Sources of one kind, by name."""
        return {name: one for name, one in self.sources.items() if one.kind == kind}

    def promise_check_texts(self) -> dict[str, str]:
        """SQL that judges claims, by name. Raises SettingsError."""
        return promise_check_files.read(self.promise_checks)

    def journey_types(self) -> dict[str, JourneyType]:
        """Journey types by name: the table's rows, then what `[types.NAME]` says instead."""
        default = self.windows.default_type()
        table = self.operational.journey_types
        found = journey_types.from_table(table, default) if table else {}
        for name, given in self.types.items():
            said = {k: v for k, v in given.model_dump().items() if v is not None}
            found[name] = replace(found.get(name, default), name=name, **said)
        return found

    def rules(self, declared: Mapping[str, frozenset[str]] | None = None) -> Rules:
        """Settings of the core.

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

        Where the data, the store and the key lie is left out, and so is the key itself.
        """
        operational = {
            name: hashlib.sha256(path.read_bytes()).hexdigest()
            for name, path in self.operational
            if path is not None and name != "identity_links"  # each run compares them row by row
        }
        return digest({**self._told, "operational": operational})

    @cached_property
    def core_version(self) -> str:
        """The same without operational tables, which have validity and grow, without what only
        views read, and without the sources, each of which may come and go (`source_versions`).
        """
        apart = ("surveys", "promise_checks", "sources", "texts", "horizons")
        return digest({name: said for name, said in self._told.items() if name not in apart})

    @cached_property
    def source_versions(self) -> dict[str, str]:
        """Of each source what its stored rows depend on, as a hash."""
        texts, apart = {"experience": self._told["texts"]}, ("disorder", "retired")
        return {
            name: digest({**{part: one for part, one in said.items() if part not in apart},
                          "texts": texts.get(said["kind"])})
            for name, said in self._told["sources"].items()
        }  # fmt: skip

    @cached_property
    def _told(self) -> dict[str, Any]:
        return {
            "windows": self.windows.model_dump(exclude={"horizon"}),
            "surveys": self.surveys.thresholds(),
            "texts": self.texts.told() if self.of_kind("experience") else None,
            "weights": {**WEIGHTS, **self.weights},
            "types": journey_types.of_core(self.journey_types()),
            "horizons": [self.windows.horizon, journey_types.horizons(self.journey_types())],
            "non_persons": sorted(self.non_persons),
            "promise_checks": self.promise_check_texts(),
            "sources": {name: source.told() for name, source in self.sources.items()},
        }

    def key(self) -> bytes:
        """The pseudonym key, from REJSE_KEY, else from `key_file` (hex digits).

        Raises SettingsError where there is none, it is short or others can read it; the message
        never holds any of it.
        """
        return key_file.key(self.key_file, self.store_mode)


def _nearest(place: list[str]) -> str:
    """Which known setting may be meant by an unknown one."""
    parts: dict[str, type[Frozen]] = {
        "windows": WindowSettings, "operational": Operational, "sources": Source,
        "types": TypeSettings, "texts": TextSettings, "retention": RetentionSettings,
    }  # fmt: skip
    part: type[Frozen] = Settings if len(place) == 1 else parts.get(place[0], Settings)
    known = [field.alias or name for name, field in part.model_fields.items()]
    close = difflib.get_close_matches(place[-1], known, n=1)
    if close:
        return f"did you mean {close[0]}?"
    return f"known are {', '.join(sorted(set(known) - {'root', 'name'}))}"


def _said(fault: ValidationError, name: str) -> str:
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

    Raises SettingsError, naming every setting that is wrong, missing or unknown.
    """
    if path.is_dir():
        path = path / "rejse.toml"
    if not path.is_file():
        raise SettingsError(
            f"expected the configuration {path}, found none;"
            " make one with `rejse init FILES...` or name it with --config"
        )
    try:
        said: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise SettingsError(f"{path.name}: expected TOML, came: {fault}") from None
    root = path.resolve().parent
    try:
        settings = Settings.model_validate({"root": root, **said}, context={"root": root})
    except ValidationError as fault:
        raise SettingsError(_said(fault, path.name)) from None
    _check_tables(settings)
    return settings


def _check_tables(settings: Settings) -> None:
    for name, table in settings.operational:
        if table is not None and not table.is_file():
            raise SettingsError(f"operational.{name}: expected the file {table.name}, found none")
    settings.promise_check_texts()
    try:
        settings.journey_types()
    except ValueError as fault:
        raise SettingsError(str(fault)) from None
