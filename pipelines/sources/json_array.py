"""The elements of an array in a JSON document as lines: `[{…}, {…}]`, or `{"name": [{…}, …]}`.

Elements keep their bytes, but for line breaks between their parts. A line is an element: its number
is that of the row.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from pathlib import Path

from rejse.pipelines.sources.decompress import RECORD, ByteStream
from rejse.pipelines.sources.text_stream import HEAD, Rewriting

_TOKEN = re.compile(rb'\\.|["{}\[\],]', re.DOTALL)
_BREAK = re.compile(rb"[\r\n]+")
#: Bytes before the first that is no blank.
BLANK = b"\xef\xbb\xbf \t\r\n"


def is_array(path: Path) -> bool:
    """Return whether a document is an array, by its first byte."""
    with ByteStream(path) as stream:
        return stream.read(HEAD).lstrip(BLANK).startswith(b"[")


class ArrayLines(Rewriting):
    """The elements of the array of a document: of that called `name`, or of the whole document."""

    def __init__(self, path: Path, name: str | None, size: int = HEAD) -> None:
        super().__init__(path)
        self._name, self._size = None if name is None else name.encode(), size

    def blocks(self) -> Generator[bytes, None, None]:
        """Yield an element at a time, each a line."""
        scan = _Scan(self._name)
        with ByteStream(self.path) as stream:
            while not scan.is_over and (data := stream.read(self._size)):
                yield from scan.elements(data)
            self.fault = stream.fault
        if not scan.is_over and self.fault is None:
            what = "an array" if self._name is None else f"an array {self._name.decode()!r}"
            self.fault = ("truncated_file", f"expected {what} that is closed, it is not")
            yield from scan.rest()


class _Scan:
    """Finds the elements of an array in blocks of a document."""

    def __init__(self, name: bytes | None) -> None:
        self.is_over = False
        self._name, self._level = name, 1 if name is None else 2
        self._data, self._at, self._begin = b"", 0, 0
        self._depth, self._is_inside, self._is_text = 0, False, False
        self._text_begin, self._last_text = 0, b""

    def elements(self, data: bytes) -> Iterator[bytes]:
        """Yield the elements that end in some more bytes."""
        self._data += data
        end = len(self._data) - self._data.endswith(b"\\")  # what follows may be escaped
        for token in _TOKEN.finditer(self._data, self._at, end):
            element = self._take(token.group(), token.start())
            if element is not None:
                yield from _line(element)
            if self.is_over:
                return
        self._at = end
        self._forget()

    def rest(self) -> Iterator[bytes]:
        """Yield what begins an element and never ends."""
        if self._is_inside:
            yield from _line(self._data[self._begin :])

    def _take(self, sign: bytes, at: int) -> bytes | None:
        """Take a sign; return the element that it ends."""
        if sign == b'"':
            self._is_text = not self._is_text
            if self._is_text:
                self._text_begin = at + 1
            elif not self._is_inside:
                self._last_text = self._data[self._text_begin : at]
        elif self._is_text or sign.startswith(b"\\"):
            return None
        elif sign in b"{[":
            self._depth += 1
            is_array = sign == b"[" and self._depth == self._level and not self._is_inside
            if is_array and (self._name is None or self._last_text == self._name):
                self._is_inside, self._begin = True, at + 1
        elif sign in b"}]":
            self._depth -= 1
            if self._is_inside and self._depth < self._level:
                self.is_over = True
                return self._data[self._begin : at]
        elif sign == b"," and self._is_inside and self._depth == self._level:
            element, self._begin = self._data[self._begin : at], at + 1
            return element
        return None

    def _forget(self) -> None:
        """Drop what no element needs any more; of one that is too long keep what shows it."""
        outside = self._text_begin if self._is_text else self._at
        kept = self._begin if self._is_inside else outside
        if self._is_inside and self._at - kept > 2 * RECORD:
            self._data = self._data[kept : kept + RECORD + 1] + self._data[self._at :]
            self._begin, self._at = 0, RECORD + 1
            return
        self._data = self._data[kept:]
        self._begin, self._at = self._begin - kept, self._at - kept
        self._text_begin -= kept


def _line(element: bytes) -> Iterator[bytes]:
    line = _BREAK.sub(b" ", element).strip()
    if line:
        yield line + b"\n"
