"""An object-centric event log (OCEL 2.0: JSON, XML, SQLite; 1.0: JSON) as JSON lines.

An event is a line: `ocel:eid`, `ocel:activity`, `ocel:timestamp`, its attributes by their names,
and `ocel:type:TYPE` for each type of object with the id of the object that it has, or, where any
event has several of the type, with a list of ids. The log is held in memory: an event names objects
whose types stand elsewhere.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Generator, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from rejse.pipelines.sources.decompress import ByteStream
from rejse.pipelines.sources.text_stream import Rewriting

#: First bytes of an SQLite file.
SQLITE = b"SQLite format 3\x00"
#: Events written at once, and bytes read.
EVENTS, BLOCK = 1_000, 1 << 20


@dataclass
class Event:
    """An event: its id, type, time as text, attributes, and the ids of its objects."""

    id: str
    type: str
    time: str
    attributes: dict[str, Any] = field(default_factory=dict)
    objects: list[str] = field(default_factory=list)


@dataclass
class Log:
    """The events of a log, and the type of each object."""

    events: list[Event] = field(default_factory=list)
    types: dict[str, str] = field(default_factory=dict)


def is_ocel(head: bytes) -> bool:
    """Return whether a file is such a log, by its first bytes."""
    is_json = head.lstrip().startswith(b"{") and (
        b'"objectTypes"' in head or b'"eventTypes"' in head or b'"ocel:' in head
    )
    return is_json or head.startswith(SQLITE) or b"<object-types" in head


class OcelLines(Rewriting):
    """The events of a log."""

    def blocks(self) -> Generator[bytes, None, None]:
        """Yield some events at a time."""
        try:
            log = read(self.path)
        except (ValueError, LookupError, TypeError, AttributeError, ElementTree.ParseError,
                sqlite3.Error) as fault:  # fmt: skip
            self.fault = ("damaged_file", f"expected an OCEL log, {type(fault).__name__}: {fault}")
            return
        several = _several(log)
        for start in range(0, len(log.events), EVENTS):
            rows = (_row(event, log.types, several) for event in log.events[start : start + EVENTS])
            lines = (json.dumps(row, ensure_ascii=False, default=str) for row in rows)
            yield "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")


def read(path: Path) -> Log:
    """Read a log. Raises what its format's library raises, or a lookup, where it is damaged."""
    with ByteStream(path) as stream:
        head = stream.read(len(SQLITE))
        if head.startswith(SQLITE):
            return _sqlite(path)
        data = head + b"".join(iter(lambda: stream.read(BLOCK), b""))
    if data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return _xml(data)
    document = json.loads(data.decode("utf-8-sig"))
    return _json_1(document) if "ocel:events" in document else _json_2(document)


def _several(log: Log) -> set[str]:
    """Return the types of which an event has several objects."""
    out = set()
    for event in log.events:
        types = [log.types.get(ident, "object") for ident in event.objects]
        out |= {kind for kind in types if types.count(kind) > 1}
    return out


def _row(event: Event, types: Mapping[str, str], several: set[str]) -> dict[str, Any]:
    row = {
        "ocel:eid": event.id, "ocel:activity": event.type, "ocel:timestamp": event.time,
        **event.attributes,
    }  # fmt: skip
    for ident in event.objects:
        kind = types.get(ident, "object")
        name = f"ocel:type:{kind}"
        if kind in several:
            row.setdefault(name, []).append(ident)
        else:
            row[name] = ident
    return row


def _json_2(document: Mapping[str, Any]) -> Log:
    return Log(
        [
            Event(
                str(event["id"]), str(event["type"]), str(event["time"]),
                {str(a["name"]): a["value"] for a in event.get("attributes") or ()},
                [str(r["objectId"]) for r in event.get("relationships") or ()],
            )
            for event in document["events"]
        ],
        {str(ident["id"]): str(ident["type"]) for ident in document["objects"]},
    )  # fmt: skip


def _json_1(document: Mapping[str, Any]) -> Log:
    return Log(
        [
            Event(
                str(name), str(event["ocel:activity"]), str(event["ocel:timestamp"]),
                dict(event.get("ocel:vmap") or {}), [*map(str, event.get("ocel:omap") or ())],
            )
            for name, event in document["ocel:events"].items()
        ],
        {str(n): str(o["ocel:type"]) for n, o in document["ocel:objects"].items()},
    )  # fmt: skip


def _xml(data: bytes) -> Log:
    root = ElementTree.fromstring(data)
    log = Log()
    for ident in _children(root, "objects"):
        log.types[ident.attrib["id"]] = ident.attrib["type"]
    for event in _children(root, "events"):
        attributes = {a.attrib["name"]: a.text for a in _children(event, "attributes")}
        objects = [r.attrib["object-id"] for r in _children(event, "objects")]
        given = event.attrib
        log.events.append(Event(given["id"], given["type"], given["time"], attributes, objects))
    return log


def _children(parent: ElementTree.Element, name: str) -> Iterable[ElementTree.Element]:
    listed = parent.find(name)
    return () if listed is None else list(listed)


def _sqlite(path: Path) -> Log:
    """Read the tables of a log; its names are looked up among those that there are."""
    log = Log()
    with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as con:
        tables = {name for (name,) in con.execute("select name from sqlite_master")}
        log.types = dict(con.execute("select ocel_id, ocel_type from object").fetchall())
        objects: dict[str, list[str]] = {}
        for event, ident in con.execute("select ocel_event_id, ocel_object_id from event_object"):
            objects.setdefault(event, []).append(ident)
        for kind, suffix in con.execute("select ocel_type, ocel_type_map from event_map_type"):
            table = f"event_{suffix}"
            if table not in tables:
                raise LookupError(f"no table {table}")
            quoted = table.replace('"', '""')
            rows = con.execute(f'select * from "{quoted}"')
            names = [column[0].removeprefix("ocel_") for column in rows.description]
            for values in rows:
                row = dict(zip(names, values, strict=True))
                name, time = row.pop("id"), row.pop("time")
                known = {key: value for key, value in row.items() if value is not None}
                log.events.append(Event(name, kind, time, known, objects.get(name, [])))
    return log
