"""The identity links of a publication."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rejse.pipelines.store import delta_store, parquet_files
from rejse.pipelines.store.delta_store import Publication

if TYPE_CHECKING:
    import pyarrow as pa

#: The table of identity links.
LINKS = "identity_links"


def published_links(store: Path, publication: Publication) -> pa.Table:
    """Read the identity links of a publication, none where it has none."""
    import pyarrow as pa

    from rejse.transforms.dimensions.tables import conform
    from rejse.transforms.identity import link_table

    version = publication.versions.get(LINKS)
    files = [] if version is None else delta_store.files(store, LINKS, version)
    parts = [conform(parquet_files.rows(store / path), link_table.LINKS) for path in files]
    return pa.concat_tables(parts) if parts else conform(None, link_table.LINKS)
