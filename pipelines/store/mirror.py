"""A store in a bucket, worked on in a mirror: a folder of this machine.

Runs, sessions and maintenance work on a folder, as they do without a bucket. `settings.store` is
then the mirror, and the bucket is the truth:

- A writer begins by making the mirror equal to the bucket (`pull`): what is missing is fetched,
  what a failed writer left is removed. It ends by bringing to the bucket what it made (`push`):
  files whose names no other writer can have first, then the commits of the tables, that of
  `publications` last, each only where nobody else was faster. A writer that was not is refused, as
  it is on one disk, and the next one begins from the bucket.
- A reader fetches the catalogue and the logs (`refresh`). The rows are read where they are.

Private files that belong to no table (quarantine, archive, ledger of alerts), indexes and
provisional rows stay in the mirror.
"""

from __future__ import annotations

import contextlib
import fnmatch
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rejse.pipelines.runtime import file_modes
from rejse.pipelines.store import notes
from rejse.pipelines.store.lock import AnotherWriter, is_free
from rejse.pipelines.store.traces import CURRENT, number
from rejse.transforms.errors import MisuseError

if TYPE_CHECKING:
    from rejse.pipelines.store.objects import Objects, Stored

#: File of a mirror that names its bucket, and one with the tags of objects as they were last seen.
BUCKET, TAGS = ".bucket.json", ".bucket-tags.json"
LOG, LAST_CHECKPOINT = "_delta_log", "_last_checkpoint"
#: Files whose content does not change under their name.
FIXED = ("*/part-*.parquet", f"*/{LOG}/*.parquet", "audits/*")
#: Files whose content another writer may have made under the same name.
CONTESTED = (f"*/{LOG}/*.json", "catalog-*.duckdb")
#: Files that say what another file says too, and are made again where they are wrong.
NOTES = (f"*/{LOG}/{LAST_CHECKPOINT}", "latest.json", "unjoined.json")
#: Tables whose commits come first and last: the first decides which of several writers goes on.
FIRST, LAST = "runs", "publications"


def attach(store: Path, url: str | None) -> None:
    """Let a folder be the mirror of a bucket; one without a URL is a store itself.

    Raises:
        MisuseError: the folder is a store, or the mirror of another bucket.
    """
    if url is None:
        if (store / BUCKET).exists():
            raise MisuseError(
                f"expected `url` of the store, since {store} mirrors {_url(store)}; name it, or"
                " another folder"
            )
        return
    if (store / BUCKET).exists():
        if _url(store) != url:
            raise MisuseError(
                f"expected {store} to mirror {url}, and it mirrors {_url(store)}; name another"
                " folder as `path` of the store"
            )
        return
    if store.exists() and any(store.iterdir()):
        raise MisuseError(
            f"expected an empty folder to mirror {url}, came {store}, which has files; name"
            " another folder as `path` of the store"
        )
    file_modes.settle(store, file_modes.of(store))
    notes.write(store / BUCKET, {"url": url})


def objects(store: Path) -> Objects | None:
    """Return the objects that a folder mirrors; None where it is a store itself."""
    return _objects(_url(store)) if (store / BUCKET).exists() else None


def _url(store: Path) -> str:
    return str(json.loads((store / BUCKET).read_text(encoding="utf-8"))["url"])


@cache
def _objects(url: str) -> Objects:
    from rejse.pipelines.store.objects import Objects

    return Objects(url)


@contextlib.contextmanager
def mirrored(store: Path) -> Iterator[None]:
    """Make a mirror equal to its bucket, and bring there what is made of it inside the context.

    Nothing is brought where that fails. Call it with the lock held.

    Raises:
        AnotherWriter: another writer published meanwhile.
        ObjectStoreError: the bucket does not answer.
    """
    bucket = objects(store)
    if bucket is None:
        yield
        return
    listed = pull(store, bucket)
    before = set(_files(store))
    yield
    push(store, bucket, listed, before)


def pull(store: Path, bucket: Objects) -> Mapping[str, Stored]:
    """Make a mirror equal to its bucket and return what is in that."""
    listed, tags = bucket.listed(), _tags(store)
    for name in _files(store):
        if name not in listed:
            (store / name).unlink()
    _fetch(store, bucket, listed, tags, [name for name in listed if _is_ours(name)])
    return listed


def refresh(store: Path) -> None:
    """Fetch what readers need of a bucket: pointer, catalogue and logs; no rows.

    Nothing is done while a writer is at work in the mirror, nor where the mirror is up to date.
    """
    bucket = objects(store)
    if bucket is None or not is_free(store):
        return
    pointer = bucket.get(CURRENT)
    if pointer is None:
        return
    tags = _tags(store)
    pointed = pointer[0].decode("utf-8", "replace").strip()
    if tags.get(CURRENT) == pointer[1] and (store / pointed).exists():
        return
    listed = bucket.listed()
    wanted = [
        name
        for name in listed
        if (_is(name, (*CONTESTED[:1], *NOTES)) or (LOG in name and _is(name, FIXED)))
        or name == pointed
    ]
    for name in _files(store):
        if _is(name, CONTESTED) and name not in listed:
            (store / name).unlink()
    _fetch(store, bucket, listed, tags, wanted)
    _fetch(store, bucket, listed, _tags(store), [CURRENT])


def ensure(store: Path, names: Iterable[str]) -> None:
    """Fetch files of tables that a mirror lacks; nothing is done in a store without a bucket."""
    bucket = objects(store)
    if bucket is not None:
        missing = [name for name in names if not (store / name).exists()]
        bucket.fetch({name: store / name for name in missing})


