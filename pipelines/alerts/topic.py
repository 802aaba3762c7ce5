"""Write messages to a topic of Kafka; the key of a record is that of the alert."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from typing import Any

from rejse.pipelines.alerts.messages import Message
from rejse.pipelines.alerts.receivers import UnreachableError
from rejse.pipelines.config.field_types import SettingsError, expand

#: Seconds in which the brokers must take a message.
ANSWER = 15.0
#: What the producer is set to: a record is in the log of all replicas, once a try.
FIXED: Mapping[str, Any] = {"enable.idempotence": True, "linger.ms": 0, "log_level": 2}


class TopicReceiver:
    """A topic. The client is made with the first message."""

    def __init__(
        self, topic: str, servers: str, options: Mapping[str, str], answer: float = ANSWER
    ) -> None:
        """Take the topic. Raises SettingsError where the extra `kafka` is not installed."""
        if importlib.util.find_spec("confluent_kafka") is None:
            raise SettingsError("alerts.topic: first: pip install 'rejse[kafka]'")
        self._topic, self._answer = topic, answer
        self._options = {name: expand(value) for name, value in options.items()}
        self._servers, self._producer = servers, None

    def send(self, message: Message) -> None:
        """Write a message, and wait until the brokers have it. Raises UnreachableError."""
        from confluent_kafka import KafkaException

        faults: list[Any] = []
        try:
            producer = self._made()
            producer.produce(
                self._topic,
                json.dumps(message).encode(),
                str(message["data"].get("key", message["id"])),
                headers={"content-type": "application/cloudevents+json"},
                on_delivery=lambda fault, _: faults.append(fault),
            )
            producer.flush(self._answer)
        except (KafkaException, BufferError) as fault:
            raise UnreachableError(f"the brokers refuse a message ({_code(fault)})") from None
        if faults != [None]:
            self._producer = None  # what is still in its queue must not come later
            problem = faults[0].name() if faults else "no answer"
            raise UnreachableError(f"the brokers did not take a message ({problem})")

    def _made(self) -> Any:
        if self._producer is None:
            from confluent_kafka import Producer

            timeout = {"message.timeout.ms": int(1000 * self._answer)}
            config = {**self._options, **FIXED, **timeout, "bootstrap.servers": self._servers}
            self._producer = Producer(config)
        return self._producer


def _code(fault: Exception) -> str:
    """Return the name of an error; its text may hold an option."""
    code = getattr(fault.args[0], "name", None) if fault.args else None
    return code() if callable(code) else type(fault).__name__
