"""Checksums of data files, recorded in their names.

A name is `part-` and a UUID of version 8, whose own bits are 88 of the SHA-256 of the file and 32
that keep files of equal content apart. So the checksum exists as soon as the file does, needs no
list beside the files, and survives a shortened Delta log. Names of earlier versions of rejse are
random (version 4) and record no checksum.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from pathlib import Path

#: Hexadecimal digits of a checksum.
DIGITS = 22
#: Name of a data file.
FILE = re.compile(r"part-[0-9a-f]{32}\.parquet")
_NAME = re.compile(r"part-([0-9a-f]{12})8([0-9a-f]{3})8([0-9a-f]{7})[0-9a-f]{8}\.parquet")


def unfinished() -> str:
    """Make a name for a file that is being written."""
    return f"part-{uuid.uuid4().hex}.parquet"


def of(file: Path) -> str:
    """Compute the checksum of a file as it is on the disk."""
    with file.open("rb") as read:
        return hashlib.file_digest(read, "sha256").hexdigest()[:DIGITS]


def name(file: Path) -> str:
    """Make the name of a finished file; it records the checksum."""
    digits = of(file)
    return f"part-{digits[:12]}8{digits[12:15]}8{digits[15:]}{uuid.uuid4().hex[:8]}.parquet"


def recorded(name: str) -> str | None:
    """Return the checksum that a file's name records; None for names of earlier versions."""
    match = _NAME.fullmatch(name)
    return "".join(match.groups()) if match else None
