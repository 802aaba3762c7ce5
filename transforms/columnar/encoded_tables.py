"""Arrow tables whose text columns are dictionary-encoded."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from rejse.transforms.schema import contract as schema
from rejse.transforms.schema.contract import Contract


def concat(tables: Iterable[pa.Table]) -> pa.Table:
    """Concatenate tables; each dictionary column of the result has one dictionary."""
    whole = pa.concat_tables(tables, promote_options="default")
    return whole.unify_dictionaries().combine_chunks()


def encode(table: pa.Table, contract: Contract) -> pa.Table:
    """Dictionary-encode the columns of `contract` that are stored as plain text."""
    for position, name in enumerate(table.column_names):
        field = contract.carried.get(name)
        is_key = name in (schema.CUSTOMER_KEY, schema.IDENTITY_KEY)
        is_coded = is_key or (field is not None and field.coded)
        if is_coded and not pa.types.is_dictionary(table.column(position).type):
            table = table.set_column(position, name, table.column(position).dictionary_encode())
    return table
