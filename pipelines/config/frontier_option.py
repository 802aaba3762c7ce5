"""Times that a user states; of a frontier as `SOURCE=TIME`, a configured source or its name."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from rejse.transforms.errors import MisuseError

if TYPE_CHECKING:
    from rejse.pipelines.config.settings import Source


class StatedError(MisuseError):
    """A frontier is not stated as it must be; the message says what was expected."""


class UnknownSourceError(StatedError):
    """A frontier was stated for a source that is neither configured nor came."""


def parse(texts: Iterable[str]) -> dict[str, int]:
    """Microseconds by source of `SOURCE=TIME` texts; a time without zone is UTC.

    Raises StatedError where one is no such text, its time is no ISO 8601 time, or a source has two.
    """
    out: dict[str, int] = {}
    for text in texts:
        source, _, time = text.rpartition("=")
        if not source:
            raise StatedError(
                f"--frontier {text}: expected SOURCE=TIME such as crm=2025-06-30, no source came"
            )
        when = moment(f"--frontier {text}", time)
        if out.setdefault(source, when) != when:
            raise StatedError(f"--frontier {source}=...: expected one time of a source, came two")
    return out


def moment(option: str, time: str) -> int:
    """Microseconds of a time that an option names; without a zone it is UTC.

    Raises StatedError where it is no ISO 8601 time.
    """
    try:
        when = datetime.fromisoformat(time)
    except ValueError:
        raise StatedError(
            f"{option}: expected a time such as 2025-06-30T00:00:00Z, came {time!r}"
        ) from None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return (when - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def refuse_unknown(
    sources: Mapping[str, Source], stated: Mapping[str, int], came: Collection[str] | None = None
) -> None:
    """Raise UnknownSourceError for a stated frontier of nobody.

    Before the run (`came` is None) that is known only where no mapping names sources itself;
    afterwards the names that came are.
    """
    unknown = sorted(set(stated) - set(sources) - set(came or ()))
    if not unknown or (came is None and any(map(_names_sources, sources.values()))):
        return
    close = difflib.get_close_matches(unknown[0], {*sources, *(came or ())}, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    listed = f"a configured source: {', '.join(sorted(sources))}"
    if came is not None:
        listed += f", or a name that came: {', '.join(sorted(came)) or '(none)'}"
        hint += "; nothing was published"
    raise UnknownSourceError(f"--frontier {unknown[0]}=...: expected {listed}{hint}")


def _names_sources(source: Source) -> bool:
    """Does its mapping name the source of each row itself?"""
    return "source" in source.select().close().columns
