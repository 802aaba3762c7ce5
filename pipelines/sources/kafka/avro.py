"""Decode Avro messages: the wire format of a schema registry, or object containers.

In the wire format a zero byte and the number of the writer's schema come before the record. A
container holds its schema and any number of records.
"""

from __future__ import annotations

import base64
import io
import json
import ssl
import struct
import urllib.error
import urllib.request
from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from urllib.parse import quote
from uuid import UUID

from rejse.pipelines.sources.kafka import broker
from rejse.pipelines.sources.kafka.broker import BrokerError
from rejse.pipelines.sources.kafka.topics import Topic
from rejse.transforms.errors import RejseError

CONTAINER, WIRE = b"Obj\x01", b"\x00"
#: Bytes before a record in the wire format.
HEADER = 5
#: Seconds in which a registry must answer.
ANSWER = 15.0
URL, USER, CA = (
    broker.REGISTRY + name for name in ("url", "basic.auth.user.info", "ssl.ca.location")
)


class DecodeError(RejseError):
    """A message that cannot be decoded."""


class Registry:
    """The schemas of a registry by their numbers, each asked for once."""

    def __init__(self, source: str, options: Mapping[str, str]) -> None:
        self._source, self._options = source, options
        self._schemas: dict[int, Any] = {}

    def schema(self, number: int) -> Any:
        """Return a parsed schema.

        Raises:
            DecodeError: there is no usable schema of this number.
            BrokerError: the registry does not answer.
        """
        import fastavro

        if number not in self._schemas:
            try:
                answer = self._ask(f"schemas/ids/{number}", f"schema {number}")
                named = dict[str, Any]()
                self._parse_references(answer, named, set())
                self._schemas[number] = fastavro.parse_schema(
                    json.loads(answer["schema"]), named_schemas=named
                )
            except (ValueError, KeyError, TypeError, fastavro.schema.SchemaParseException) as fault:
                self._schemas[number] = DecodeError(f"schema {number} is no Avro schema: {fault!r}")
            except DecodeError as fault:
                self._schemas[number] = fault
        schema = self._schemas[number]
        if isinstance(schema, DecodeError):
            raise schema
        return schema

    def _parse_references(
        self, answer: Mapping[str, Any], named: dict[str, Any], parsed: set[str]
    ) -> None:
        """Add to `named` the schemas that one refers to, those that they refer to first."""
        import fastavro

        for reference in answer.get("references") or ():
            subject, version = str(reference["subject"]), int(reference["version"])
            path = f"subjects/{quote(subject, safe='')}/versions/{version}"
            if path not in parsed:
                parsed.add(path)
                referenced = self._ask(path, f"version {version} of subject {subject}")
                self._parse_references(referenced, named, parsed)
                fastavro.parse_schema(json.loads(referenced["schema"]), named_schemas=named)

    def _ask(self, path: str, wanted: str) -> Mapping[str, Any]:
        """Return the answer of the registry to the path of a schema."""
        if URL not in self._options:
            raise DecodeError(f"expected a container, came the wire format; set the option {URL}")
        url = f"{self._options[URL].rstrip('/')}/{path}"
        request = urllib.request.Request(url)
        if USER in self._options:
            pair = base64.b64encode(self._options[USER].encode()).decode()
            request.add_header("Authorization", f"Basic {pair}")
        context = ssl.create_default_context(cafile=self._options.get(CA))
        try:
            with urllib.request.urlopen(request, timeout=ANSWER, context=context) as answer:
                return dict(json.load(answer))
        except urllib.error.HTTPError as fault:
            fault.close()
            if fault.code == 404:
                raise DecodeError(f"{wanted} is not in the registry") from None
            answered = f"status {fault.code}"
        except OSError as fault:
            answered = str(getattr(fault, "reason", fault))
        raise BrokerError(
            f"source {self._source}: expected {wanted} of the registry, came: {answered}"
        )


class Avro:
    """Decodes the messages of one topic into JSON objects."""

    def __init__(self, source: str, topic: Topic) -> None:
        broker.expect_installed(source, "fastavro")
        self._registry = Registry(source, broker.resolved(source, topic, is_registry=True))

    def records(self, value: bytes) -> list[bytes]:
        """Return the records of a message as JSON.

        Raises:
            DecodeError: it is no Avro, or its schema is not to be had.
            BrokerError: the registry does not answer.
        """
        import fastavro

        try:
            if value.startswith(CONTAINER):
                records = list(fastavro.reader(io.BytesIO(value)))
            elif value.startswith(WIRE) and len(value) >= HEADER:
                (number,) = struct.unpack(">I", value[1:HEADER])
                records = [_record(value[HEADER:], self._registry.schema(number))]
            else:
                raise DecodeError("expected a container, or a schema's number before a record")
            return [json.dumps(r, default=_as_json, ensure_ascii=False).encode() for r in records]
        except (DecodeError, BrokerError):
            raise
        except Exception as fault:  # whatever a reader of untrusted bytes comes upon
            raise DecodeError(f"expected Avro, came {type(fault).__name__}") from None


def _record(data: bytes, schema: Any) -> Any:
    import fastavro

    stream = io.BytesIO(data)
    record = fastavro.schemaless_reader(stream, schema, None)
    if rest := len(data) - stream.tell():
        raise DecodeError(f"expected one record, {rest} bytes come after it")
    return record


def _as_json(value: Any) -> str:
    """Return a value of a logical type, or bytes, as the text that readers take."""
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    assert isinstance(value, UUID), type(value)
    return str(value)
