"""Settings `[alerts]`: rules beside those of rejse, who is told, when and how often.

Without the table nothing is evaluated. Secrets are names of environment variables.
"""

from __future__ import annotations

import ipaddress
import re
from datetime import time
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import Field, ValidationInfo, field_validator

from rejse.pipelines.config import topic_options
from rejse.pipelines.config.field_types import Duration, Frozen, Kept, Place, SettingsError, placed
from rejse.sql import Script, parse, scripts
from rejse.transforms.schema.parameters import DAY

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_SPAN = re.compile(r"(\d\d:\d\d)-(\d\d:\d\d)")
_SECRET = re.compile(r"\$\{\w+\}")


class AlertSettings(Frozen):
    """Alerts. `keep` is microseconds."""

    #: Paths or globs of rules of one's own; one SELECT a file.
    rules: Kept[tuple[str, ...]] = ()
    #: Rules that are not asked, by name.
    without: Kept[frozenset[str]] = frozenset()
    #: Hours in which nobody is told, such as "22:00-07:00".
    quiet: Kept[str] = ""
    #: Time zone of the quiet hours.
    time_zone: Kept[str] = "UTC"
    #: Severities that are told in quiet hours too.
    wakes: Kept[frozenset[Literal["info", "warning", "critical"]]] = frozenset({"critical"})
    #: Messages that an owner gets in any hour at most.
    per_owner_per_hour: Kept[int | None] = Field(default=20, ge=1)
    #: How long an alert is kept in the ledger after its last change.
    keep: Kept[Duration] = 400 * DAY
    #: File to which messages are appended, one JSON object a line.
    file: Kept[Place | None] = None
    #: Address to which messages are sent: https, or http of this machine.
    webhook: Kept[str | None] = None
    #: Header of the webhook that holds the secret.
    webhook_header: Kept[str] = Field(default="Authorization", pattern=r"^[A-Za-z0-9-]+$")
    #: Environment variable with the value of that header, such as "${ALERTS_TOKEN}".
    webhook_secret: Kept[str | None] = None
    #: Topic of Kafka to which messages are written; needs `pip install 'rejse[kafka]'`.
    topic: Kept[str | None] = Field(default=None, pattern=r"^[A-Za-z0-9._-]+$", max_length=249)
    #: Brokers to ask first: `host:port`, several with commas.
    servers: Kept[str] = ""
    #: Options of librdkafka; `${NAME}` for secrets.
    options: Kept[dict[str, str]] = Field(default_factory=dict)

    @field_validator("rules", mode="before")
    @classmethod
    def _globs(cls, value: object, info: ValidationInfo) -> tuple[str, ...]:
        globs = [value] if isinstance(value, str) else value
        if not isinstance(globs, list | tuple):
            raise ValueError(f"expected a list of paths or globs, came {value!r}")
        return tuple(str(placed(glob, info)) for glob in globs)

    @field_validator("quiet")
    @classmethod
    def _hours(cls, value: str) -> str:
        if value:
            _span(value)
        return value

    @field_validator("time_zone")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, OSError, ValueError):
            raise ValueError(
                f"expected a time zone such as Europe/Copenhagen, came {value!r}"
            ) from None
        return value

    @field_validator("webhook")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if value is not None and not _is_safe(value):
            raise ValueError(
                "expected an address that begins with https://, or http:// of this machine,"
                " without user and password"
            )
        return value

    @field_validator("webhook_secret")
    @classmethod
    def _reference(cls, value: str | None) -> str | None:
        if value is not None and not _SECRET.fullmatch(value):
            raise ValueError(
                "expected the name of an environment variable that holds the secret, such as"
                ' "${ALERTS_TOKEN}", came the value itself'
            )
        return value

    @field_validator("options", mode="before")
    @classmethod
    def _checked(cls, value: object) -> object:
        return topic_options.checked(value) if isinstance(value, dict) else value

    def quiet_hours(self) -> tuple[time, time]:
        """Return begin and end of the quiet hours on the wall; equal where there are none."""
        return _span(self.quiet) if self.quiet else (time(), time())

    def refuse_incomplete(self) -> None:
        """Raise SettingsError where a rule is missing, or a topic is without its servers."""
        if self.topic is not None and not self.servers:
            raise SettingsError(
                'alerts.servers: expected brokers of the topic, such as "localhost:9092", came none'
            )
        self.scripts()

    def scripts(self) -> dict[str, Script]:
        """Read the rules by name: those of rejse, and one's own. Raises SettingsError."""
        own = [path for glob in self.rules for path in _listed(Path(glob))]
        named = dict(scripts("alerts"))
        for path in own:
            if path.stem in named or not _NAME.fullmatch(path.stem):
                raise SettingsError(
                    "alerts.rules: expected files named by small letters, digits and _, and no"
                    f" name twice or as a rule of rejse, came {path.name}"
                )
            named[path.stem] = _read(path)
        if strange := sorted(self.without - named.keys()):
            known = ", ".join(sorted(named))
            raise SettingsError(f"alerts.without: expected names of {known}, came {strange[0]}")
        return {name: script for name, script in named.items() if name not in self.without}


def _span(value: str) -> tuple[time, time]:
    match = _SPAN.fullmatch(value)
    if match is None:
        raise ValueError(f'expected hours such as "22:00-07:00", came {value!r}')
    begin, end = match.groups()
    return time.fromisoformat(begin), time.fromisoformat(end)


def _is_safe(address: str) -> bool:
    parts = urlsplit(address)
    if parts.hostname is None or parts.username is not None or parts.password is not None:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname))


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _listed(pattern: Path) -> list[Path]:
    """Return the files of a path or glob. Raises SettingsError where there is none."""
    files = sorted(pattern.parent.glob(pattern.name))
    if not files:
        raise SettingsError(f"alerts.rules: expected files {pattern.name}, found none")
    return files


def _read(path: Path) -> Script:
    try:
        return parse(path)
    except (OSError, ValueError) as fault:
        raise SettingsError(f"alerts.rules: {path.name}: {fault}") from None
