"""Objects of a bucket of an object store (S3, Google Cloud, Azure), by obstore.

Credentials, region and endpoint come from the environment, by the names that the provider's own
tools use. Nothing of them is kept or logged.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rejse.transforms.errors import MisuseError, StoreError

#: Requests at once: objects are small and far away.
AT_ONCE = 16


class ObjectStoreError(StoreError):
    """The object store does not answer as expected."""


@dataclass(frozen=True)
class Stored:
    """What a listing says of an object: its size in bytes, and the tag of its content."""

    bytes: int
    tag: str


class Objects:
    """The objects below a URL, by their names relative to it.

    `requests` counts what was asked, by kind. Raises ObjectStoreError where the store fails.
    """

    def __init__(self, url: str) -> None:
        self.url, self.requests = url.rstrip("/"), Counter[str]()
        self._lock = threading.Lock()
        try:
            import obstore
        except ImportError:
            raise MisuseError(
                f"a store at {self.url} needs the extra `objects`: pip install 'rejse[objects]'"
            ) from None
        self._obstore = obstore
        with _answering(self.url):
            self._store = obstore.store.from_url(self.url)

    def filesystem(self) -> Any:
        """Return the object store as DuckDB takes it (fsspec)."""
        from obstore.fsspec import FsspecStore

        return FsspecStore(self.url.partition("://")[0])

    def listed(self, prefix: str = "") -> dict[str, Stored]:
        """List all objects below a prefix."""
        objects: dict[str, Stored] = {}
        with _answering(self.url):
            for page in self._obstore.list(self._store, prefix or None, chunk_size=1_000):
                self._count("list")
                objects |= {at["path"]: Stored(at["size"], at["e_tag"] or "") for at in page}
        return objects

    def get(self, name: str) -> tuple[bytes, str] | None:
        """Return an object's content and tag; None where there is none."""
        self._count("get")
        with _answering(self.url):
            try:
                answer = self._obstore.get(self._store, name)
            except FileNotFoundError:
                return None
            return bytes(answer.bytes()), answer.meta["e_tag"] or ""

    def fetch(self, names: Mapping[str, Path]) -> None:
        """Copy objects to files, which get their names when they are whole."""
        _in_parallel(self._fetch, names.items())

    def _fetch(self, name: str, path: Path) -> None:
        self._count("get")
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.making-{threading.get_ident()}")
        with _answering(self.url), draft.open("wb") as out:
            for chunk in self._obstore.get(self._store, name).stream():
                out.write(chunk)
        draft.rename(path)

    def put(self, files: Mapping[str, Path]) -> None:
        """Copy files to objects, whatever these were."""
        _in_parallel(self._put, files.items())

    def _put(self, name: str, path: Path) -> None:
        self._count("put")
        with _answering(self.url):
            self._obstore.put(self._store, name, path)

    def create(self, name: str, content: bytes) -> str | None:
        """Make an object that must not exist, and return its tag; None where it does."""
        return self._conditional(name, content, "create")

    def replace(self, name: str, content: bytes, tag: str) -> str | None:
        """Replace an object of this tag and return the new one; None where it has another one."""
        return self._conditional(name, content, {"e_tag": tag})

    def _conditional(self, name: str, content: bytes, mode: Any) -> str | None:
        self._count("put")
        refused = (
            self._obstore.exceptions.AlreadyExistsError,
            self._obstore.exceptions.PreconditionError,
        )
        with _answering(self.url):
            try:
                done = self._obstore.put(self._store, name, content, mode=mode)
            except refused:
                return None
            return str(done["e_tag"] or "")

    def delete(self, names: Iterable[str]) -> None:
        """Remove objects; missing ones are no fault."""
        for name in names:
            self._count("delete")
            with _answering(self.url):
                try:
                    self._obstore.delete(self._store, name)
                except FileNotFoundError:
                    continue

    def _count(self, kind: str) -> None:
        with self._lock:
            self.requests[kind] += 1


def _in_parallel(act: Any, items: Iterable[tuple[str, Path]]) -> None:
    """Do something with several objects at once; the first fault is raised."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for done in [pool.submit(act, name, path) for name, path in items]:
            done.result()


@contextmanager
def _answering(url: str) -> Iterator[None]:
    from obstore.exceptions import BaseError

    try:
        yield
    except BaseError as fault:
        words = " ".join(str(fault).split())[:300]
        raise ObjectStoreError(
            f"expected the object store to answer for {url}, came: {words}; look at the address,"
            " the credentials and the network"
        ) from None