def sizes(store: Path, names: Iterable[str]) -> dict[str, int]:
    """Return the bytes of those files that exist where the store is: in its bucket, if it has one.

    None is fetched.
    """
    bucket = objects(store)
    if bucket is not None:
        listed = bucket.listed()
        return {name: listed[name].bytes for name in names if name in listed}
    there = {}
    for name in names:
        with contextlib.suppress(FileNotFoundError):
            there[name] = (store / name).stat().st_size
    return there


def here(path: Path) -> Path:
    """Return the path of a file of a table; a mirror that lacks it fetches it."""
    if not path.exists():
        ensure(path.parents[1], [f"{path.parent.name}/{path.name}"])
    return path


def push(store: Path, bucket: Objects, listed: Mapping[str, Stored], before: set[str]) -> None:
    """Bring to a bucket what a writer has made, and remove from it what the writer has removed.

    Args:
        listed: what was in the bucket when the writer began.
        before: the files that were in the mirror then.

    Raises AnotherWriter where another one was faster.
    """
    from concurrent.futures import ThreadPoolExecutor

    from rejse.pipelines.store.objects import AT_ONCE

    now = set(_files(store))
    new = sorted(now - listed.keys())
    bucket.put({name: store / name for name in new if _is(name, FIXED)})
    commits: dict[str, list[str]] = {}
    for name in new:
        if _is(name, CONTESTED[:1]):
            commits.setdefault(name.partition("/")[0], []).append(name)
    made = _committed(store, bucket, commits.pop(FIRST, []))
    publications = commits.pop(LAST, [])
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for done in pool.map(lambda names: _committed(store, bucket, names), commits.values()):
            made |= done
    made |= _committed(store, bucket, publications)
    # From here on it is published. What follows is made again from that where it is missing.
    bucket.put({name: store / name for name in now if _is(name, NOTES)})
    catalogues = [name for name in new if _is(name, CONTESTED[1:])]
    bucket.put({name: store / name for name in catalogues})
    _point(store, bucket)
    bucket.delete(sorted(before - now))
    tags = {name: at.tag for name, at in bucket.listed().items() if _is_tagged(name)}
    # Another writer may have followed: what it made is not what the mirror has.
    notes.write(store / TAGS, {name: at for name, at in tags.items() if made.get(name, at) == at})


def _committed(store: Path, bucket: Objects, names: list[str]) -> dict[str, str]:
    """Bring entries of one log, in their order; return their tags. Raises AnotherWriter."""
    tags = {}
    for name in names:
        tag = bucket.create(name, (store / name).read_bytes())
        if tag is None:
            table, version = name.partition("/")[0], int(Path(name).stem)
            raise AnotherWriter(
                f"expected table {table} of {bucket.url} to stand before version {version}: another"
                " writer has published meanwhile; nothing of this run was published, run it again"
            )
        tags[name] = tag
    return tags


def _point(store: Path, bucket: Objects) -> None:
    """Let the pointer name the mirror's publication, unless it names that or a later one."""
    file = store / CURRENT
    if not file.exists():
        return
    content = file.read_bytes()
    own = number(content.decode().strip()) or 0
    while True:
        there = bucket.get(CURRENT)
        if there is None:
            done = bucket.create(CURRENT, content)
        elif (number(there[0].decode("utf-8", "replace").strip()) or 0) >= own:
            return
        else:
            done = bucket.replace(CURRENT, content, there[1])
        if done is not None:
            return


def _fetch(
    store: Path, bucket: Objects, listed: Mapping[str, Stored], tags: Mapping[str, str],
    names: Iterable[str],
) -> None:  # fmt: skip
    """Fetch those of some objects that the mirror lacks or has otherwise; note their tags."""
    wanted = [
        name
        for name in names
        if not (store / name).exists()
        or (store / name).stat().st_size != listed[name].bytes
        or (_is_tagged(name) and tags.get(name) != listed[name].tag)
    ]
    for name in wanted:
        with contextlib.suppress(FileNotFoundError):
            (store / name).unlink()
    bucket.fetch({name: store / name for name in wanted})
    for name in wanted:
        if _is(name, FIXED[:1]):
            file_modes.read_only(store / name)
    fetched = {name: listed[name].tag for name in names if _is_tagged(name)}
    notes.write(store / TAGS, {**tags, **fetched})


def _tags(store: Path) -> dict[str, str]:
    with contextlib.suppress(OSError, ValueError):
        return dict(json.loads((store / TAGS).read_text(encoding="utf-8")))
    return {}


def _files(store: Path) -> list[str]:
    """List the files of a mirror that are in its bucket too, or will be."""
    names = []
    for folder, folders, files in os.walk(store):
        folders[:] = [name for name in folders if not name.startswith(".")]
        base = Path(folder).relative_to(store)
        names += [(base / file).as_posix() for file in files]
    return [name for name in names if _is_ours(name)]


def _is_ours(name: str) -> bool:
    from rejse.transforms import published_tables

    folder = name.partition("/")[0] if "/" in name else ""
    is_table = not folder or folder in (LAST, "audits") or published_tables.find(folder) is not None
    return is_table and (name == CURRENT or _is(name, (*FIXED, *CONTESTED, *NOTES)))


def _is_tagged(name: str) -> bool:
    return name == CURRENT or _is(name, (*CONTESTED, *NOTES))


def _is(name: str, patterns: Iterable[str]) -> bool:
    depth = name.count("/")
    return any(p.count("/") == depth and fnmatch.fnmatchcase(name, p) for p in patterns)


def reading(con: Any, store: Path, names: Iterable[str]) -> str:
    """Return the place below which a DuckDB session finds files of tables: mirror or bucket."""
    bucket = objects(store)
    if bucket is None or all((store / name).exists() for name in names):
        return str(store)
    con.register_filesystem(bucket.filesystem())
    return bucket.url
