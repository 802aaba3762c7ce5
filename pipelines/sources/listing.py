"""Find the files of a source, without opening any."""

from __future__ import annotations

import glob
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from rejse.pipelines.config.file_layout import AS_USUAL, FileLayout
from rejse.pipelines.places.client import is_address
from rejse.transforms.errors import MisuseError

if TYPE_CHECKING:
    from rejse.pipelines.places.source_objects import ObjectFile

#: What every store has.
LOG_OF_A_STORE = "publications/_delta_log"


class SourceError(MisuseError):
    """The files of a source cannot be found or read; the message says what to change."""


class Source(Protocol):
    """The settings of a source that are used here."""

    @property
    def name(self) -> str:
        """Return the name of the source."""

    @property
    def files(self) -> tuple[str, ...]:
        """Return the globs of its files."""

    @property
    def layout(self) -> FileLayout:
        """Return how its files are laid out."""


@dataclass(frozen=True)
class SourceFile:
    """A file of a source.

    `file` is its name in positions and reports: the path below the glob's fixed part. `layout` is
    that of the source; `address` is where an object is, whose copy the file is.
    """

    source: str
    path: Path
    file: str
    layout: FileLayout = AS_USUAL
    address: str | None = None


def expect_files(source: Source) -> None:
    """Raise SourceError where a glob of the source finds no file."""
    for pattern in source.files:
        if not (_objects(pattern) if is_address(pattern) else _matching(pattern)):
            raise SourceError(
                f"source {source.name}: expected files at {pattern}, found none;"
                " correct `files` in rejse.toml"
            )


def files(source: Source) -> list[SourceFile]:
    """Return the existing files of a source in a fixed order, each once."""
    return [*_local_files(source), *_object_files(source)]


def _local_files(source: Source) -> list[SourceFile]:
    patterns = [pattern for pattern in source.files if not is_address(pattern)]
    if not patterns:
        return []
    names: dict[Path, str] = {}
    base = os.path.commonpath([_fixed(pattern) for pattern in patterns])
    for pattern in patterns:
        for path in _matching(pattern):
            names.setdefault(path.resolve(), path.relative_to(base).as_posix())
    named = sorted(names.items())
    return [SourceFile(source.name, path, file, source.layout) for path, file in named]


def _object_files(source: Source) -> list[SourceFile]:
    """Return the objects of a source; their names are what differs in their addresses."""
    patterns = [pattern for pattern in source.files if is_address(pattern)]
    if not patterns:
        return []
    objects = {file.address: file.path for pattern in patterns for file in _objects(pattern)}
    base = os.path.commonpath([_fixed(_without_scheme(pattern)) for pattern in patterns])
    return [
        SourceFile(
            source.name, path, os.path.relpath(_without_scheme(address), base), source.layout,
            address,
        )
        for address, path in sorted(objects.items())
    ]  # fmt: skip


def _without_scheme(address: str) -> str:
    return address.partition("://")[2]


def _objects(pattern: str) -> list[ObjectFile]:
    from rejse.pipelines.places import source_objects

    return source_objects.matching(pattern)


def _matching(pattern: str) -> list[Path]:
    base = _fixed(pattern)
    rest = Path(pattern).relative_to(base).as_posix()
    matches = glob.glob(f"{glob.escape(str(base))}/{rest}", recursive=True)  # noqa: PTH207
    stored = _Stored(base)
    return [p for p in sorted(map(Path, matches)) if p.is_file() and not stored.has(p.parent)]


class _Stored:
    """Tells folders of stores below a folder: what rejse writes is no source of what it reads."""

    def __init__(self, base: Path) -> None:
        self._known = {base: False}

    def has(self, folder: Path) -> bool:
        """Return whether a folder, or one between it and the base, is a store."""
        if folder not in self._known:
            is_store = (folder / LOG_OF_A_STORE).is_dir()
            self._known[folder] = is_store or self.has(folder.parent)
        return self._known[folder]


def _fixed(pattern: str) -> Path:
    """Return the part of a glob before its wildcards; names of existing folders count as plain."""
    parts = Path(pattern).parts[:-1]
    fixed = Path(*parts[:1])
    for part in parts[1:]:
        if glob.has_magic(part) and not (fixed / part).is_dir():
            break
        fixed /= part
    return fixed
