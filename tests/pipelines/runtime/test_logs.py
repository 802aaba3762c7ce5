"""Logs of a service: levels, text or JSON, by the environment."""

from __future__ import annotations

import json
import logging

import pytest

from rejse.pipelines.runtime import logs
from rejse.transforms.errors import MisuseError


def test_a_line_of_json_has_the_fields_of_its_message() -> None:
    record = logging.makeLogRecord(
        {
            "name": "rejse.live", "levelname": "INFO", "msg": "%s\n%s", "args": ("a", "b"),
            "created": 1_800_000_000.25, "publication": 3,
        }
    )  # fmt: skip
    assert json.loads(logs.Json().format(record)) == {
        "time": "2027-01-15T08:00:00.250+00:00", "level": "info", "logger": "rejse.live",
        "message": "a\nb", "publication": 3,
    }  # fmt: skip
    assert "\n" not in logs.Json().format(record)


@pytest.mark.parametrize("name", (logs.LEVEL, logs.FORMAT))
def test_what_there_is_not_is_refused(name: str) -> None:
    with pytest.raises(MisuseError, match=f"{name}: expected one of .* came 'loud'"):
        logs.configure({name: "loud"})


def test_the_level_is_that_of_the_environment() -> None:
    logger = logging.getLogger("rejse")
    before = logger.level
    try:
        logs.configure({logs.LEVEL: "info"})
        assert logger.level == logging.INFO
        logs.configure({})
        assert logger.level == logging.WARNING
    finally:
        logger.setLevel(before)
