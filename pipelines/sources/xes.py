"""A process log in XES (IEEE 1849) as JSON lines, one event a line.

An event has its attributes by their keys, those of its trace with `case:` before them, and nested
ones as `key:nested`. Dates and ids are texts, as they are written.
"""

from __future__ import annotations

import io
import json
from collections.abc import Generator, Iterator
from typing import Any
from xml.etree import ElementTree

from rejse.pipelines.sources.decompress import ByteStream
from rejse.pipelines.sources.text_stream import Rewriting

#: Events written at once.
EVENTS = 1_000
#: Before the keys of a trace's attributes, as process mining tools write it.
CASE = "case:"


class XesLines(Rewriting):
    """The events of a log."""

    def blocks(self) -> Generator[bytes, None, None]:
        """Yield some events at a time."""
        lines: list[bytes] = []
        with ByteStream(self.path) as stream:
            try:
                for event in events(stream):
                    lines.append(json.dumps(event, ensure_ascii=False).encode("utf-8", "replace"))
                    if len(lines) == EVENTS:
                        yield b"\n".join(lines) + b"\n"
                        lines.clear()
            except ElementTree.ParseError as fault:
                self.fault = stream.fault or ("damaged_file", f"expected XES, {fault}")
            if lines:
                yield b"\n".join(lines) + b"\n"


class _Readable(io.RawIOBase):
    """A stream of bytes as the XML parser reads it."""

    def __init__(self, stream: ByteStream) -> None:
        super().__init__()
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        return self._stream.read(size if size > 0 else 1 << 16)


def events(stream: ByteStream) -> Iterator[dict[str, Any]]:
    """Yield the events of a log. Raises ElementTree.ParseError where it is no XML."""
    trace: dict[str, Any] = {}
    stack: list[str] = []
    for action, element in ElementTree.iterparse(_Readable(stream), ("start", "end")):
        tag = element.tag.rpartition("}")[2]
        if action == "start":
            stack.append(tag)
            if tag == "trace":
                trace = {}
            continue
        stack.pop()
        parent = stack[-1] if stack else ""
        if tag == "event":
            # Attributes of a trace may follow its first event; they rarely do.
            yield {**trace, **_attributes(element)}
            element.clear()
        elif parent == "trace":
            trace |= {f"{CASE}{key}": value for key, value in _attribute(element, "")}
            element.clear()
        elif tag == "trace":
            element.clear()


def _attributes(parent: ElementTree.Element, prefix: str = "") -> dict[str, Any]:
    return {key: value for child in parent for key, value in _attribute(child, prefix)}


def _attribute(element: ElementTree.Element, prefix: str) -> Iterator[tuple[str, Any]]:
    kind, key = element.tag.rpartition("}")[2], element.get("key")
    if key is None:
        for child in element:  # the `values` of a list
            yield from _attribute(child, prefix)
        return
    name, value = f"{prefix}{key}", element.get("value")
    if value is not None:
        yield name, _value(kind, value)
    for child in element:
        yield from _attribute(child, f"{name}:")


def _value(kind: str, text: str) -> Any:
    try:
        if kind == "int":
            return int(text)
        if kind == "float":
            return float(text)
    except ValueError:
        return text
    if kind == "boolean" and text.lower() in ("true", "false"):
        return text.lower() == "true"
    return text
