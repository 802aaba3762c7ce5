"""The token of the HTTP server: from the environment, or from a private file made once."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from rejse.pipelines.config import key_file
from rejse.pipelines.config.field_types import SettingsError
from rejse.pipelines.runtime import file_modes
from rejse.pipelines.runtime.file_modes import Mode

TOKEN_VARIABLE = "REJSE_HTTP_TOKEN"
LEAST = 32


def token(file: Path, mode: Mode) -> str:
    """Return the token, from REJSE_HTTP_TOKEN, else from `file`, which is made if there is none.

    Raises:
        SettingsError: it is too short, holds other characters than visible ASCII, or others can
            read the file. The message holds no part of it.
    """
    text = os.environ.get(TOKEN_VARIABLE)
    if text is None:
        _make(file, mode)
        if exposed := key_file.exposure(file, mode):
            raise SettingsError(
                f"expected a token that nobody else can read, {exposed} can read {file}; first:"
                f" {key_file.mending(str(file), mode)}"
            )
        text = file.read_text(encoding="ascii", errors="replace")
    value = text.strip()
    if len(value) < LEAST or not all("!" <= character <= "~" for character in value):
        raise SettingsError(
            f"{place(file)}: expected at least {LEAST} visible characters of ASCII, came"
            f" {len(value)}; `openssl rand -hex 32` makes one"
        )
    return value


def place(file: Path) -> str:
    """Return where the token is: the variable, else the file."""
    return TOKEN_VARIABLE if TOKEN_VARIABLE in os.environ else str(file)


def _make(file: Path, mode: Mode) -> None:
    """Write a random token where there is no file."""
    try:
        opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, file_modes.file(mode))
    except FileExistsError:
        return
    with os.fdopen(opened, "w", encoding="ascii") as out:
        out.write(f"{secrets.token_urlsafe(LEAST)}\n")
