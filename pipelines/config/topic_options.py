"""Check the options of a topic: those of librdkafka and of the schema registry."""

from __future__ import annotations

import re
from collections.abc import Mapping

#: Options that a source cannot set: they decide what is read, or load code.
OWNED = frozenset({
    "bootstrap.servers", "metadata.broker.list", "group.id", "group.instance.id",
    "enable.auto.commit", "enable.auto.offset.store", "auto.offset.reset", "auto.commit.enable",
    "isolation.level", "enable.partition.eof", "plugin.library.paths", "log_level", "debug",
})  # fmt: skip
#: Options that may hold a secret, by a part of their names.
SECRET = re.compile(r"password|secret|key\.pem|key\.bytes|user\.info|token|oauthbearer\.config")
_REFERENCE = re.compile(r"[^$]*\$\{\w+\}.*", re.DOTALL)


def checked(options: Mapping[str, object]) -> dict[str, str]:
    """Return the options as librdkafka writes them.

    Raises:
        ValueError: an option is not to be set, or holds a secret in plain text.
    """
    out = {}
    for name, value in options.items():
        if name in OWNED:
            raise ValueError(f"{name}: is set by rejse itself, or by `servers` and `topic`")
        if isinstance(value, bool):
            value = str(value).lower()
        if not isinstance(value, str | int | float):
            raise ValueError(f"{name}: expected a text, a number, true or false")
        if SECRET.search(name) and not _REFERENCE.fullmatch(str(value)):
            raise ValueError(
                f"{name}: expected the name of an environment variable that holds the secret, such"
                ' as "${KAFKA_PASSWORD}", came the value itself'
            )
        out[name] = str(value)
    return out
