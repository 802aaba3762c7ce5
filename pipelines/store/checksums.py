"""The checksum of a data file, which is a part of its name.

So it needs no list beside the files, is there as soon as a file is, and survives whatever cuts
Delta's logs. A name is `part-` and a UUID of version 8, whose own bits are 88 of the SHA-256 of the
file and 32 that keep files of one content apart. Names of earlier versions are random (version 4)
and tell no checksum.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from pathlib import Path

#: Hexadecimal digits of a checksum.
DIGITS = 22
_NAME = re.compile(r"part-([0-9a-f]{12})8([0-9a-f]{3})8([0-9a-f]{7})[0-9a-f]{8}\.parquet")


def unfinished() -> str:
    """Name of a file that is being written."""
    return f"part-{uuid.uuid4().hex}.parquet"


def of(file: Path) -> str:
    """Checksum of the file as it is on the disk."""
    with file.open("rb") as read:
        return hashlib.file_digest(read, "sha256").hexdigest()[:DIGITS]


def name(file: Path) -> str:
    """Name of a finished file."""
    said = of(file)
    return f"part-{said[:12]}8{said[12:15]}8{said[15:]}{uuid.uuid4().hex[:8]}.parquet"


def told(name: str) -> str | None:
    """Checksum that a file of this name had when it was written; None where its name tells none."""
    found = _NAME.fullmatch(name)
    return "".join(found.groups()) if found else None
