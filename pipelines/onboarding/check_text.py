"""`rejse check` in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rejse.pipelines.publication.metric_dictionary import field_name
from rejse.pipelines.reporting.wording import clean

if TYPE_CHECKING:
    from rejse.pipelines.onboarding.check import Check, SourceCheck

WIDTH = 120
_TOUCHPOINT_FIELDS = (
    "  touchpoint_fields is a CSV with the columns touchpoint, field, op (asks, knows or passes);",
    '    name it in rejse.toml under [operational]: touchpoint_fields = "touchpoint_fields.csv"',
)


def text(found: Check) -> str:
    """All that `check` found, source by source, then what can be measured."""
    lines = [line for one in found.sources for line in [*_source(one), ""]]
    if not any(one.problem for one in found.sources):
        lines += _reach(found)
    lines += [f"note: {one}" for one in found.warnings]
    return "\n".join(lines).rstrip()


def _source(one: SourceCheck) -> list[str]:
    if one.problem:
        return [f"source {one.name}: the mapping cannot be used", f"  {one.problem}"]
    lines = [
        f"source {one.name}: {one.read:,} rows read of {one.files} files,"
        f" {one.accepted:,} accepted, {one.read - one.accepted:,} refused",
        f"  columns:  {', '.join(one.mapped)}",
    ]
    named = (
        ("guessed", one.guessed),
        ("not used", one.unused),
        ("always empty or absent", one.absent),
    )
    lines += [f"  {what}:  {', '.join(map(clean, names))}" for what, names in named if names]
    for what, columns in (("left out", one.left_out), ("kept in clear", one.personal)):
        lines += [f"  {what}:  {clean(name)}, {clean(why)}" for name, why in columns.items()]
    if one.personal:
        lines.append("    take what is personal out of the mapping: it would lie in `events`")
    lines += [f"  {name}: {n:,} values became other or null" for name, n in one.notes.items()]
    lines += [f"  {line}" for line in (*one.unread, *one.contradicted, *one.midnights)]
    lines += _refused(one)
    lines += [f"  suspicious identity  {clean(line, 2 * WIDTH)}" for line in one.identities]
    if one.future:
        lines.append(
            f"  {one.future:,} times lie in the future, from {one.future_first} on;"
            " a run sets aside what is later than its clock and future of [windows]"
        )
    if one.silences:
        lines.append("  silences between two events of one identity:")
    return [*lines, *(f"    {line}" for line in one.silences)]


def _refused(one: SourceCheck) -> list[str]:
    if not one.reasons:
        return []
    counts = ", ".join(f"{reason} {n:,}" for reason, n in one.reasons.items())
    lines = [f"  refused:  {counts}"]
    for row in one.first:
        lines.append(f"    {clean(row.position)}  {row.reason}  {clean(row.value, WIDTH)}")
        if row.detail:
            lines.append(f"      {clean(row.detail, 2 * WIDTH)}")
        if row.suggestion:
            lines.append(f"      instead: {clean(row.suggestion, 2 * WIDTH)}")
    return lines


def _reach(found: Check) -> list[str]:
    able = ", ".join(found.runnable) or "none"
    lines = [f"{len(found.runnable)} of {found.kinds} detectors can run: {able}"]
    for need, kinds in found.additions.items():
        names = " + ".join(f"`{field_name(one)}`" for one in need.split(" + "))
        lines.append(f"  {names} would add {len(kinds)}: {', '.join(kinds)}")
    if any("@touchpoint_fields" in need for need in found.additions):
        lines += _TOUCHPOINT_FIELDS
    return lines
