"""A store on an object store, and its working copy in a folder of this machine.

What is published are objects of immutable names: data files, entries of logs, catalogues. An entry
of a log is put only where there is none of its number, so that one of two writers wins; `current`
is put only over what was read. Files that this machine has neither made nor read stand in the
working copy with their size and no bytes (`NOT_HERE`): they are fetched when they are read.
Analysts' queries fetch none: DuckDB reads parts of objects.

Private data (quarantine, files of texts, archive, alerts) and what is derived or half done stay in
the working copy, and are never sent.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from rejse.pipelines.places import client
from rejse.pipelines.places.client import PlaceError, reaching
from rejse.pipelines.places.place import COPIED, MARK, NOT_HERE, Place, TakenError
from rejse.pipelines.runtime import user_cache

LOG = "_delta_log"
#: File of a working copy with the versions (e_tag) of notes that it has.
SEEN = ".seen.json"
#: Begins the name of a folder for a commit that is being made; the next writer removes it.
COMMITTING = ".scratch-commit-"
#: Bytes of a file's end that hold its footer, as a rule.
TAIL = 1 << 16
#: How often `current` is tried anew where others write it too.
ATTEMPTS = 20
#: Age from which an object that no commit names is of no writer that is still at work.
ABANDONED = timedelta(days=1)
_DATA = re.compile(r"([a-z_]+)/part-[0-9a-f]{32}\.parquet|catalog-[0-9]+\.duckdb")
_WHOLE = re.compile(rf"([a-z_]+)/{LOG}/[0-9]+(\.checkpoint)?\.(json|parquet)|audits/[^/]+\.json")
NOTES = ("current", "latest.json", "unjoined.json", "verified.json", ".attempts.jsonl")
T = TypeVar("T")
R = TypeVar("R")


def opened(url: str, local: Path | None) -> Path:
    """Return the working copy of the store at an address; make it where there is none.

    Args:
        url: Address of the store.
        local: Folder of the working copy, which may then hold private data; by default one in the
            user's cache, which may not.

    Raises:
        PlaceError: the address is none, or the folder holds something else.
    """
    url = client.checked(url)
    folder = _cached(url) if local is None else local
    mark = {"url": url, "keeps_private": local is not None}
    written = _mark(folder)
    if written is None and folder.is_dir() and any(folder.iterdir()):
        raise PlaceError(
            f"expected {folder} to be empty, or the folder of {url}, came another one; name a new"
            " folder as `local`"
        )
    if written is not None and written["url"] != url:
        raise PlaceError(
            f"expected {folder} to be the folder of {url}, it is that of {written['url']}; name"
            " another folder as `local`"
        )
    if written != mark:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = folder / f"{MARK}.{uuid.uuid4().hex}.making"
        draft.write_text(json.dumps(mark), encoding="utf-8")
        draft.rename(folder / MARK)
    return folder


def of(store: Path) -> ObjectPlace:
    """Return the place of a working copy."""
    mark = _mark(store)
    assert mark is not None, "expected a working copy"
    return ObjectPlace(store, mark["url"], keeps_private=mark["keeps_private"])


def _mark(folder: Path) -> dict[str, Any] | None:
    try:
        return dict(json.loads((folder / MARK).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None


def _cached(url: str) -> Path:
    """Return the folder in the user's cache: of an address at an endpoint."""
    at = "\n".join((url, os.environ.get("AWS_ENDPOINT_URL", "")))
    folder = user_cache.base()
    if folder is None:
        raise PlaceError(
            f"{url}: expected a folder for caches, such as ~/.cache, item none to write; name one"
            " of your own as `local`"
        )
    return folder / "rejse-stores" / hashlib.sha256(at.encode()).hexdigest()[:24]


@dataclass(frozen=True)
class _Object:
    """An object as it is listed."""

    size: int
    e_tag: str | None


