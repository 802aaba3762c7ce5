"""The bytes of a text file as UTF-8 with line feeds, whatever it is written in.

Most files are that already, and are read as they are. Others pass a stream that rewrites them block
by block, so that all readers see lines: another encoding, lines that end with a carriage return
alone, lines that are left out (here); the elements of an array (`json_array`), the sheet of a book
(`excel`), the events of a process log (`xes`).
"""

from __future__ import annotations

import codecs
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator
from pathlib import Path

from rejse.pipelines.config.csv_options import CsvOptions
from rejse.pipelines.sources.decompress import ByteStream

#: Bytes that tell how a file is written.
HEAD = 1 << 16
#: Marks of encodings at the beginning of a file.
MARKS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


class Rewriting(ABC):
    """Stream of what becomes of a file, with the interface of `ByteStream`.

    After the last byte `fault` is why it ended early, (reason, detail), or None.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.start = path, 0
        self.fault: tuple[str, str] | None = None
        self._blocks = self.blocks()
        self._ready, self._given = b"", 0

    @abstractmethod
    def blocks(self) -> Generator[bytes, None, None]:
        """Yield the bytes, in whole lines."""

    def __enter__(self) -> Rewriting:
        return self

    def __exit__(self, *fault: object) -> None:
        self._blocks.close()

    @property
    def position(self) -> int:
        """Return the offset of the next byte, rewritten."""
        return self._given

    def block(self, size: int) -> bytes:
        """Return the next `size` bytes; fewer only before the end."""
        return self.read(size)

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes, fewer only before the end; empty at the end or at a fault."""
        parts, have = [self._ready], len(self._ready)
        while have < size and (block := next(self._blocks, b"")):
            parts.append(block)
            have += len(block)
        ready = b"".join(parts)
        out, self._ready = ready[:size], ready[size:]
        self._given += len(out)
        return out


class Rewritten(Rewriting):
    """A file in another encoding, or with lines that are left out.

    Undecodable bytes are shown as they are: `\\x81`. Lines that begin with the comment sign, and
    the first ones to skip, are left out.
    """

    def __init__(self, path: Path, encoding: str, options: CsvOptions) -> None:
        super().__init__(path)
        self._options, self._skip = options, options.skip
        self._decoder = codecs.getincrementaldecoder(encoding)(errors="backslashreplace")

    def blocks(self) -> Generator[bytes, None, None]:
        """Yield some whole lines at a time."""
        rest = ""
        with ByteStream(self.path) as stream:
            while data := stream.read(HEAD):
                text = rest + self._decoder.decode(data)
                # A carriage return in the end may be half of a line end.
                whole = text.removesuffix("\r")
                lines = whole.replace("\r\n", "\n").replace("\r", "\n")
                cut = lines.rfind("\n") + 1
                rest = lines[cut:] + text[len(whole) :]
                yield from self._chosen(lines[:cut])
            last = rest + self._decoder.decode(b"", True)
            yield from self._chosen(last.replace("\r", "\n"))
            self.fault = stream.fault

    def _chosen(self, text: str) -> Iterator[bytes]:
        comment = self._options.comment
        if self._skip or comment is not None:
            lines = text.splitlines(keepends=True)
            skipped = min(self._skip, len(lines))
            self._skip -= skipped
            kept = (x for x in lines[skipped:] if comment is None or not x.startswith(comment))
            text = "".join(kept)
        if text:
            yield text.encode("utf-8", "surrogatepass")


TextStream = ByteStream | Rewriting


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
