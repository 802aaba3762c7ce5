"""`rejse run --complete` over a log, or the audit alone: `python -m tests.bench.run_rejse FOLDER`.

Prints counts and CPU seconds, of this process and of its workers, as JSON.

Every run audits what it stages; here that is measured by itself, over the files that a run without
it has published.
"""

from __future__ import annotations

import argparse
import json
import resource
from pathlib import Path

from rejse.pipelines.config import settings
from rejse.pipelines.runtime import process_limits


def run(folder: Path, workers: int | None = None) -> dict[str, int]:
    """Read, score and publish without the audit; the counts of the run."""
    from rejse.pipelines.jobs.request import RunRequest
    from rejse.pipelines.jobs.run import run as run_once

    request = RunRequest(complete=True, audit=None, workers=workers)
    done = run_once(settings.load(folder / "rejse.toml"), request)
    if done.status != "published":
        raise SystemExit(f"expected a publication, came {done.status}: remove the store first")
    return dict(done.counts)


def audit(folder: Path) -> dict[str, int]:
    """Audit the published files as a run would; rules, and how many found something."""
    import pyarrow.parquet as pq

    from rejse.pipelines.publication.audit import audit as audit_once
    from rejse.pipelines.store.staged_file import StagedFile

    store = settings.load(folder / "rejse.toml").store
    staged: dict[str, list[StagedFile]] = {}
    for file in sorted(store.glob("*/part-*.parquet")):
        table, path = file.parent.name, str(file.relative_to(store))
        rows = pq.ParquetFile(file).metadata.num_rows
        staged.setdefault(table, []).append(StagedFile(table, path, rows, file.stat().st_size))
    report = audit_once(store, staged, None, "bench")
    return {"rules": report.n_rules, "findings": len(report.findings)}


def cpu_seconds() -> dict[str, float]:
    """Return the CPU that this process and its children have used."""
    of = {"here": resource.RUSAGE_SELF, "workers": resource.RUSAGE_CHILDREN}
    used = {name: resource.getrusage(whose) for name, whose in of.items()}
    return {name: usage.ru_utime + usage.ru_stime for name, usage in used.items()}


def main() -> None:
    """Run or audit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--audit", action="store_true", help="only the audit")
    parser.add_argument("--workers", type=int, help="processes; without it one for each core")
    given = parser.parse_args()
    process_limits.tune_allocator()  # as the command does
    counts = audit(given.folder) if given.audit else run(given.folder, given.workers)
    print(json.dumps({"counts": counts, "cpu": cpu_seconds()}))


if __name__ == "__main__":
    main()