class ObjectPlace(Place):
    """A store on an object store; `folder` is its working copy."""

    is_remote = True
    #: Requests at a time.
    lanes = 8

    def __init__(self, folder: Path, url: str, *, keeps_private: bool) -> None:
        super().__init__(folder)
        self.url, self.keeps_private = url, keeps_private

    @property
    def base(self) -> str:
        """Return the address of the store."""
        return self.url

    def base_of(self, file: str) -> str:
        """Return the address, or of a private file the working copy; see `Place.base_of`."""
        is_private = _DATA.fullmatch(file) is not None and not _is_data(file)
        return str(self.folder.resolve()) if is_private else self.url

    @cached_property
    def _client(self) -> Any:
        return client.at(self.url)

    # --- what others have published -----------------------------------------------------------

    def refresh(self, *, is_held: bool) -> None:
        """Take over what others have published; see `Place.refresh`."""
        present = self._present()
        listed = self._listed()
        seen = self._seen()
        wanted = []
        for name, item in listed.items():
            path = self.folder / name
            if name in NOTES:
                if item.e_tag is None or seen.get(name) != item.e_tag or not path.exists():
                    wanted.append(name)
            elif _is_data(name):
                if not path.exists():
                    _without_bytes(path, item.size)
            elif _WHOLE.fullmatch(name) and not path.exists():
                wanted.append(name)
        notes = dict(self.all_of(self._take, wanted))
        self._drop(present - listed.keys(), is_held=is_held)
        self._saw({name: tag for name, tag in notes.items() if name in NOTES and tag})

    def _listed(self) -> dict[str, _Object]:
        """List the objects of all publications that were there before the look began.

        A listing of many objects is not of one moment: of a publication that was made meanwhile it
        may lack what was written first. So its entry, which is written last, counts only where it
        was there before.
        """
        last = f"publications/{LOG}/"
        before = self._list(last)
        now = self._list(None)
        return {
            name: item for name, item in now.items() if name in before or not name.startswith(last)
        }

    def _list(self, prefix: str | None) -> dict[str, _Object]:
        import obstore

        with reaching(self.url):
            return {
                item["path"]: _Object(item["size"], item["e_tag"])
                for chunk in obstore.list(self._client, prefix, chunk_size=1000)
                for item in chunk
            }

    def _take(self, name: str) -> tuple[str, str | None]:
        """Bring an object here; return its name and version. One that has gone is left out."""
        import obstore

        path = self.folder / name
        try:
            with reaching(self.url, may_lack=True):
                got = obstore.get(self._client, name)
                content = got.bytes()
        except FileNotFoundError:
            return name, None
        _written(path, content)
        if name not in NOTES:
            os.utime(path, ns=(COPIED, COPIED))
        return name, got.meta["e_tag"]

    def _present(self) -> set[str]:
        """Return the names of the files here that are published, or were made to be."""
        paths = (path for depth in ("*", "*/*", "*/*/*") for path in self.folder.glob(depth))
        names = (path.relative_to(self.folder).as_posix() for path in paths)
        return {name for name in names if _is_data(name) or _WHOLE.fullmatch(name)}

    def _drop(self, obsolete: Iterable[str], *, is_held: bool) -> None:
        """Remove what is no longer published.

        Who holds the store also removes what was made here and never published.
        """
        for name in obsolete:
            path = self.folder / name
            with contextlib.suppress(FileNotFoundError):
                if is_held or path.stat().st_mtime_ns <= COPIED:
                    path.unlink()
                    if path.parent.name == LOG:  # it may name what has gone
                        (path.parent / "_last_checkpoint").unlink(missing_ok=True)
                        with contextlib.suppress(OSError):
                            path.parent.rmdir()

    def _seen(self) -> dict[str, str]:
        try:
            return dict(json.loads((self.folder / SEEN).read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError):
            return {}

    def _saw(self, tags: Mapping[str, str]) -> None:
        if tags:
            content = json.dumps({**self._seen(), **tags})
            _written(self.folder / SEEN, content.encode())

    # --- publish ------------------------------------------------------------------------------

    def send(self, files: Iterable[str]) -> None:
        """Put finished files; see `Place.send`."""
        self.all_of(self._send, [f for f in files if _is_data(f) or _WHOLE.fullmatch(f)])

    def _send(self, file: str) -> None:
        path = self.folder / file
        if path.stat().st_mtime_ns == NOT_HERE:  # it was sent by whoever made it
            return
        self._put(file, path, "overwrite")  # its name is that of its bytes: nothing else is there

    def _put(self, name: str, content: Any, mode: Any) -> str | None:
        import obstore

        with reaching(self.url):
            return obstore.put(self._client, name, content, mode=mode)["e_tag"]

    @contextlib.contextmanager
    def committing(self, table: str) -> Iterator[Path]:
        """Yield a copy of the table's log, and put the entry that is written there.

        It gets its name in the working copy when it has it on the object store: nobody on this
        machine sees a commit that another writer has prevented.
        """
        from obstore.exceptions import AlreadyExistsError

        with tempfile.TemporaryDirectory(prefix=COMMITTING, dir=self.folder) as scratch:
            log = self.folder / table / LOG
            copy = Path(scratch) / table / LOG
            copy.mkdir(parents=True)
            before = {path.name for path in log.glob("*")} if log.is_dir() else set()
            for name in before:
                os.link(log / name, copy / name)
            yield copy.parent
            (made,) = {path.name for path in copy.glob("*.json")} - before
            content = (copy / made).read_bytes()
            try:
                self._put(f"{table}/{LOG}/{made}", content, "create")
            except AlreadyExistsError:
                if self._got(f"{table}/{LOG}/{made}") != content:  # else an answer was lost
                    raise TakenError(made) from None
            log.mkdir(parents=True, exist_ok=True)
            (copy / made).rename(log / made)

    def _got(self, name: str) -> bytes | None:
        import obstore

        try:
            with reaching(self.url, may_lack=True):
                return bytes(obstore.get(self._client, name).bytes())
        except FileNotFoundError:
            return None

    def share(self, name: str) -> None:
        """Put a note; see `Place.share`."""
        tag = self._put(name, (self.folder / name).read_bytes(), "overwrite")
        if tag and name in NOTES:
            self._saw({name: tag})

    def point(self, name: str, number: Callable[[str], int | None]) -> None:
        """Put a note by comparing and swapping; see `Place.point`."""
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        content = (self.folder / name).read_bytes()
        own = number(content.decode()) or 0
        for _ in range(ATTEMPTS):
            mode: Any = "create"
            with contextlib.suppress(FileNotFoundError), reaching(self.url, may_lack=True):
                got = obstore.get(self._client, name)
                if (number(bytes(got.bytes()).decode(errors="replace")) or 0) > own:
                    return
                mode = {"e_tag": got.meta["e_tag"]}
            with contextlib.suppress(AlreadyExistsError, PreconditionError):
                tag = self._put(name, content, mode)
                if tag:
                    self._saw({name: tag})
                return
        raise client.UnreachableError(
            f"expected to write {self.url}/{name}, came another writer {ATTEMPTS} times; what was"
            " published stays, the next run writes it"
        )

    def remove(self, paths: Iterable[Path]) -> None:
        """Remove objects, then their files here; see `Place.remove`."""
        import obstore

        paths = list(paths)
        names = [path.relative_to(self.folder).as_posix() for path in paths]
        ours = [n for n in names if _is_data(n) or _WHOLE.fullmatch(n) or n in NOTES]
        if ours:
            with contextlib.suppress(FileNotFoundError), reaching(self.url, may_lack=True):
                obstore.delete(self._client, ours)
        super().remove(paths)

    def abandon(self, paths: Iterable[Path], age: timedelta = ABANDONED) -> None:
        """Remove files here, and objects of long ago; see `Place.abandon`."""
        import obstore

        now = datetime.now(UTC)
        for path in paths:
            name = path.relative_to(self.folder).as_posix()
            if path.stat().st_mtime_ns == NOT_HERE and _is_data(name):
                with contextlib.suppress(FileNotFoundError), reaching(self.url, may_lack=True):
                    if now - obstore.head(self._client, name)["last_modified"] > age:
                        obstore.delete(self._client, name)
            path.unlink(missing_ok=True)

    # --- read ---------------------------------------------------------------------------------

    def fetch(self, path: Path) -> None:
        """Get an object whole; see `Place.fetch`. Raises FileNotFoundError where it has gone."""

        name = path.relative_to(self.folder).as_posix()
        try:
            with reaching(self.url, may_lack=True):
                client.download(self._client, name, path)
                os.utime(path, ns=(COPIED, COPIED))
        except FileNotFoundError:
            path.unlink(missing_ok=True)
            raise FileNotFoundError(2, "it is gone from the object store", str(path)) from None

    def tail(self, path: Path) -> bytes | None:
        """Return the last bytes of an object, or all; see `Place.tail`."""
        import obstore

        name = path.relative_to(self.folder).as_posix()
        if not name.endswith(".parquet"):
            return None
        with reaching(self.url, may_lack=True):
            got = obstore.get(self._client, name, options={"range": {"suffix": TAIL}})
            end = bytes(got.bytes())
        footer = int.from_bytes(end[-8:-4], "little") + 8
        return end if footer <= len(end) else None

    def checksum(self, path: Path, digits: Callable[[Path], str]) -> str:
        """Return the checksum of an object, of which nothing is kept; see `Place.checksum`."""
        import obstore

        name = path.relative_to(self.folder).as_posix()
        if not _is_data(name):
            return digits(path)
        with tempfile.NamedTemporaryFile(prefix="rejse-verify-") as copy:
            with reaching(self.url, may_lack=True):
                for part in obstore.get(self._client, name):
                    copy.write(part)
            copy.flush()
            return digits(Path(copy.name))

    def attach(self, con: Any) -> None:
        """Register a file system of the object store; see `Place.attach`."""
        from rejse.pipelines.places.object_files import ObjectFiles

        scheme = self.url.partition("://")[0]
        if not con.filesystem_is_registered(scheme):
            con.register_filesystem(ObjectFiles(self.url))

    @contextlib.contextmanager
    def whole(self, files: Iterable[str]) -> Iterator[Path]:
        """Yield a folder of links to files that were fetched; see `Place.whole`."""
        named = list(files)
        self.all_of(self._fetched, named)
        with tempfile.TemporaryDirectory(prefix="rejse-whole-") as name:
            for file in named:
                link = Path(name) / file
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to((self.folder / file).resolve())
            yield Path(name)

    def _fetched(self, file: str) -> None:
        if (self.folder / file).stat().st_mtime_ns == NOT_HERE:
            self.fetch(self.folder / file)

    def all_of(self, function: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """Return what a function makes of items, several at a time."""
        items = list(items)
        if len(items) < 2:
            return [function(item) for item in items]
        with ThreadPoolExecutor(min(self.lanes, len(items))) as pool:
            return list(pool.map(function, items))


def _is_data(name: str) -> bool:
    """Return whether a name is that of a catalogue, or of a file of a table that is not private."""
    from rejse.transforms import published_tables

    match = _DATA.fullmatch(name)
    return match is not None and match[1] not in published_tables.private()


def _without_bytes(path: Path, size: int) -> None:
    """Let a file stand for an object: it has its size and no bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}.making")
    with draft.open("wb") as out:
        out.truncate(size)
    os.utime(draft, ns=(NOT_HERE, NOT_HERE))
    with contextlib.suppress(FileExistsError):  # it came here meanwhile
        os.link(draft, path)
    draft.unlink()


def _written(path: Path, content: Any) -> None:
    with client.replacing(path) as out:
        out.write(content)
