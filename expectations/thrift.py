"""What Great Expectations computes again and again of what does not change, computed once.

Each rule is asked for its arguments some twenty times, and each time serialises itself anew; each
metric is identified by a digest of values that are looked at as if they might be of any of thirty
libraries. Of few rows that is most of an audit. Results are the same, which a test compares.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from great_expectations.core import id_dict
from great_expectations.expectations.expectation import Expectation

#: Types of values that JSON has itself.
PLAIN = frozenset((str, int, bool, type(None)))


@contextmanager
def spared() -> Iterator[None]:
    """Within it, in this process and on one thread, nothing of that is computed twice."""
    configured, arguments = Expectation.configuration.fget, Expectation._get_runtime_kwargs
    serializable = id_dict.convert_to_json_serializable
    kept: dict[int, Any] = {}  # configurations of rules that are telling their arguments

    def configuration(rule: Any) -> Any:
        return kept.get(id(rule)) or configured(rule)

    def runtime_kwargs(rule: Any, *given: Any, **named: Any) -> Any:
        kept[id(rule)] = configured(rule)
        try:
            return arguments(rule, *given, **named)
        finally:
            del kept[id(rule)]

    def json_of(data: Mapping[str, Any]) -> Any:
        return data if {type(one) for one in data.values()} <= PLAIN else serializable(data)

    with (
        patch.object(Expectation, "configuration", property(configuration)),
        patch.object(Expectation, "_get_runtime_kwargs", runtime_kwargs),
        patch.object(id_dict, "convert_to_json_serializable", json_of),
    ):
        yield
