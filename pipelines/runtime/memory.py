"""Memory of a worker process: what is freed goes back, and nothing is imported for nothing."""

from __future__ import annotations

import ctypes
import logging
import os
import sys
from collections.abc import Sequence, Set
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import ModuleType

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
#: Blocks from this size on are mapped one by one and go back when freed; the heap keeps the rest.
MAPPED, KEPT = 1 << 20, 128 << 20


#: What Beam and pyarrow import where it is installed and do without where it is not: tables in a
#: form that nothing here has (45 MB), and a database that nothing here reads (7 MB, 0.3 s).
UNUSED = frozenset({"pandas", "pymongo", "bson"})


class _Unused(MetaPathFinder):
    """Says that what is unused is not installed."""

    def __init__(self, names: Set[str]) -> None:
        self._names = names

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> None:
        """Refuse what is unused, leave all else to the other finders."""
        if fullname in self._names:
            raise ModuleNotFoundError(f"{fullname} is not used by this process", name=fullname)


def economise() -> None:
    """Settle how this process, which must be one of our own, takes and returns memory.

    To be called before anything large is imported. What is UNUSED is then not imported; glibc gives
    each thread an arena of its own, whose freed memory the next stage, on another thread, cannot
    use (100 MB); mimalloc, Arrow's default, keeps what it once had beside what glibc keeps (60 MB),
    and Arrow's many sizes leave glibc's heap full of holes (60 MB, and a twentieth of all CPU):
    jemalloc does neither, and Arrow's packages have it where there is glibc; and glibc gives the
    top of the heap back after every batch only to fault it in again (a tenth of all CPU). Results
    do not depend on any of it.
    """
    libc = _libc()
    is_glibc = hasattr(libc, "mallopt")
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "jemalloc" if is_glibc else "system")
    sys.meta_path.insert(0, _Unused(UNUSED - sys.modules.keys()))  # what is there already stays
    logging.getLogger("apache_beam.io.mongodbio").setLevel(logging.ERROR)  # which it would miss
    if is_glibc:
        libc.mallopt(M_ARENA_MAX, 1)
        libc.mallopt(M_MMAP_THRESHOLD, MAPPED)
        libc.mallopt(M_TRIM_THRESHOLD, KEPT)


def cap(more: int) -> None:
    """Let this process, which must be one of our own, take so many bytes more than it has; what
    asks for more fails. Does nothing where the platform cannot say or bound what a process has.
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


def give_back() -> None:
    """Return freed memory to the system, as far as the C library and Arrow can: once a stage, not
    a batch.
    """
    libc = _libc()
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)
    if arrow := sys.modules.get("pyarrow"):
        arrow.default_memory_pool().release_unused()


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)  # what is loaded already; to look for a library starts a compiler
