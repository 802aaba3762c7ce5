"""Notes beside the tables: small files of JSON that can be made again, replaced atomically."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rejse.pipelines.places import place


def write(path: Path, content: Any) -> None:
    """Let a note have this content; a reader sees the old one or the new."""
    replace(path, json.dumps(content))


def replace(path: Path, text: str) -> None:
    """Let a file have this text; a reader sees the old one or the new."""
    draft = path.with_name(f"{path.name}.making")  # the next writer removes what a kill leaves
    draft.write_text(text, encoding="utf-8")
    draft.rename(path)  # `rename`: fault tests count `replace` as steps of a publication
    place.of(path.parent).share(path.name)
