"""Parse and check times given as options: `--complete-until SOURCE=TIME`, `--from TIME`.

The SOURCE is one of the configuration, or a name that its rows carry. The time up to which a
source is complete is its watermark (docs/reference/journeys.md).
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rejse.transforms.errors import MisuseError
from rejse.transforms.schema.moments import micros

if TYPE_CHECKING:
    from rejse.pipelines.config.settings import Source

OPTION = "--complete-until"


class TimeOptionError(MisuseError):
    """A time was not given as it must be; the message says what was expected."""


class UnknownSourceError(TimeOptionError):
    """A source was given that is neither configured nor named by any row."""


def parse(texts: Iterable[str]) -> dict[str, int]:
    """Return microseconds by source of `SOURCE=TIME` texts; a time without zone is UTC.

    Raises:
        TimeOptionError: a text has no source, its time is not ISO 8601, or a source has two times.
    """
    out: dict[str, int] = {}
    for text in texts:
        source, _, time = text.rpartition("=")
        if not source:
            raise TimeOptionError(
                f"{OPTION} {text}: expected SOURCE=TIME such as crm=2025-06-30, no source came"
            )
        when = parse_time(f"{OPTION} {text}", time)
        if out.setdefault(source, when) != when:
            raise TimeOptionError(f"{OPTION} {source}=...: expected one time of a source, came two")
    return out


def parse_time(option: str, time: str) -> int:
    """Return the microseconds of an ISO 8601 time; without a zone it is UTC.

    Raises:
        TimeOptionError: it is no such time; the message names the `option`.
    """
    try:
        when = datetime.fromisoformat(time)
    except ValueError:
        raise TimeOptionError(
            f"{option}: expected a time such as 2025-06-30T00:00:00Z, came {time!r}"
        ) from None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return micros(when)


def refuse_unknown(
    sources: Mapping[str, Source],
    complete_until: Mapping[str, int],
    delivered: Collection[str] | None = None,
) -> None:
    """Raise UnknownSourceError where a time is given for a source that does not exist.

    Before the run (`delivered` is None) that is certain only where no mapping names the source of
    its rows; afterwards `delivered` are the names that rows carry.
    """
    unknown = sorted(set(complete_until) - set(sources) - set(delivered or ()))
    if not unknown or (delivered is None and any(map(_names_sources, sources.values()))):
        return
    close = difflib.get_close_matches(unknown[0], {*sources, *(delivered or ())}, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    listed = f"a configured source: {', '.join(sorted(sources))}"
    if delivered is not None:
        listed += f", or a name that came: {', '.join(sorted(delivered)) or '(none)'}"
        hint += "; nothing was published"
    raise UnknownSourceError(f"{OPTION} {unknown[0]}=...: expected {listed}{hint}")


def _names_sources(source: Source) -> bool:
    """Return whether the mapping of a source names the source of each row itself."""
    return "source" in source.select().close().columns
