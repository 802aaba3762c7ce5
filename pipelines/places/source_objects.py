"""Files of sources on an object store: `s3://bucket/logs/*.jsonl`, also gs:// and az://.

What is there is copied to the user's cache when it is listed, each version of an object once, and
read as any file is. Copies have the time of their object, are the user's alone (0700), and go when
their object has changed or gone. Positions name addresses: no result depends on the machine.
"""

from __future__ import annotations

import hashlib
import os
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rejse.pipelines.places import client
from rejse.pipelines.places.client import PlaceError, reaching
from rejse.pipelines.runtime import user_cache

#: Requests at a time.
LANES = 8
#: Folder of the copies in the user's cache.
COPIES = "rejse-sources"
_MAGIC = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class ObjectFile:
    """An object: its whole address, and its copy here."""

    address: str
    path: Path


def matching(pattern: str) -> list[ObjectFile]:
    """Return the objects of a glob, in the order of their names, with whole copies.

    Raises:
        PlaceError: the pattern is no address, or there is no folder for caches.
        UnreachableError: the object store does not answer.
    """
    import obstore

    base = _fixed(pattern)
    at, wanted = client.at(base), _expression(pattern[len(base) :].lstrip("/"))
    with reaching(base):
        listed = [o for chunk in obstore.list(at, chunk_size=1000) for o in chunk]
    objects = sorted((o for o in listed if wanted.fullmatch(o["path"])), key=lambda o: o["path"])
    folder = _folder(base)
    with ThreadPoolExecutor(LANES) as pool:
        files = list(pool.map(lambda o: _copied(at, base, folder, o), objects))
    _forget(folder, {file.path for file in files}, wanted)
    return files


def _fixed(pattern: str) -> str:
    parts = pattern.split("/")
    magic = next((n for n, part in enumerate(parts) if _MAGIC.search(part)), len(parts) - 1)
    return "/".join(parts[: max(magic, 3)])


def _expression(glob: str) -> re.Pattern[str]:
    """Return the expression of a glob: `*` and `?` within a folder, `**/` for any folders."""
    out, at = "", 0
    while at < len(glob):
        if glob.startswith("**/", at):
            out, at = f"{out}(?:.*/)?", at + 3
        elif glob.startswith("**", at):
            out, at = f"{out}.*", at + 2
        elif glob[at] == "*":
            out, at = f"{out}[^/]*", at + 1
        elif glob[at] == "?":
            out, at = f"{out}[^/]", at + 1
        elif glob[at] == "[" and (end := glob.find("]", at + 2)) > 0:
            inner = glob[at + 1 : end].replace("\\", "\\\\").replace("!", "^", 1)
            out, at = f"{out}[{inner}]", end + 1
        else:
            out, at = out + re.escape(glob[at]), at + 1
    return re.compile(out)


def _folder(base: str) -> Path:
    cache = user_cache.base()
    if cache is None:
        raise PlaceError(f"{base}: expected a folder for caches, such as ~/.cache, found none")
    endpoint = os.environ.get("AWS_ENDPOINT_URL", "")
    digest = hashlib.sha256(f"{base}\n{endpoint}".encode()).hexdigest()[:24]
    folder = cache / COPIES / digest
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def _copied(at: Any, base: str, folder: Path, listed: Any) -> ObjectFile:
    """Return an object with a copy of its version, made where there is none."""
    name, tag = listed["path"], listed["e_tag"] or str(listed["last_modified"])
    version = hashlib.sha256(f"{name}\n{tag}".encode()).hexdigest()[:16]
    path = folder / version / Path(name).name
    if not path.exists() or path.stat().st_size != listed["size"]:
        path.parent.mkdir(exist_ok=True, mode=0o700)
        with reaching(f"{base}/{name}"):
            client.download(at, name, path)
        changed = int(listed["last_modified"].timestamp()) * 1_000_000_000
        os.utime(path, ns=(changed, changed))
        (path.parent / ".name").write_text(name, encoding="utf-8")
    return ObjectFile(f"{base}/{name}", path)


def _forget(folder: Path, kept: set[Path], wanted: re.Pattern[str]) -> None:
    """Remove copies of objects of a glob that have changed or gone."""
    for version in folder.iterdir():
        label = version / ".name"
        if not label.is_file() or not wanted.fullmatch(label.read_text(encoding="utf-8")):
            continue
        for copy in version.iterdir():
            if copy not in kept and copy != label:
                copy.unlink(missing_ok=True)
        if not any(path in kept for path in version.iterdir()):
            label.unlink(missing_ok=True)
            version.rmdir()
