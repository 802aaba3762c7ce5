"""Types of settings: durations, paths, shares; and the error for an invalid one."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo

from rejse.transforms.errors import MisuseError
from rejse.transforms.schema import durations

_VARIABLE = re.compile(r"\$\{(\w+)\}")


class SettingsError(MisuseError, ValueError):
    """The configuration cannot be used; the message says what to change.

    It is a ValueError, so that pydantic adds the setting to what a validator raises.
    """


def _duration(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(f"expected a duration such as 30d, 30min or 10s, came {value!r}")
    if isinstance(value, int):
        if value == 0:
            return 0
        raise ValueError(f"expected a duration with its unit such as 30d, came {value}")
    return durations.parse(value)


def expand(text: str) -> str:
    """Replace each `${NAME}` in a text by its environment variable.

    Raises:
        SettingsError: a variable is not set.
    """

    def value_of(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            raise SettingsError(
                f"{text!r} names the environment variable {match[1]}, which is not set;"
                f" set it, for example: export {match[1]}=/your/folder"
            )
        return os.environ[match[1]]

    return _VARIABLE.sub(value_of, text)


def digest(inputs: Mapping[str, Any]) -> str:
    """Return 16 hex digits that change with the inputs."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:16]


def text_of(path: Path, what: str) -> str:
    """Read a file that the configuration names. Raises SettingsError where it is missing."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as fault:
        raise SettingsError(
            f"{what}: expected the file {path.name} beside the configuration, came {fault.strerror}"
        ) from None


def placed(value: object, info: ValidationInfo) -> Path:
    """Resolve a path of the configuration against its folder."""
    if not isinstance(value, str | Path):
        raise ValueError(f"expected a path in quotes, came {value!r}")
    root: Path = info.context["root"] if info.context else Path()
    return root / expand(str(value))


Duration = Annotated[int, BeforeValidator(_duration)]
Place = Annotated[Path, BeforeValidator(placed)]
Share = Annotated[float, Field(ge=0, le=1)]


class Decides(Enum):
    """What a setting decides, and so what is made again where it changes."""

    #: Which rows are accepted, and as what they are stored: the sources are read again.
    INGEST = "ingest"
    #: What is made of accepted rows: stored ones are scored anew.
    SCORE = "score"
    #: What is made of rows that are not final: each run takes the setting as it is.
    OPEN = "open"
    #: What views show of stored rows.
    VIEWS = "views"
    #: Where things lie, who may read them and how long they are kept.
    PLACE = "place"


#: Types of settings by what they decide; the type of each setting is one of them.
T = TypeVar("T")
Ingest = Annotated[T, Decides.INGEST]
Score = Annotated[T, Decides.SCORE]
Open = Annotated[T, Decides.OPEN]
Views = Annotated[T, Decides.VIEWS]
Kept = Annotated[T, Decides.PLACE]


class Frozen(BaseModel):
    """Base of all parts of the configuration: immutable, and refuses unknown settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    def values_that(self, decide: Decides) -> dict[str, Any]:
        """Return the values of the fields that decide this."""
        fields = type(self).model_fields.items()
        return self.model_dump(include={name for name, f in fields if decide in f.metadata})
