"""The dictionary of metrics and kinds of friction, made from their declarations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def field_name(need: str) -> str:
    """Return a needed field or operational table (`@name`) in the words of the configuration."""
    return f"table {need[1:]}" if need.startswith("@") else need


def _metric(metric: Any) -> dict[str, Any]:
    column = metric.column
    return {
        "name": metric.name,
        "label": metric.label,
        "grain": metric.grain,
        "type": str(column.type),
        "unit": column.unit,
        "low": column.low,
        "high": column.high,
        "direction": metric.direction,
        "when_empty": metric.when_empty,
        "definition": column.description,
    }


def _kind(kind: Any, weight: float) -> dict[str, Any]:
    return {
        "name": kind.name,
        "label": kind.label,
        "locus": kind.locus,
        "unit": kind.unit,
        "weight": weight,
        "needs": [sorted(field_name(need) for need in fields) for fields in kind.needs],
        "definition": kind.description,
        "circular_with": dict(sorted(kind.circular_with.items())),
    }


def dictionary() -> dict[str, list[dict[str, Any]]]:
    """Return the declarations of all metrics and kinds of friction.

    `needs` of a kind lists alternatives: any one set of fields suffices. `circular_with` names the
    tests of the score that leave it out, each with the reason.
    """
    from rejse.transforms.feedback import output_tables
    from rejse.transforms.schema.parameters import WEIGHTS
    from rejse.transforms.schema.registry import metrics

    assert output_tables.tables()  # declares them
    from rejse.transforms.scoring.friction import KINDS

    return {
        "metrics": [_metric(declared) for declared in metrics()],
        "friction": [_kind(declared, WEIGHTS[declared.name]) for declared in KINDS.values()],
    }


def _range(metric: dict[str, Any]) -> str:
    low, high = metric["low"], metric["high"]
    if low is None and high is None:
        return "any"
    left = "(-inf" if low is None else f"[{low:g}"
    right = "inf)" if high is None else f"{high:g}]"
    return f"{left}, {right}"


def _alternatives(needs: Sequence[Sequence[str]]) -> str:
    return " or ".join(" + ".join(fields) if fields else "nothing more" for fields in needs)


def text() -> str:
    """Return the dictionary as text: one paragraph per metric and kind."""
    known = dictionary()
    lines: list[str] = []
    for grain in dict.fromkeys(entry["grain"] for entry in known["metrics"]):
        lines += [f"METRICS OF A {grain.upper()}", ""]
        for entry in (m for m in known["metrics"] if m["grain"] == grain):
            unit = f" [{entry['unit']}]" if entry["unit"] not in ("", "1") else ""
            facts = (
                _range(entry),
                entry["direction"].replace("_", " "),
                f"empty: {entry['when_empty']}",
            )
            lines += [
                f"{entry['name']}{unit}  {entry['label']}",
                f"    {', '.join(facts)}",
                f"    {entry['definition']}",
            ]
        lines.append("")
    lines += ["KINDS OF FRICTION", ""]
    for entry in known["friction"]:
        lines += [
            f"{entry['name']}  {entry['label']}",
            f"    weight {entry['weight']:g}, {entry['locus']}, counted in {entry['unit']}",
            f"    needs: {_alternatives(entry['needs'])}",
            f"    {entry['definition']}",
        ]
        lines += [
            f"    in no test of the score by {test}: {reason}"
            for test, reason in entry["circular_with"].items()
        ]
    return "\n".join(lines)
