"""Reach an object store: S3 and what speaks like it, Google Cloud Storage, Azure.

Credentials, region and endpoint are the provider's environment variables (AWS_ACCESS_KEY_ID,
AWS_ENDPOINT_URL, GOOGLE_SERVICE_ACCOUNT, AZURE_STORAGE_ACCOUNT_NAME, ...): they are no settings.
"""

from __future__ import annotations

import io
import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from rejse.transforms.errors import MisuseError, StoreError

#: What an address of an object store begins with.
SCHEMES = ("s3", "gs", "az")
_ADDRESS = re.compile(r"(s3|gs|az)://[a-z0-9][a-z0-9._-]+(/[^?#\s*]*)?")
#: A request is repeated so often, and for so long.
RETRIES: dict[str, Any] = {
    "max_retries": 5,
    "retry_timeout": timedelta(seconds=60),
    "backoff": {
        "init_backoff": timedelta(milliseconds=100),
        "max_backoff": timedelta(seconds=5),
        "base": 2,
    },
}


class PlaceError(MisuseError, ValueError):
    """A place cannot be used as it is configured; the message says what to change.

    It is a ValueError, so that pydantic adds the setting to what a validator raises.
    """


class UnreachableError(StoreError):
    """An object store does not answer as expected."""


def is_address(text: str) -> bool:
    """Return whether a text is the address of an object store, and no path."""
    return "://" in text


def checked(url: str) -> str:
    """Return an address without a slash at its end. Raises PlaceError where it is none."""
    if not _ADDRESS.fullmatch(url):
        known = ", ".join(f"{scheme}://bucket/folder" for scheme in SCHEMES)
        raise PlaceError(f"expected a path, or an address such as {known}, came {url!r}")
    return url.rstrip("/")


def at(url: str) -> Any:
    """Return the client of an address, below which all names are. Raises PlaceError."""
    return _at(url, os.getpid())  # a forked process has none of the threads of a client


@lru_cache(maxsize=16)
def _at(url: str, process: int) -> Any:
    try:
        from obstore.store import from_url
    except ImportError:
        raise PlaceError(
            f"{url}: expected the library obstore, found none; pip install 'rejse[objects]'"
        ) from None
    with reaching(url):
        retries: Any = RETRIES
        return from_url(url, retry_config=retries)


@contextmanager
def reaching(url: str, *, may_lack: bool = False) -> Iterator[None]:
    """Raise UnreachableError where a request fails; a condition that is not met passes as it is.

    Args:
        url: What is reached.
        may_lack: Whether a missing object passes as FileNotFoundError; else its bucket is missing.
    """
    from obstore import exceptions

    try:
        yield
    except (exceptions.AlreadyExistsError, exceptions.PreconditionError):
        raise
    except (exceptions.BaseError, OSError) as fault:
        if may_lack and isinstance(fault, FileNotFoundError):
            raise
        first = str(fault).partition("\n")[0]
        raise UnreachableError(
            f"expected {url} to answer, came: {first}; look at its bucket, and at credentials,"
            " region and endpoint in the environment, such as AWS_ACCESS_KEY_ID, AWS_REGION,"
            " AWS_ENDPOINT_URL"
        ) from None


def download(at: Any, name: str, path: Path) -> None:
    """Copy an object of a client to a file. Raises FileNotFoundError where there is none."""
    import obstore

    got = obstore.get(at, name)
    with replacing(path) as out:
        for part in got:
            out.write(part)


@contextmanager
def replacing(path: Path) -> Iterator[io.BufferedWriter]:
    """Write a file under another name, and give it its own when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}.making")
    try:
        with draft.open("wb") as out:
            yield out
        draft.rename(path)
    finally:
        draft.unlink(missing_ok=True)
