"""Limits and allocators of a process: memory it takes and returns, imports, threads, files."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import sys
from collections.abc import Sequence, Set
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import ModuleType

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
#: Blocks from this size on are mapped singly and returned when freed; the heap keeps the rest.
MAPPED, KEPT = 1 << 20, 128 << 20
#: Optional imports of Beam and pyarrow that nothing here uses: pandas takes 45 MB, pymongo and bson
#: 7 MB and 0.3 s.
UNUSED = frozenset({"pandas", "pymongo", "bson"})
#: Threads of numerical libraries. The matrices here are small: threads that wait for each other on
#: them took twenty times the CPU time of one thread, and workers use the other cores.
SINGLE_THREADED = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
#: Open files: 4,096 groups of buckets, for sources with eight different sets of columns.
OPEN_FILES = 32_768


class _Unused(MetaPathFinder):
    """Refuse imports as if their packages were not installed."""

    def __init__(self, names: Set[str]) -> None:
        self._names = names

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> None:
        """Refuse what is unused, leave all else to the other finders."""
        if fullname in self._names:
            raise ModuleNotFoundError(f"{fullname} is not used by this process", name=fullname)


def tune_allocator() -> None:
    """Set how this process takes and returns memory. Results do not depend on it.

    Call it before anything large is imported, and only in a process of our own. It sets:

    - no import of `UNUSED` packages that are not loaded yet;
    - one glibc arena: memory freed in the arena of one thread is of no use to the next stage on
      another thread (100 MB);
    - jemalloc for Arrow where there is glibc: mimalloc, the default, keeps its own reserve beside
      glibc's (60 MB), and Arrow's many sizes fragment glibc's heap (60 MB, 5 % of all CPU);
    - a high trim threshold: glibc returns the top of the heap after every batch, only to fault it
      in again (10 % of all CPU).
    """
    libc = _libc()
    is_glibc = hasattr(libc, "mallopt")
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "jemalloc" if is_glibc else "system")
    sys.meta_path.insert(0, _Unused(UNUSED - sys.modules.keys()))  # what is loaded stays
    logging.getLogger("apache_beam.io.mongodbio").setLevel(logging.ERROR)  # warns without pymongo
    if is_glibc:
        libc.mallopt(M_ARENA_MAX, 1)
        libc.mallopt(M_MMAP_THRESHOLD, MAPPED)
        libc.mallopt(M_TRIM_THRESHOLD, KEPT)


def limit_threads() -> None:
    """Keep numerical libraries to one thread, where the environment does not say otherwise.

    Call it before they are imported.
    """
    for name, number in SINGLE_THREADED.items():
        os.environ.setdefault(name, number)


def cap_memory(more: int) -> None:
    """Let this process, which must be one of our own, allocate at most `more` further bytes.

    Allocations beyond that fail. Does nothing where the platform cannot report or limit memory.
    """
    try:
        import resource

        status = Path("/proc/self/status").read_text(encoding="ascii")
        (has,) = [line.split()[1] for line in status.splitlines() if line.startswith("VmData:")]
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        wanted = int(has) * 1024 + more
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
    except (ImportError, OSError, ValueError):
        return


def trim_malloc() -> None:
    """Return freed memory to the system, as far as the C library and Arrow can.

    Call it once a stage, not once a batch.
    """
    libc = _libc()
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)
    if arrow := sys.modules.get("pyarrow"):
        arrow.default_memory_pool().release_unused()


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)  # what is loaded already; to look for a library starts a compiler


def raise_open_files() -> None:
    """Raise this process's soft limit of open files to `OPEN_FILES`, or to what the system grants.

    The usual soft limit, 1,024, would end a run of some sixty million events of one source, or of
    ten million of seven sources. Where the system grants no more, the limit stays as it is.
    """
    if sys.platform == "win32":  # it has no such limit
        return
    import resource

    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if most == resource.RLIM_INFINITY else min(most, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
