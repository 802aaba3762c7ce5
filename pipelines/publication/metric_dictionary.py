"""The dictionary of what is measured: every metric and kind of friction, from its declaration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def field_name(need: str) -> str:
    """A needed field or, as `@name`, an operational table, in the words of the configuration."""
    return f"table {need[1:]}" if need.startswith("@") else need


def _metric(one: Any) -> dict[str, Any]:
    column = one.column
    return {
        "name": one.name,
        "label": one.label,
        "grain": one.grain,
        "type": str(column.type),
        "unit": column.unit,
        "low": column.low,
        "high": column.high,
        "direction": one.direction,
        "when_empty": one.when_empty,
        "definition": column.description,
    }


def _kind(one: Any, weight: float) -> dict[str, Any]:
    return {
        "name": one.name,
        "label": one.label,
        "locus": one.locus,
        "unit": one.unit,
        "weight": weight,
        "needs": [sorted(field_name(need) for need in fields) for fields in one.needs],
        "definition": one.description,
        "circular_with": dict(sorted(one.circular_with.items())),
    }


def dictionary() -> dict[str, list[dict[str, Any]]]:
    """All metrics (name, label, grain, unit, range, direction, empty rule, definition) and kinds.

    `needs` of a kind lists alternatives: any one set of fields suffices. `circular_with` names the
    tests of the score that leave it out, each with the reason.
    """
    from rejse.transforms.feedback import output_tables
    from rejse.transforms.schema.parameters import WEIGHTS
    from rejse.transforms.schema.registry import metrics

    assert output_tables.tables()  # declares them
    from rejse.transforms.scoring.friction import KINDS

    return {
        "metrics": [_metric(one) for one in metrics()],
        "friction": [_kind(one, WEIGHTS[one.name]) for one in KINDS.values()],
    }


def _range(one: dict[str, Any]) -> str:
    low, high = one["low"], one["high"]
    if low is None and high is None:
        return "any"
    left = "(-inf" if low is None else f"[{low:g}"
    right = "inf)" if high is None else f"{high:g}]"
    return f"{left}, {right}"


def _alternatives(needs: Sequence[Sequence[str]]) -> str:
    return " or ".join(" + ".join(fields) if fields else "nothing more" for fields in needs)


def text() -> str:
    """The dictionary for people: one paragraph each."""
    said = dictionary()
    lines: list[str] = []
    for grain in dict.fromkeys(one["grain"] for one in said["metrics"]):
        lines += [f"METRICS OF A {grain.upper()}", ""]
        for one in (m for m in said["metrics"] if m["grain"] == grain):
            unit = f" [{one['unit']}]" if one["unit"] not in ("", "1") else ""
            facts = (_range(one), one["direction"].replace("_", " "), f"empty: {one['when_empty']}")
            lines += [
                f"{one['name']}{unit}  {one['label']}",
                f"    {', '.join(facts)}",
                f"    {one['definition']}",
            ]
        lines.append("")
    lines += ["KINDS OF FRICTION", ""]
    for one in said["friction"]:
        lines += [
            f"{one['name']}  {one['label']}",
            f"    weight {one['weight']:g}, {one['locus']}, counted in {one['unit']}",
            f"    needs: {_alternatives(one['needs'])}",
            f"    {one['definition']}",
        ]
        lines += [
            f"    in no test of the score by {test}: {reason}"
            for test, reason in one["circular_with"].items()
        ]
    return "\n".join(lines)
