"""Times as the tables hold them, microseconds since 1970, and as Python's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def moment(microseconds: int) -> datetime:
    """Return the time, in UTC. Raises OverflowError beyond the years that Python knows."""
    return _EPOCH + microseconds * _MICROSECOND


def micros(time: datetime) -> int:
    """Return the microseconds of a time that has a zone."""
    return (time - _EPOCH) // _MICROSECOND
