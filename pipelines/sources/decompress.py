"""Read the bytes of a file, decompressed where needed, guarded against bombs and damage."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

#: Longest record; a longer one is refused, whatever the format.
RECORD = 1 << 20
#: Highest compression ratio, checked once more than FREE bytes were decompressed.
RATIO, FREE = 100, 100 * 1024
STEP = 1 << 16
MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}


def compression(path: Path) -> str | None:
    """Detect the codec by the file's first bytes, whatever its name."""
    with path.open("rb") as file:
        head = file.read(4)
    return next((codec for magic, codec in MAGIC.items() if head.startswith(magic)), None)


class ByteStream:
    """Stream of a file's bytes; after the last one `fault` is why it ended early, or None.

    With a `span` (first byte, end) it is of these bytes only; the file is not compressed.

    `fault` is (reason, detail) with reason `truncated_file`, `damaged_file` or `compression_bomb`;
    all bytes before the fault were returned.

    Raises:
        OSError: the file cannot be opened.
    """

    def __init__(self, path: Path, span: tuple[int, int] | None = None) -> None:
        self.path, self.codec = path, None if span else compression(path)
        self.start = span[0] if span else 0
        self._end = span[1] if span else None
        self.fault: tuple[str, str] | None = None
        self.given = 0
        self._open()

    def _open(self) -> None:
        import pyarrow as pa

        self._file = pa.OSFile(str(self.path))
        self._stream = (
            pa.CompressedInputStream(self._file, self.codec) if self.codec else self._file
        )
        if self.start:
            self._file.seek(self.start)

    def __enter__(self) -> ByteStream:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # The compressed stream is left to be freed: closing one that failed raises again.
        self._file.close()

    @property
    def position(self) -> int:
        """Return the offset of the next byte, decompressed."""
        return self.start + self.given

    def block(self, size: int) -> bytes:
        """Return the next `size` bytes or more, up to a multiple of `size` in the whole file.

        So a piece of a file is read in the blocks in which the whole file is.
        """
        return self.read(size + -self.position % size)

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes, fewer only before the end; empty at the end or at a fault."""
        if self._end is not None:
            size = min(size, self._end - self.position)
        if self.codec is None:
            data: bytes = self._stream.read(size)
            self.given += len(data)
            return data
        parts: list[bytes] = []
        left = size
        while left and self.fault is None:
            part = self._step(min(left, STEP))
            if not part:
                break
            parts.append(part)
            left -= len(part)
        return b"".join(parts)

    def _step(self, size: int) -> bytes:
        try:
            part: bytes = self._stream.read(size)
        except OSError as damage:
            part = self._rest(size)
            cut = "truncated" in str(damage).lower()
            self.fault = ("truncated_file" if cut else "damaged_file", str(damage))
        self.given += len(part)
        packed = self._file.tell() if self.fault is None else self.path.stat().st_size
        if self.given > FREE and self.given > RATIO * packed:
            self.fault = (
                "compression_bomb",
                f"{packed} bytes became more than {self.given}; unpack the file if that is right",
            )
            return b""
        return part

    def _rest(self, size: int) -> bytes:
        """Return the last good bytes: a failed read gives none, so read again, then one by one."""
        self._open()
        skipped = 0
        while skipped < self.given:
            skipped += len(self._stream.read(min(STEP, self.given - skipped)))
        salvaged = bytearray()
        try:
            while len(salvaged) < size and (byte := self._stream.read(1)):
                salvaged += byte
        except OSError:
            pass
        return bytes(salvaged)
