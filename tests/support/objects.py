"""Stores on the object store of `s3_server`, and working copies of them."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path

from rejse.pipelines.places import object_place, place
from rejse.pipelines.places.place import MARK, Place
from tests.support.s3_server import BUCKET

#: What a store has before its first publication.
LOCK = ".writer.lock"


def fresh(folder: Path) -> Path:
    """The working copy, in a folder, of a new store."""
    return object_place.opened(f"s3://{BUCKET}/{uuid.uuid4().hex}", folder)


def elsewhere(store: Path, folder: Path) -> Path:
    """A working copy of the same store on another machine."""
    copy = object_place.opened(place.of(store).base, folder)
    place.of(copy).refresh(is_held=False)
    return copy


def lifted(store: Path) -> Path:
    """Bring a store of a folder to an object store; the folder becomes its working copy."""
    files = [path for path in store.rglob("*") if path.is_file()] if store.exists() else []
    near = store.with_name(f"{store.name}-{uuid.uuid4().hex}")
    mark = (fresh(near) / MARK).rename(near / "mark")
    store.mkdir(parents=True, exist_ok=True, mode=0o700)
    mark.rename(store / MARK)
    near.rmdir()
    at = place.of(store)
    names = [path.relative_to(store).as_posix() for path in files]
    at.send(names)
    for name in names:
        if name in object_place.NOTES:
            at.share(name)
    return store


def lifting(base: Path, of: Callable[[Path], Place]) -> Callable[[Path], Place]:
    """As `place.of`, but brings a store below `base` to the object store when it is first met."""

    def lifted_of(store: Path) -> Place:
        is_ours = base in store.resolve().parents and not (store / MARK).exists()
        if is_ours and (
            (store / "publications" / object_place.LOG).is_dir()
            or not store.exists()
            or {path.name for path in store.iterdir()} <= {LOCK}
        ):
            lifted(store)
        return of(store)

    return lifted_of
