"""The bytes of a text file as UTF-8 with line feeds, whatever it is written in.

Most files are that already, and are read as they are. Others pass a decoder block by block: another
encoding, lines that end with a carriage return alone, lines that are left out.
"""

from __future__ import annotations

import codecs
from pathlib import Path
from types import TracebackType

from rejse.pipelines.config.csv_options import CsvOptions
from rejse.pipelines.sources.decompress import ByteStream

#: Bytes that tell how a file is written.
HEAD = 1 << 16
#: Marks of encodings at the beginning of a file.
MARKS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


class Rewritten:
    """Stream of a file whose text is decoded, with the interface of `ByteStream`.

    Undecodable bytes are what they are after the encoding's own replacement; lines that begin with
    the comment sign, and the first ones to skip, are left out.
    """

    def __init__(self, path: Path, encoding: str, options: CsvOptions) -> None:
        self.path, self.start = path, 0
        self._stream, self._options = ByteStream(path), options
        self._decoder = codecs.getincrementaldecoder(encoding)(errors="backslashreplace")
        self._comment = None if options.comment is None else options.comment
        self._skip, self._rest, self._ready, self._given = options.skip, "", b"", 0
        self._is_over = False

    def __enter__(self) -> Rewritten:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stream.__exit__(kind, error, trace)

    @property
    def fault(self) -> tuple[str, str] | None:
        """Return why the file ended early, or None."""
        return self._stream.fault

    @property
    def position(self) -> int:
        """Return the offset of the next byte, rewritten."""
        return self._given

    def block(self, size: int) -> bytes:
        """Return the next `size` bytes or more."""
        return self.read(size)

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes, fewer only before the end; empty at the end or at a fault."""
        while len(self._ready) < size and not self._is_over:
            self._ready += self._next(size)
        out, self._ready = self._ready[:size], self._ready[size:]
        self._given += len(out)
        return out

    def _next(self, size: int) -> bytes:
        """Return some more whole lines."""
        data = self._stream.read(max(size, HEAD))
        self._is_over = not data
        text = self._rest + self._decoder.decode(data, self._is_over)
        if not self._is_over and text.endswith("\r"):  # half of a line end, perhaps
            text, kept = text[:-1], "\r"
        else:
            kept = ""
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        cut = len(text) if self._is_over else text.rfind("\n") + 1
        self._rest = text[cut:] + kept
        return self._chosen(text[:cut]).encode("utf-8", "surrogatepass")

    def _chosen(self, text: str) -> str:
        if not self._skip and self._comment is None:
            return text
        lines = text.splitlines(keepends=True)
        skipped = min(self._skip, len(lines))
        self._skip -= skipped
        comment = self._comment
        kept = (x for x in lines[skipped:] if comment is None or not x.startswith(comment))
        return "".join(kept)


TextStream = ByteStream | Rewritten


def opened(path: Path, options: CsvOptions, span: tuple[int, int] | None = None) -> TextStream:
    """Open a text file. A `span` is of a file that is read as it is."""
    encoding = None if span is not None else rewritten_as(path, options)
    return ByteStream(path, span) if encoding is None else Rewritten(path, encoding, options)


def rewritten_as(path: Path, options: CsvOptions) -> str | None:
    """Return the encoding from which a file must be rewritten; None where it is read as it is."""
    with ByteStream(path) as stream:
        head = stream.read(HEAD)
    for mark, encoding in MARKS.items():
        if head.startswith(mark):
            return encoding
    is_plain = options.encoding in ("utf-8", "ascii") and not options.skip and not options.comment
    has_lines = b"\n" in head or b"\r" not in head
    return None if is_plain and has_lines else options.encoding
