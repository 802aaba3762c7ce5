"""The setting `store`: a folder, or the address of an object store with a folder before it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationInfo

from rejse.pipelines.config.field_types import expand, placed
from rejse.pipelines.places import place


def folder(path: Any, local: Any, info: ValidationInfo) -> Any:
    """Return the folder of a store; of one on an object store the working copy.

    Args:
        path: A path, or an address such as `s3://bucket/folder`.
        local: Folder for what is private, and for copies; None without one.
        info: Of the validation, with the folder of the configuration.

    Raises ValueError where the two do not go together.
    """
    address = expand(path) if isinstance(path, str) else ""
    if "://" not in address:
        if local is not None:
            raise ValueError(
                f"store: expected `local` with an address such as s3://bucket/folder, came {path!r}"
            )
        return path
    from rejse.pipelines.places import object_place

    return object_place.opened(address, None if local is None else placed(local, info))


def refuse_private(store: Path, settings: Sequence[str]) -> None:
    """Raise ValueError where private data would have no place.

    Args:
        store: Folder of the store.
        settings: What to set instead, for each setting that keeps private data.
    """
    at = place.of(store)
    if settings and not at.keeps_private:
        raise ValueError(
            f"store: expected a folder of this machine for private data, which {at.base} never"
            f' holds; write store = {{ path = "{at.base}", local = "/a/private/folder" }}, or keep'
            f" none: {', '.join(settings)}"
        )
