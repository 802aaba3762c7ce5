"""Links of identities as a transcript tells them: `{previous: cookie c1, is: customer ann}`.

`from` and `until` bound them, read as every time is; without them a link always holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from rejse.transforms.identity.link_table import LINKS
from tests.support import builders

if TYPE_CHECKING:
    from tests.support.transcript import Transcript

Said = Mapping[str, Any]


def marked(links: Sequence[Said], named: Callable[[str], str]) -> tuple[Said, ...]:
    """The links with other names of the identities."""
    out = []
    for link in links:
        ends = {end: identity_of(link[end]) for end in ("previous", "is")}
        out.append({**link, **{end: f"{kind} {named(name)}" for end, (kind, name) in ends.items()}})
    return tuple(out)


def identity_of(text: str) -> tuple[str, str]:
    """Type and name of an identity."""
    kind, _, name = text.partition(" ")
    return kind, name


def of_rows(rows: Sequence[Said]) -> set[tuple[str, str]]:
    """Identities that events or records bear."""
    return {(row.get("identitytype", "customer"), row.get("customer", "ann")) for row in rows}


def of_links(links: Sequence[Said]) -> set[tuple[str, str]]:
    """Identities that are linked."""
    return {identity_of(link[end]) for link in links for end in ("previous", "is")}


def are_told(transcript: Transcript) -> bool:
    """Whether a transcript has links, of a table or told by rows."""
    events = transcript.events
    is_case = any(row.get("identitytype") == "case" for row in events)
    return bool(transcript.links) or is_case or any("previousidentity" in row for row in events)


def file_rows(links: Sequence[Said]) -> list[dict[str, Any]]:
    """Rows of the table `identity_links` as its owner keeps it."""
    out = []
    for link in links:
        previous, other = identity_of(link["previous"]), identity_of(link["is"])
        out.append({
            "previousidentitytype": previous[0], "previousidentity": previous[1],
            "identitytype": other[0], "identity": other[1],
            "valid_from": _moment(link.get("from")), "valid_to": _moment(link.get("until")),
        })  # fmt: skip
    return out


def published(links: Sequence[Said]) -> pa.Table:
    """The links as they are published, under the keys of `builders.key_of`."""
    rows = sorted(file_rows(links), key=lambda row: (row["identitytype"], row["identity"]))
    rows = [
        {
            "previous_key": builders.key_of(row["previousidentity"]),
            "previous_type": row["previousidentitytype"],
            "identity_key": builders.key_of(row["identity"]), "identity_type": row["identitytype"],
            "method": "table", "precedence": number,
            "valid_from": row["valid_from"], "valid_to": row["valid_to"],
        }
        for number, row in enumerate(rows)
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=LINKS)


def _moment(written: Any) -> Any:
    return None if written is None else builders.moment(written)
