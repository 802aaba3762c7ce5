"""Files of an object store as DuckDB reads them: parts of objects, and nothing else.

Objects of a store never change, so that the size of each is asked once: a query over views asks
some hundred times, and obstore's own file system for fsspec makes each a request. A file keeps its
position by thread, so that threads of a query may share it.
"""

from __future__ import annotations

import io
import threading
from typing import Any

from fsspec import AbstractFileSystem

from rejse.pipelines.places import client
from rejse.pipelines.places.client import reaching


class ObjectFiles(AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """The objects below one address, named by their whole address or without its scheme."""

    cachable = False
    async_impl = False

    def __init__(self, url: str) -> None:
        super().__init__()
        self.protocol, _, self._root = url.partition("://")
        self._url, self._client = url, client.at(url)
        self._known: dict[str, dict[str, Any]] = {}

    def open(self, path: str, mode: str = "rb", **_: Any) -> ObjectFile:
        """Open an object for reading. Raises FileNotFoundError, PermissionError for writing."""
        if mode != "rb":
            raise PermissionError(f"expected to read {path}, came mode {mode}")
        return ObjectFile(self, self._name(path), int(self.info(path)["size"]))

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Return name, size and time of an object. Raises FileNotFoundError."""
        import obstore

        if path not in self._known:
            with reaching(self._url, may_lack=True):
                head = obstore.head(self._client, self._name(path))
            at = head["last_modified"]
            self._known[path] = {
                "name": path, "size": head["size"], "type": "file", "LastModified": at,
            }  # fmt: skip
        return self._known[path]

    def modified(self, path: str) -> Any:
        """Return when an object was written."""
        return self.info(path)["LastModified"]

    def exists(self, path: str, **_: Any) -> bool:
        """Return whether there is such an object."""
        try:
            self.info(path)
        except FileNotFoundError:
            return False
        return True

    def isfile(self, path: str) -> bool:
        """Return whether there is such an object."""
        return self.exists(path)

    def isdir(self, path: str) -> bool:
        """Return that nothing is a folder."""
        return False

    def glob(self, path: str, **_: Any) -> list[str]:
        """Return the object of this name; names are never patterns here."""
        return [path] if self.exists(path) else []

    def part(self, name: str, start: int, length: int) -> bytes:
        """Return some bytes of an object."""
        import obstore

        with reaching(self._url, may_lack=True):
            return bytes(obstore.get_range(self._client, name, start=start, length=length))

    def _name(self, path: str) -> str:
        """Return the name of an object below the address. Raises FileNotFoundError for others."""
        bare = path.removeprefix(f"{self.protocol}://")
        if not bare.startswith(f"{self._root}/"):
            raise FileNotFoundError(2, f"expected an object below {self._url}", path)
        return bare.removeprefix(f"{self._root}/")


class ObjectFile(io.RawIOBase):
    """An object that is open for reading."""

    def __init__(self, files: ObjectFiles, name: str, size: int) -> None:
        super().__init__()
        self._files, self._name, self.size = files, name, size
        self._of_thread = threading.local()

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def seekable(self) -> bool:
        """Return that it can be read anywhere."""
        return True

    def tell(self) -> int:
        """Return the position of this thread."""
        return int(getattr(self._of_thread, "at", 0))

    def seek(self, offset: int, whence: int = 0) -> int:
        """Set the position of this thread."""
        base = {0: 0, 1: self.tell(), 2: self.size}[whence]
        self._of_thread.at = base + offset
        return base + offset

    def read(self, size: int | None = -1) -> bytes:
        """Return bytes from the position of this thread on; all without a size."""
        at = self.tell()
        left = max(0, self.size - at)
        length = left if size is None or size < 0 else min(size, left)
        content = self._files.part(self._name, at, length) if length else b""
        self._of_thread.at = at + len(content)
        return content
