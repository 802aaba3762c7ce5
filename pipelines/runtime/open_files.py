"""Files that a process may hold open: bucket files are as many as groups times kinds of batches."""

from __future__ import annotations

import contextlib
import sys

#: 4,096 groups of buckets, of sources with eight different sets of columns.
ENOUGH = 32_768


def allow() -> None:
    """Raise this process's soft limit of open files to ENOUGH, or to what the system grants.

    The usual soft limit, 1,024, would end a run of some sixty million events of one source, or of
    ten million of seven sources. Where the system grants no more, the limit stays as it is.
    """
    if sys.platform == "win32":  # it knows no such limit
        return
    import resource

    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH if most == resource.RLIM_INFINITY else min(most, ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
