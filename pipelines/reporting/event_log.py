"""Write the steps of all journeys as an event log of process mining: XES, or OCEL 2.0 (JSON).

In XES (IEEE 1849) a trace is a journey; in OCEL an event has the objects customer, journey, session
and, where it has one, case. Identities are pseudonyms, as they are published; no text goes out.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from itertools import groupby
from pathlib import Path
from typing import IO, Any
from xml.sax.saxutils import quoteattr

from rejse.pipelines.reporting.output_file import replacing
from rejse.transforms.errors import MisuseError

#: Columns of a step and, under `case:`, of its journey; the first four are the event's own.
STEPS = (
    "step_id", "activity", "started_at", "ended_at", "customer_key", "session_id", "touchpoint",
    "channel", "direction", "actor_type", "actor_id", "owner", "team", "silo", "system", "intent",
    "product_id", "outcome", "friction",
)  # fmt: skip
JOURNEYS = (
    "journey_id", "customer_key", "case_id", "journey_type", "owner", "state", "outcome",
    "friction_score", "health_ops", "is_final",
)  # fmt: skip
#: XES's own names of what a step has.
XES_NAMES = {"activity": "concept:name", "actor_id": "org:resource", "team": "org:group"}
#: Types of objects of an event.
OBJECTS = ("customer", "journey", "case", "session")
ROWS = 10_000
#: Characters that XML cannot hold.
_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
QUERY = f"""
select {", ".join(f"s.{c}" for c in STEPS)}, {", ".join(f"j.{c}" for c in JOURNEYS)}
from v_steps as s inner join v_journeys as j on s.journey_id = j.journey_id
order by j.journey_id, s.seq
"""
Row = dict[str, Any]


def write(con: Any, out: Path, mode: int) -> int:
    """Write the log to a file whose name tells the format; return the number of events.

    `.xes`, `.xes.gz`, `.jsonocel` or `.json`. The file has the permission bits `mode`, and its name
    when it is whole.

    Raises:
        MisuseError: the name tells no format.

    Raises also what `replacing` raises.
    """
    writers = {".xes": _xes, ".jsonocel": _ocel, ".json": _ocel}
    plain = out.with_suffix("") if out.suffix == ".gz" else out
    if plain.suffix not in writers:
        raise MisuseError(
            f"expected a name that ends with {', '.join(writers)} (and .gz), came {out.name}"
        )
    with replacing(out, mode, "log", "journeys.xes") as unfinished:
        opener = gzip.open if out.suffix == ".gz" else open
        with opener(unfinished, "wt", encoding="utf-8", newline="\n") as file:
            return writers[plain.suffix](con, file)


def _journeys(con: Any) -> Iterator[tuple[Row, Iterable[Row]]]:
    """Yield each journey with its steps in order."""
    answer = con.execute(QUERY)
    rows = iter(lambda: answer.fetchmany(ROWS), [])
    flat = (row for some in rows for row in some)
    split = len(STEPS)
    for journey, steps in groupby(flat, key=lambda row: row[split:]):
        given = (dict(zip(STEPS, row[:split], strict=True)) for row in steps)
        yield dict(zip(JOURNEYS, journey, strict=True)), given


def _xes(con: Any, file: IO[str]) -> int:
    n = 0
    file.write(
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<log xes.version="1849.2016" xes.features="" xmlns="http://www.xes-standard.org/">\n'
        '<extension name="Concept" prefix="concept"'
        ' uri="http://www.xes-standard.org/concept.xesext"/>\n'
        '<extension name="Time" prefix="time" uri="http://www.xes-standard.org/time.xesext"/>\n'
        '<extension name="Organizational" prefix="org"'
        ' uri="http://www.xes-standard.org/org.xesext"/>\n'
        '<classifier name="Activity" keys="concept:name"/>\n'
    )
    for journey, steps in _journeys(con):
        file.write("<trace>\n" + _tag("concept:name", journey["journey_id"]))
        file.writelines(_tag(n, v) for n, v in journey.items() if n != "journey_id")
        for step in steps:
            n += 1
            file.write("<event>\n" + _tag("time:timestamp", step["started_at"]))
            file.writelines(
                _tag(XES_NAMES.get(name, name), value)
                for name, value in step.items()
                if name != "started_at"
            )
            file.write("</event>\n")
        file.write("</trace>\n")
    file.write("</log>\n")
    return n


def _tag(key: str, value: Any) -> str:
    """Return an attribute; none for null, and a text for a list."""
    if value is None:
        return ""
    kind, text = "string", value
    if isinstance(value, bool):
        kind, text = "boolean", str(value).lower()
    elif isinstance(value, int):
        kind = "int"
    elif isinstance(value, float):
        kind = "float"
    elif isinstance(value, datetime):
        kind, text = "date", _moment(value)
    elif isinstance(value, list):
        text = ", ".join(map(str, value))
    shown = _NO_XML.sub("", str(text))
    return f"<{kind} key={quoteattr(key)} value={quoteattr(shown)}/>\n"


def _ocel(con: Any, file: IO[str]) -> int:
    n, objects = 0, dict[str, str]()
    attributes = [c for c in STEPS[6:] if c != "friction"]
    kinds: set[str] = set()
    file.write('{"objectTypes": ' + json.dumps(_types(OBJECTS)) + ', "events": [')
    for journey, steps in _journeys(con):
        of_journey = [
            ("customer", journey["customer_key"]), ("journey", journey["journey_id"]),
            ("case", journey["case_id"]),
        ]  # fmt: skip
        for step in steps:
            related = [*of_journey, ("session", step["session_id"])]
            named = [(kind, f"{kind}:{name}") for kind, name in related if name is not None]
            objects |= {name: kind for kind, name in named}
            kinds.add(str(step["activity"]))
            event = {
                "id": step["step_id"], "type": str(step["activity"]),
                "time": _moment(step["started_at"]),
                "attributes": [
                    {"name": c, "value": step[c]} for c in attributes if step[c] is not None
                ],
                "relationships": [{"objectId": o, "qualifier": kind} for kind, o in named],
            }  # fmt: skip
            file.write((",\n" if n else "\n") + json.dumps(event, ensure_ascii=False))
            n += 1
    of_events = json.dumps(_types(sorted(kinds)), ensure_ascii=False)
    file.write('\n], "eventTypes": ' + of_events + ', "objects": [')
    for at, (name, kind) in enumerate(objects.items()):
        file.write((",\n" if at else "\n") + json.dumps({"id": name, "type": kind}))
    file.write("\n]}\n")
    return n


def _types(names: Iterable[str]) -> list[Row]:
    return [{"name": name, "attributes": []} for name in names]


def _moment(at: datetime | date) -> str:
    """Return a time in UTC, with its zone."""
    return at.astimezone(UTC).isoformat() if isinstance(at, datetime) else at.isoformat()
