"""The kinds of friction as a view of every catalogue, made from their declarations."""

from __future__ import annotations

from functools import cache

from rejse.sql import Script, quoted

NAME = "v_kinds"
_COMMENTS = {
    "kind": "Kind of friction.",
    "locus": "node: within a step; edge: between two steps.",
    "unit": "Unit of its amount.",
    "is_launch": "Evidence coverage is measured over these kinds.",
    "definition": "What counts as one.",
    "circular_with": "Tests of the score that leave the kind out, lest it prove itself.",
    "circular_reasons": "Why, a test each; null: it is in every test.",
}


@cache
def script() -> Script:
    """Return the statements that create the view and its comments."""
    from rejse.transforms.scoring.friction import KINDS

    rows = []
    for name in sorted(KINDS):
        kind = KINDS[name]
        tests = sorted(kind.circular_with)
        reasons = "; ".join(f"{test}: {kind.circular_with[test]}" for test in tests)
        listed = f"[{', '.join(map(quoted, tests))}]::varchar[]"
        literals = [
            *map(quoted, (name, kind.locus, kind.unit)),
            str(kind.is_launch).lower(),
            quoted(kind.description),
            listed,
            quoted(reasons) if reasons else "null",
        ]
        rows.append(f"({', '.join(literals)})")
    text = (
        f"create or replace view {NAME} as select * from (values {', '.join(rows)})"
        f" as kinds ({', '.join(_COMMENTS)});\n"
        f"comment on view {NAME} is 'One row per kind of friction, as it is declared.';\n"
    )
    for column, comment in _COMMENTS.items():
        text += f"comment on column {NAME}.{column} is {quoted(comment)};\n"
    return Script(NAME, text, {"purpose": "the kinds of friction, as declared", "key": "kind"})
