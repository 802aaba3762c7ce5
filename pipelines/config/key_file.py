"""Read the pseudonym key from the environment or from a private file."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from rejse.pipelines.config.field_types import SettingsError
from rejse.pipelines.runtime import file_modes
from rejse.pipelines.runtime.file_modes import Mode

KEY_VARIABLE = "REJSE_KEY"


def key(file: Path, mode: Mode) -> bytes:
    """Return the key, from REJSE_KEY, else from `file` (hex digits).

    Raises:
        SettingsError: there is no key, it is shorter than 16 bytes, or others can read the file
            (in the mode `group`: others than the group). The message holds no part of the key.
    """
    text = os.environ.get(KEY_VARIABLE)
    place = KEY_VARIABLE if text is not None else _named(file)
    if text is None:
        if not file.is_file():
            raise SettingsError(
                f"expected a key in {place} or in {KEY_VARIABLE}, found neither;"
                f' make one: (umask 077; python -c "import secrets;'
                f' print(secrets.token_hex(32))" > {shlex.quote(place)})'
            )
        if exposed := exposure(file, mode):
            raise SettingsError(
                f"expected a key that nobody else can read, {exposed} can read {place}; first:"
                f" {mending(place, mode)}"
            )
        text = file.read_text(encoding="ascii", errors="replace")
    try:
        secret = bytes.fromhex(text.strip())
    except ValueError:
        # `from None`: the chained message would show the key.
        raise SettingsError(f"{place}: expected hex digits only, came something else") from None
    if len(secret) < 16:
        raise SettingsError(f"{place}: expected at least 32 hex digits, came fewer")
    return secret


def exposure(file: Path, mode: Mode) -> str | None:
    """Return who besides its owner can read the file; None where it is private."""
    more = file.stat().st_mode & 0o777 & ~file_modes.file(mode)
    if not more & 0o077:
        return None
    return "everybody" if more & 0o007 else "its group"


def mending(place: str, mode: Mode) -> str:
    """Return the command that makes the file private."""
    return f"chmod {file_modes.file(mode):o} {shlex.quote(place)}"


def _named(file: Path) -> str:
    """Return the path of the key file as a command in the current folder would write it."""
    place = Path(os.path.normpath(file))
    here = Path.cwd()
    return str(place.relative_to(here) if place.is_relative_to(here) else place)
